"""Validation during GRPO on episodes: whole conversations with tasks that nothing else plays, each of them stored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

from data.episodes import append_episodes, episode_id
from data.practice.episode import Episode
from data.schema import VALIDATION_SPLITS, Split
from models.engine.sampling import Sampling
from models.practice.outcome import Outcome, outcome_of
from models.practice.play import Playing, play
from models.practice.rows import episode_row
from models.practice.tasks import attempts_at, task_ids
from models.training.validation import ValidationCallback

#: What validation is sampled at, with the same draws each time: as episodes are judged.
VALIDATION_TEMPERATURE = 0.7


def watched_tasks(number: int) -> list[tuple[Split, str]]:
    """Splits and tasks of validation, seen and unseen in turns, other than those an evaluation takes."""
    half = (number + 1) // 2
    seen, unseen = ([(split, one) for one in task_ids(split, half, purpose="watch")] for split in VALIDATION_SPLITS)
    mixed = chain.from_iterable(zip_longest(seen, unseen))
    return [task for task in mixed if task is not None][:number]


def episode_figures(outcomes: Sequence[Outcome], stage: str) -> dict[str, float]:
    """Means over episodes, under the names they have in evaluations."""
    told = [one.facts for one in outcomes if one.facts is not None]
    reached = [one.milestones for one in outcomes if one.milestones is not None]
    means: dict[str, Sequence[float]] = {
        "pass_1": [one.success for one in outcomes],
        "state_right": [one.state_right for one in outcomes],
        "facts": told,
        "milestones": reached,
        "breach": [bool(one.breaches) for one in outcomes],
        "turns": [one.turns for one in outcomes],
        "calls": [one.calls for one in outcomes],
        "call_errors": [one.call_errors for one in outcomes],
        "left": [one.ended == "done" for one in outcomes],
    }
    return {f"{stage}/{name}": float(sum(values) / len(values)) for name, values in means.items() if values}


class EpisodeValidation(ValidationCallback):
    """Validates by whole episodes; the points are the tasks of ``watched_tasks``."""

    SCORE = "pass_1"

    def _figures(self, step: int) -> dict[str, float]:
        stage = self._settings.grpo
        how = Playing(
            thinking=stage.thinking,
            sampling=Sampling(VALIDATION_TEMPERATURE),
            max_new_tokens=stage.max_completion_length,
            max_length=stage.max_length,
            max_turns=stage.max_turns,
            max_rows=self._settings.evaluation.episodes.batch_size,
        )
        split_of = {task: split for split, task in self._points}
        attempts = [one for task in split_of for one in attempts_at(task, [0], ("watch",))]
        outcomes, rows = [], []
        for one in play(self._twin, self._tokenizer, attempts, how):
            episode = one.environment
            assert isinstance(episode, Episode)  # begun by models.practice.tasks
            outcomes.append(outcome_of(episode, one.ended))
            head = self._head(episode.task.id, split_of[episode.task.id], step)
            rows.append(episode_row(one, episode, outcomes[-1], head))
            episode.close()
        append_episodes("validation", self._job.run_id, rows)
        return episode_figures(outcomes, "validation")

    def _head(self, task_id: str, split: Split, step: int) -> dict[str, Any]:
        run_id = self._job.run_id
        return {
            "episode_id": episode_id(f"{run_id} validation", task_id, 0, step),
            "run_id": run_id,
            "stage": "grpo",
            "step": step,
            "split": split,
            "trial": 0,
            "user_seed": "0",
            "thinking": self._settings.grpo.thinking,
            "keeps_reasoning": True,
            "temperature": VALIDATION_TEMPERATURE,
            "reward": None,
            "advantage": None,
        }
