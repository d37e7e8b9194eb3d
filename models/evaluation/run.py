"""Judging a model outside its trainer: greedy, thinking on or off, the same decision points for every model.

Rows are stored conversation by conversation as they are judged, so a killed or interrupted evaluation goes on where it
was, and a budget that ends early leaves all splits equally far.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from data.evaluations import append_evaluations, done, files_of, note_seconds, read_evaluations, seconds_spent
from data.parquet import set_aside_damaged
from data.pass_rates import content_digest, count_evaluation, store
from data.reporting import Reporter
from data.schema import DecisionPoint, Split
from data.settings import Settings
from data.snapshot import read_decision_points
from models.compute import decode_dtype, device_name, tell_what_is_slow
from models.engine.completions import Completion, complete, prompt_ids
from models.engine.rollout import decoder
from models.engine.sampling import Sampling
from models.evaluation.pairing import item_of
from models.evaluation.rejudge import read_and_judged
from models.evaluation.thoughts import forced_thoughts
from models.evaluation.variants import variant
from models.interruption import interruption
from models.policy import load_model, load_tokenizer
from models.training.job import StopReason

#: Completions that are stored together, in units of the batch size: enough that rows which end make room for
#: others, few enough that a budget or Ctrl-C is heeded soon.
STORED_TOGETHER = 2
#: Conversations judged first under a budget, and at least, two of each of two splits: they tell how many more it has
#: room for, and what is judged of several models is compared on what all of them reached.
FIRST_OF_A_BUDGET = 4


@dataclass(frozen=True)
class EvaluationOutcome:
    """How an evaluation ended: ``rows`` judged in all, of ``planned``; ``too_long`` prompts were left out."""

    evaluation_id: str
    rows: int
    planned: int
    too_long: int
    seconds: float
    stopped: StopReason


def evaluate(
    model_dir: Path,
    *,
    run_id: str,
    stage: str,
    evaluation_id: str,
    dataset_version: str,
    splits: Sequence[Split],
    thinking: bool,
    settings: Settings,
    reporter: Reporter,
    alike: str | None = None,
) -> EvaluationOutcome:
    """Judge the model in ``model_dir`` on decision points of ``splits`` and store a row for each.

    ``alike`` is the dataset that the model is otherwise judged on: where this one has the same conversations under
    other tool names (SGD-X), those come first, so that what the names cost is told by the same turns.

    Stops at ``settings.evaluation.minutes``, what earlier attempts took included, or on SIGINT/SIGTERM after the batch
    under way.
    """
    chosen = settings.evaluation
    started = time.monotonic() - seconds_spent(evaluation_id)
    ends = None if chosen.minutes is None else started + chosen.minutes * 60
    tell_what_is_slow(settings, reporter)
    tokenizer = load_tokenizer(model_dir)
    first = judged_first(alike, splits, chosen.decision_points) if alike else ()
    selected = select_points(read_decision_points(dataset_version, splits=splits), chosen.decision_points, first=first)
    selected = changed(selected, chosen.variant, dataset_version)
    fitting = [
        conversation
        for conversation in selected
        if max(len(prompt_ids(tokenizer, p, thinking=thinking)) for p in conversation) <= chosen.max_prompt_length
    ]
    points = [point for conversation in fitting for point in conversation]
    if too_long := sum(map(len, selected)) - len(points):
        reporter.say(
            f"{too_long} decision points left out: their conversation has prompts longer than "
            f"{chosen.max_prompt_length} tokens"
        )
    if damaged := set_aside_damaged(files_of(evaluation_id)):
        reporter.say(f"{len(damaged)} files of this evaluation could not be read; what they held is judged again")
    forced = None if chosen.thoughts == "own" else forced_thoughts(points, chosen.thoughts, chosen.thoughts_of)
    known = done(evaluation_id)
    todo = [conversation for conversation in fitting if not {point.id for point in conversation} <= known]
    judged = len(known)
    reporter.phase(f"evaluating {stage}", total=float(len(points)), unit="decision points", done=float(judged))
    stopped: StopReason = "finished"
    model = decoder(load_model(model_dir, device=device_name(settings)), decode_dtype(settings)) if todo else None
    with interruption() as asked:
        for number, batch in enumerate(batches(todo, STORED_TOGETHER * chosen.batch_size, ends)):
            if asked.asked:
                asked.heeded = True
                stopped = "interrupted"
            elif number and ends is not None and time.monotonic() >= ends:
                stopped = "budget"  # never before the first batch: a table with wide intervals beats none
            if stopped != "finished":
                break
            completions = complete(
                model,
                tokenizer,
                [point for point in batch if point.id not in known],
                thinking=thinking,
                max_new_tokens=chosen.max_completion_length,
                max_rows=chosen.batch_size,
                on_batch=partial(_tell, reporter, judged),
                sampling=Sampling(chosen.temperature) if chosen.sample else None,
                draw=chosen.sample or 0,
                forced=forced,
            )
            head = {"run_id": run_id, "stage": stage, "dataset_version": dataset_version, "thinking": thinking}
            head["variant"] = chosen.changes
            append_evaluations(
                evaluation_id, [{**head, **row(one, thinking, forced=forced is not None)} for one in completions]
            )
            judged += len(completions)
            note_seconds(evaluation_id, time.monotonic() - started)
            reporter.update(judged)
    if chosen.changes is None:  # pass rates are of what was recorded
        contents = {point.id: content_digest(point) for point in points}
        store(evaluation_id, count_evaluation(read_evaluations(evaluation_id), contents))
    return EvaluationOutcome(
        evaluation_id=evaluation_id,
        rows=judged,
        planned=len(points),
        too_long=too_long,
        seconds=time.monotonic() - started,
        stopped=stopped,
    )


def changed(
    conversations: list[list[DecisionPoint]], name: str | None, dataset_version: str
) -> list[list[DecisionPoint]]:
    """The decision points as the variant has them, less those it does not apply to."""
    if name is None:
        return conversations
    examples = read_decision_points(dataset_version, splits=["train"]) if name == "few_shot" else []
    splits: list[Split] = sorted({point.split for conversation in conversations for point in conversation})
    others = read_decision_points(dataset_version, splits=splits) if name == "distractors" else []
    change = variant(name, others, examples)
    kept = [[new for point in members if (new := change(point)) is not None] for members in conversations]
    return [members for members in kept if members]


def _tell(reporter: Reporter, before: int, finished: int) -> None:
    reporter.update(before + finished)


def select_points(
    points: Sequence[DecisionPoint],
    per_split: int | None,
    *,
    from_end: bool = False,
    first: Collection[str] = (),
) -> list[list[DecisionPoint]]:
    """Whole conversations in a stable pseudo-random order, the splits taking turns, about ``per_split`` points each.

    The order depends on conversation ids alone, so a larger number only adds conversations: models judged on different
    budgets still share the first ones. ``from_end`` takes them from the other end of that order, which keeps what
    chooses a checkpoint apart from what judges it. Conversations of ``first``, named without their source, come before
    all others.
    """
    by_split: dict[str, dict[str, list[DecisionPoint]]] = {}
    for point in points:
        by_split.setdefault(point.split, {}).setdefault(point.conversation_id, []).append(point)
    chosen = [
        _first(list(conversations.values()), per_split, from_end, frozenset(first))
        for _, conversations in sorted(by_split.items())
    ]
    return [conversation for turn in zip_longest(*chosen) for conversation in turn if conversation is not None]


def judged_first(dataset_version: str, splits: Sequence[Split], per_split: int | None) -> set[str]:
    """The conversations that a model is judged on in a dataset, named without their source."""
    selected = select_points(read_decision_points(dataset_version, splits=splits), per_split)
    return {item_of(conversation[0].conversation_id) for conversation in selected}


def _first(
    conversations: list[list[DecisionPoint]], wanted: int | None, from_end: bool, first: frozenset[str]
) -> list[list[DecisionPoint]]:
    ordered = sorted(
        conversations,
        key=lambda members: hashlib.sha256(members[0].conversation_id.encode()).digest(),
        reverse=from_end,
    )
    ordered.sort(key=lambda members: item_of(members[0].conversation_id) not in first)
    if wanted is None:
        return ordered
    taken: list[list[DecisionPoint]] = []
    count = 0
    for members in ordered:
        if count >= wanted:
            break
        taken.append(members)
        count += len(members)
    return taken


def batches(
    conversations: Sequence[list[DecisionPoint]], rows: int, ends: float | None = None
) -> Iterator[list[DecisionPoint]]:
    """Whole conversations gathered until a batch has at least ``rows`` decision points.

    Where a budget ``ends`` (by ``time.monotonic``), the first batch has a few conversations, and each other no more
    than what is left has room for at the pace so far, one conversation at least: a whole batch takes a slow machine
    several times a budget of seconds.
    """
    waiting, begun, given = deque(conversations), time.monotonic(), 0
    wanted, most = rows, len(waiting) if ends is None else FIRST_OF_A_BUDGET
    while waiting:
        batch: list[DecisionPoint] = []
        taken = 0
        while waiting and len(batch) < wanted and taken < most:
            batch.extend(waiting.popleft())
            taken += 1
        yield batch
        given += len(batch)
        if ends is not None:
            now = time.monotonic()
            wanted, most = max(1, min(rows, int(given / max(now - begun, 1e-9) * (ends - now)))), len(waiting)


def row(completion: Completion, thinking: bool, *, forced: bool = False) -> dict[str, Any]:
    """The evaluation columns that follow from one completion; where the thought was forced, the action alone counts."""
    point = completion.point
    parsed, judged = read_and_judged(
        point, completion.text, thinking=thinking, forced=forced, truncated=completion.truncated
    )
    return {
        "decision_point_id": point.id,
        "conversation_id": point.conversation_id,
        "split": point.split,
        "domain": point.domain,
        "kind": point.kind,
        "tool": point.tool,
        "text": completion.text,
        "reasoning": parsed.reasoning,
        "action": parsed.action,
        "parse_status": str(parsed.status),
        "completion_tokens": completion.tokens,
        "truncated": completion.truncated,
        **judged.as_row(),
    }
