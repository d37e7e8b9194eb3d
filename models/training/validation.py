"""Validation during GRPO by metrics that know nothing of the reward; the best checkpoint is chosen by them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from data.files import write_whole
from data.reporting import Reporter
from data.schema import DecisionPoint
from data.settings import Settings
from data.validations import append_validations
from models.engine.completions import complete_greedily
from models.engine.rollout import refresh
from models.evaluation.run import row
from models.policy import save_weights
from models.training.averaging import Shown
from models.training.job import TrainingJob
from models.training.loop import BEST, MARK, BudgetCallback, best_weights, read_best
from models.training.monitor import Monitor


def validate(
    job: TrainingJob, step: int, model: Any, tokenizer: Any, points: Sequence[DecisionPoint], *, thinking: bool
) -> dict[str, float]:
    """Judge ``points``, store how each went under the run's step, and tell the figures."""
    rows = validated(model, tokenizer, points, thinking=thinking, settings=job.settings)
    head = {"dataset_version": job.dataset_version, "thinking": thinking}
    append_validations(job.run_id, step, [{**head, **one} for one in rows])
    return validation_figures(rows)


def validated(
    model: Any, tokenizer: Any, points: Sequence[DecisionPoint], *, thinking: bool, settings: Settings
) -> list[dict[str, Any]]:
    """How greedy decoding does on each of ``points``: the judge's columns, as in an evaluation."""
    completions = complete_greedily(
        model,
        tokenizer,
        points,
        thinking=thinking,
        max_new_tokens=settings.grpo.max_completion_length,
        max_rows=settings.evaluation.batch_size,
    )
    return [row(completion, thinking) for completion in completions]


def validation_figures(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Turn success, calls made where due and withheld where not, and exact calls, of judged decision points."""
    calls = [one for one in rows if one["kind"] == "call"]
    answers = [one for one in rows if one["kind"] == "answer"]
    figures = {"turn_success": _mean(rows, "turn_success"), "format_ok": _mean(rows, "format_ok")}
    if calls:
        figures |= {"exact_call": _mean(calls, "exact_call"), "call_right": _mean(calls, "decision_correct")}
    if answers:
        figures |= {"no_call_right": _mean(answers, "decision_correct")}
    return {f"validation/{name}": value for name, value in figures.items()}


def _mean(rows: Sequence[dict[str, Any]], column: str) -> float:
    return sum(float(one[column]) for one in rows) / len(rows)


def standing(figures: Mapping[str, float], score: str) -> dict[str, float]:
    """What weights are chosen by: the score and, of equal scores, the exact calls. Most turns are answers, so weights
    that have stopped calling may score as much as those that call."""
    return {name: figures[f"validation/{name}"] for name in (score, "exact_call") if f"validation/{name}" in figures}


def better(reached: Mapping[str, float], best: Mapping[str, float] | None) -> bool:
    """Whether weights with this standing replace the best so far, which stay where they are as good."""
    if best is None:
        return True
    return [*reached.values()] > [best.get(name, value) for name, value in reached.items()]


def given_up(figures: Mapping[str, float], start: Mapping[str, float], margin: float) -> str:
    """Says so where the decision to call or not has become worse than the start's by more than ``margin`` in balanced
    accuracy, the mean over turns where a call is due and the others; empty where it has not, or cannot be told.

    Three of four turns are answers, so weights that withhold calls may have the most turn success of a run, and had it
    three times (docs/log.md, 2026-11-28 and 29). Balanced, since a start that never calls is right on all the others.
    """
    if any(f"validation/{name}" not in told for told in (figures, start) for name in DECISIONS):
        return ""
    now, before = ([told[f"validation/{name}"] for name in DECISIONS] for told in (figures, start))
    if sum(before) / 2 - sum(now) / 2 <= margin:
        return ""
    here, there = (f"{call:.0%} of call turns and {other:.0%} of others" for call, other in (now, before))
    return f"decides right on {here}, the start on {there}"


def keep_best(directory: Path, model: Any, step: int, reached: dict[str, float]) -> None:
    """Keep these weights as the best so far, in ``directory``, with the score they reached: whole or not there, and
    until they are the best before stay."""
    kept = best_weights(directory, step)
    partial = kept.with_name(kept.name + ".partial")
    for left_over in (partial, kept):  # by a process that was killed, whose step is made again
        shutil.rmtree(left_over, ignore_errors=True)
    save_weights(model, partial)
    partial.rename(kept)
    write_whole(directory / MARK, json.dumps({"step": step, **reached}))
    for other in set(directory.glob(f"{BEST}-*")) - {kept}:
        shutil.rmtree(other)


#: Right decisions where a call is due and where none is.
DECISIONS = ("call_right", "no_call_right")
#: What the start reached, for a run that is resumed.
START = "start.json"


class ValidationCallback(TrainerCallback):
    """Validates the policy before the first step and every so many steps, and keeps the best weights by ``SCORE``.

    The best weights so far lie in ``checkpoints/best-STEP``, what they reached is in ``checkpoints/validation.json``:
    a resumed run goes on comparing. Of equal scores the more exact calls win, then the earlier weights; weights that
    have given something up (``grpo.guard``) are not kept, whatever they score. Where weights are averaged it is the
    average that is judged and kept, while the policy goes on with its own.
    """

    SCORE = "turn_success"

    def __init__(
        self,
        job: TrainingJob,
        points: Sequence[Any],
        tokenizer: Any,
        twin: Any,
        reporter: Reporter,
        budget: BudgetCallback,
        monitor: Monitor | None = None,
        shown: Shown = nullcontext,
    ) -> None:
        self._budget = budget
        self._monitor = monitor
        self._shown = shown
        self._job = job
        self._directory = job.run_dir / "checkpoints"
        self._points = points
        self._tokenizer = tokenizer
        self._twin = twin
        self._settings = job.settings
        self._reporter = reporter

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """The start model is the first candidate: GRPO must beat it to replace it."""
        if state.global_step == 0 and self._points:
            self._validate(model, 0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Validate on schedule."""
        if self._points and state.global_step % self._settings.grpo.validate_every == 0:
            with self._shown():
                self._validate(model, state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """The last weights are a candidate too, unless the run was interrupted and will go on."""
        if self._budget.stopped == "interrupted":
            return
        if self._points and state.global_step % self._settings.grpo.validate_every:
            with self._shown():
                self._validate(model, state.global_step)

    def _validate(self, model: Any, step: int) -> None:
        started = time.monotonic()
        refresh(self._twin, model)
        figures = self._figures(step)
        self._reporter.metrics(figures, step)
        if self._monitor is not None:
            self._monitor.watch(figures, step)
        if step == 0:
            write_whole(self._directory / START, json.dumps(figures))
        reached = standing(figures, self.SCORE)
        lost = given_up(figures, self._start(), self._settings.grpo.guard)
        if lost:
            self._reporter.say(f"the weights of step {step} are not kept: the policy {lost}")
        elif better(reached, read_best(self._directory)):
            keep_best(self._directory, model, step, reached)
        self._budget.reserve = time.monotonic() - started

    def _start(self) -> dict[str, float]:
        """The start's figures; none where it was not validated."""
        file = self._directory / START
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def _figures(self, step: int) -> dict[str, float]:
        """``validation/<name>``: what the policy, whose weights the twin has, reaches; turn by turn it is stored."""
        thinking = self._settings.grpo.thinking
        return validate(self._job, step, self._twin, self._tokenizer, self._points, thinking=thinking)
