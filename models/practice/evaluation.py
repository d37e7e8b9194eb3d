"""Judging a model by whole episodes: k trials of each task, every trial with another user, pass^k told afterwards.

Episodes are stored as they end, so a killed or interrupted evaluation goes on where it was. Tasks of all splits take
turns and a task's trials are played together, so a budget that ends early leaves whole tasks, equally many of each
split.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from data import paths
from data.episodes import FOLDER, append_episodes, episode_id, played
from data.evaluations import note_seconds, seconds_spent
from data.parquet import set_aside_damaged, shards
from data.practice.episode import Episode
from data.reporting import Reporter
from data.schema import Split
from data.settings import Settings
from models.compute import decode_dtype, device_name
from models.engine.rollout import decoder
from models.engine.sampling import Sampling
from models.interruption import interruption
from models.policy import load_model, load_tokenizer
from models.practice.outcome import outcome_of
from models.practice.play import Attempt, PlayedEpisode, Playing, play
from models.practice.rows import episode_row
from models.practice.tasks import attempts_at, task_ids
from models.training.job import StopReason

#: Beside an evaluation's rows: how long its episodes have taken. Not among these, where all files are episodes.
SPENT = "spent_on_episodes.json"


@dataclass(frozen=True)
class PracticeOutcome:
    """How an evaluation by episodes ended: ``episodes`` played in all, of ``planned``, in the ``seconds`` of all
    attempts."""

    episodes: int
    planned: int
    seconds: float
    stopped: StopReason


@dataclass(frozen=True)
class _Planned:
    split: Split
    task_id: str
    trial: int


def evaluate_episodes(
    model_dir: Path,
    *,
    run_id: str,
    stage: str,
    evaluation_id: str,
    splits: Sequence[Split],
    thinking: bool,
    settings: Settings,
    reporter: Reporter,
) -> PracticeOutcome:
    """Play the episodes of ``splits`` with the model in ``model_dir`` and store a row for each.

    Begins no new ones at ``settings.evaluation.episodes.minutes``, what earlier attempts took included, or on
    SIGINT/SIGTERM; those under way are played to their end.
    """
    chosen = settings.evaluation.episodes
    started = time.monotonic() - seconds_spent(evaluation_id, SPENT)
    if damaged := set_aside_damaged(shards(paths.evaluations() / evaluation_id / FOLDER)):
        reporter.say(
            f"{len(damaged)} files of this evaluation's episodes could not be read; what they held is played again"
        )
    plan = _plan(splits, chosen.tasks, chosen.trials)
    known = played("evaluation", evaluation_id)
    todo = [one for one in plan if episode_id(evaluation_id, one.task_id, one.trial) not in known]
    done = len(plan) - len(todo)
    reporter.phase(f"playing episodes, {stage}", total=float(len(plan)), unit="episodes", done=float(done))
    head = {
        "run_id": run_id,
        "stage": stage,
        "thinking": thinking,
        "keeps_reasoning": not chosen.drop_reasoning,
        "temperature": chosen.temperature,
        **dict.fromkeys(("step", "reward", "advantage")),
    }
    places = {f"{one.task_id}#{one.trial}": one for one in todo}
    attempts = list(chain.from_iterable(attempts_at(one.task_id, [one.trial], ("practice",)) for one in todo))
    begun = False
    with interruption() as asked:

        def enough() -> bool:
            nonlocal begun
            late = chosen.minutes is not None and time.monotonic() - started >= chosen.minutes * 60
            first, begun = not begun, True
            return asked.asked or (late and not first)

        for one in _play(model_dir, attempts, _playing(settings, thinking), settings, enough) if todo else ():
            append_episodes("evaluation", evaluation_id, [_row(one, places[one.attempt.name], evaluation_id, head)])
            note_seconds(evaluation_id, time.monotonic() - started, SPENT)
            done += 1
            reporter.update(done)
        asked.heeded = asked.asked
    stopped: StopReason = "finished" if done == len(plan) else "interrupted" if asked.asked else "budget"
    return PracticeOutcome(done, len(plan), time.monotonic() - started, stopped)


def _plan(splits: Sequence[Split], tasks: int, trials: int) -> list[_Planned]:
    columns = [task_ids(split, tasks) for split in splits]
    return [
        _Planned(split, column[number], trial)
        for number in range(tasks)
        for split, column in zip(splits, columns, strict=True)
        if number < len(column)
        for trial in range(trials)
    ]


def _playing(settings: Settings, thinking: bool) -> Playing:
    chosen = settings.evaluation
    return Playing(
        thinking=thinking,
        sampling=Sampling(chosen.episodes.temperature),
        max_new_tokens=chosen.max_completion_length,
        max_length=chosen.max_prompt_length,
        max_turns=chosen.episodes.max_turns,
        max_rows=chosen.episodes.batch_size,
        keep_reasoning=not chosen.episodes.drop_reasoning,
    )


def _play(model_dir: Path, attempts: Sequence[Attempt], how: Playing, settings: Settings, enough: Any) -> Any:
    model = decoder(load_model(model_dir, device=device_name(settings)), decode_dtype(settings))
    return play(model, load_tokenizer(model_dir), attempts, how, stop=enough)


def _row(one: PlayedEpisode, place: _Planned, evaluation_id: str, head: dict[str, Any]) -> dict[str, Any]:
    episode = one.environment
    assert isinstance(episode, Episode)  # begun by models.practice.tasks
    row = episode_row(
        one,
        episode,
        outcome_of(episode, one.ended),
        {
            **head,
            "episode_id": episode_id(evaluation_id, place.task_id, place.trial),
            "split": place.split,
            "trial": place.trial,
            "user_seed": str(place.trial),
        },
    )
    episode.close()
    return row
