"""SFT and priming until validation stops improving: the judge's turn success every so many steps, the best kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from data.files import write_whole
from data.reporting import Reporter
from data.schema import VALIDATION_SPLITS, DecisionPoint
from data.settings import ChosenSettings, ContinuedSettings, PrimingSettings
from data.snapshot import read_decision_points
from models.compute import decode_dtype, device_name
from models.engine.rollout import decoder, refresh
from models.evaluation.run import select_points
from models.policy import load_model
from models.training.averaging import Shown
from models.training.job import TrainingJob
from models.training.loop import BudgetCallback, read_best
from models.training.validation import better, keep_best, standing, validate

#: Steps that were validated.
LOOKED_AT = "validated.json"


def validation_points(job: TrainingJob, wanted: int) -> list[DecisionPoint]:
    """About ``wanted`` decision points of validation, those GRPO validates on: from the far end of the order in which
    the evaluation takes its conversations."""
    points = read_decision_points(job.dataset_version, splits=VALIDATION_SPLITS)
    chosen = select_points(points, max(1, wanted // 2), from_end=True)
    return [point for conversation in chosen for point in conversation]


def chosen_by_validation(
    job: TrainingJob, stage: ChosenSettings, tokenizer: Any, reporter: Reporter
) -> Callable[[BudgetCallback, Shown], TrainerCallback] | None:
    """What makes ``EarlyStopping`` for a training; None where it is not validated."""
    if not stage.is_validated:
        return None
    return lambda budget, shown: EarlyStopping(job, stage, tokenizer, reporter, budget, shown)


class EarlyStopping(TrainerCallback):
    """Validates every ``validate_every`` steps, or ``validations`` times at even distances, and ends the training once
    ``patience`` of them brought nothing better.

    What was best, and which steps were looked at, is on disk beside the checkpoints, so a resumed run goes on counting.
    Of equal scores the more exact calls win, then the earlier weights. Where weights are averaged it is the average
    that is judged and kept. How long a validation takes is kept free at the end of the budget, for that of the last
    weights; where none has been made by then the last one exceeds the budget.
    """

    def __init__(
        self,
        job: TrainingJob,
        stage: ChosenSettings,
        tokenizer: Any,
        reporter: Reporter,
        budget: BudgetCallback,
        shown: Shown = nullcontext,
    ) -> None:
        self._job = job
        self._directory = job.run_dir / "checkpoints"
        self._stage = stage
        self._tokenizer, self._reporter, self._budget = tokenizer, reporter, budget
        self._shown = shown
        # From the base model there is nothing to keep: it does not know the format, and to find that out takes minutes.
        # What priming starts from does not think yet.
        self._start_counts = isinstance(stage, ContinuedSettings)
        self._thinking = isinstance(stage, PrimingSettings)
        self._points = validation_points(job, stage.validation_decision_points)
        settings = job.settings
        self._twin = decoder(load_model(job.start_model, device=device_name(settings)), decode_dtype(settings))

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """A trained model that SFT goes on from is the first candidate, as GRPO's start is: where going on hurts it
        stays. A resumed run has validated it before."""
        if self._start_counts and self._points and state.global_step == 0:
            self._validate(model, state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Validate on schedule, and stop where nothing has improved for long enough."""
        if not self._points or not self._due(state):
            return
        with self._shown():
            best_step = self._validate(model, state)
        if sum(step > best_step for step in self._looked_at()) >= self._stage.patience:
            self._reporter.say(f"validation has not improved since step {best_step}: ended at {state.global_step}")
            control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """The last weights are a candidate too, unless the run was interrupted and will go on."""
        if self._points and self._budget.stopped != "interrupted" and state.global_step not in self._looked_at():
            with self._shown():
                self._validate(model, state)

    def _due(self, state: TrainerState) -> bool:
        """Whether this step is one to validate after."""
        if self._stage.validations is None:
            return state.global_step % (self._stage.validate_every or 1) == 0
        # By what is on disk: of a run that is resumed the clock stands where its checkpoint was.
        reached = max((share for step, share in self._looked_at().items() if step < state.global_step), default=0.0)
        return int(reached * self._stage.validations) < int(self._share(state) * self._stage.validations)

    def _share(self, state: TrainerState) -> float:
        """How much of the training is done, from 0 to 1: of its steps or of its clock, whichever is more."""
        share = state.global_step / state.max_steps
        if self._stage.minutes is not None:
            share = max(share, (self._budget.seconds + self._budget.reserve) / (60 * self._stage.minutes))
        return min(share, 1.0)

    def _looked_at(self) -> dict[int, float]:
        """Steps that were validated, in their order, and how much of the training was done when that was over."""
        file = self._directory / LOOKED_AT
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}

    def _validate(self, model: Any, state: TrainerState) -> int:
        """The step of the best weights so far, this one included."""
        step = state.global_step
        started = time.monotonic()
        refresh(self._twin, model)
        figures = validate(self._job, step, self._twin, self._tokenizer, self._points, thinking=self._thinking)
        self._reporter.metrics(figures, step)
        reached, best = standing(figures, "turn_success"), read_best(self._directory)
        if best is None or better(reached, best):
            keep_best(self._directory, model, step, reached)
            best = {"step": step}
        self._budget.reserve = time.monotonic() - started
        # A resumed run comes to steps again that were looked at after its checkpoint.
        before = [(one, share) for one, share in self._looked_at().items() if one < step]
        write_whole(self._directory / LOOKED_AT, json.dumps([*before, (step, self._share(state))]))
        return int(best["step"])
