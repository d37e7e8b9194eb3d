"""What SFT, priming and GRPO share around TRL's trainers: arguments, budget, interruption, checkpoints, reporting."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from data.reporting import Reporter
from data.settings import TrainingSettings
from models.compute import bf16_pays, uses_cuda
from models.policy import save_weights
from models.training.job import StopReason, TrainingJob, TrainingOutcome

PROGRESS = "progress.json"
BEST = "best"
#: What the trainers call a figure, and what we call it everywhere (MLflow, SQL, docs).
METRIC_NAMES = {
    "loss": "train/loss",
    "grad_norm": "train/grad_norm",
    "learning_rate": "train/learning_rate",
    "entropy": "train/entropy",
    "mean_token_accuracy": "train/token_accuracy",
    "num_tokens": "train/tokens",
    "kl": "train/kl",
    "reward": "train/reward",
    "reward_std": "train/reward_std",
    "completions/mean_length": "train/completion_length",
    "completions/clipped_ratio": "train/truncated_share",
    "step_time": "train/step_seconds",
}


def common_arguments(job: TrainingJob, stage: TrainingSettings) -> dict[str, Any]:
    """Keyword arguments that every TRL config gets. The learning rate depends on steps only, never on the budget."""
    cuda = uses_cuda(job.settings)
    return {
        "output_dir": str(job.run_dir / "checkpoints"),
        "per_device_train_batch_size": stage.micro_batch_size,
        "gradient_accumulation_steps": stage.batch_size // stage.micro_batch_size,
        "max_steps": stage.max_steps,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "inverse_sqrt",
        "lr_scheduler_kwargs": {"timescale": max(stage.schedule_timescale, stage.warmup_steps + 1)},
        "warmup_steps": stage.warmup_steps,
        "weight_decay": stage.weight_decay,
        "max_grad_norm": stage.max_grad_norm,
        "seed": job.settings.seed,
        "data_seed": job.settings.seed,
        "use_cpu": not cuda,
        "bf16": bf16_pays(job.settings),
        "gradient_checkpointing": cuda,
        "logging_steps": 1,
        "save_strategy": "no",  # checkpoints are asked for by BudgetCallback, by wall clock
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": cuda,
    }


class BudgetCallback(TrainerCallback):
    """Stops at the wall-clock budget or on a signal, at a step's end, and asks for checkpoints now and then.

    Time spent in earlier attempts of the same run counts: it is kept in ``progress.json`` beside each checkpoint.
    """

    def __init__(self, run_dir: Path, stage: TrainingSettings, interrupted: Callable[[], bool]) -> None:
        self._file = run_dir / "checkpoints" / PROGRESS
        self._minutes = stage.minutes
        self._save_every = stage.save_every_minutes * 60
        self._interrupted = interrupted
        self._started = self._last_save = time.monotonic()
        self._before = _read_seconds(self._file)
        self.stopped: StopReason = "finished"

    @property
    def seconds(self) -> float:
        """Training seconds so far, earlier attempts included."""
        return self._before + time.monotonic() - self._started

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """The clock starts with the first step, not with the loading of the model."""
        self._started = self._last_save = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Decide whether to save and whether to go on."""
        if self._interrupted():
            self.stopped = "interrupted"
        elif self._minutes is not None and self.seconds >= self._minutes * 60 and state.global_step < state.max_steps:
            self.stopped = "budget"
        if self.stopped != "finished":
            control.should_training_stop = True
        due = time.monotonic() - self._last_save >= self._save_every
        if self.stopped == "interrupted" or (due and self.stopped == "finished"):
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Remember how much of the budget is spent."""
        self._last_save = time.monotonic()
        partial = self._file.with_suffix(".tmp")
        partial.write_text(json.dumps({"seconds": self.seconds, "step": state.global_step}), encoding="utf-8")
        os.replace(partial, self._file)


def _read_seconds(file: Path) -> float:
    return float(json.loads(file.read_text(encoding="utf-8"))["seconds"]) if file.exists() else 0.0


class ReportCallback(TrainerCallback):
    """Forwards the trainer's figures under our names, and its progress."""

    def __init__(
        self, reporter: Reporter, stage: str, stage_settings: TrainingSettings, budget: BudgetCallback
    ) -> None:
        self._reporter = reporter
        self._stage = stage
        self._minutes = stage_settings.minutes
        self._budget = budget
        self._note = ""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Announce the phase."""
        self._reporter.phase(self._stage, total=float(state.max_steps))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Forward what TRL logged after a step."""
        figures = rename_metrics(logs or {})
        if "train/loss" not in figures:
            return
        figures["train/minutes"] = self._budget.seconds / 60
        self._reporter.metrics(figures, state.global_step)
        shown = figures.get("train/reward", figures["train/loss"])
        self._note = f"{'reward' if 'train/reward' in figures else 'loss'} {shown:.3f}"
        if self._minutes is not None:
            self._note += f", {self._budget.seconds / 60:.1f} of {self._minutes:g} min"
        self._reporter.update(state.global_step, self._note)


def rename_metrics(logs: dict[str, float]) -> dict[str, float]:
    """TRL's figures under our names; those without one of ours are left out."""
    renamed = {
        METRIC_NAMES[key]: float(value) for key, value in logs.items() if key in METRIC_NAMES and value is not None
    }
    parts = {
        f"train/{key.removesuffix('/mean').removeprefix('rewards/')}": float(value)
        for key, value in logs.items()
        if key.startswith("rewards/") and key.endswith("/mean") and value is not None
    }
    return renamed | parts


@contextmanager
def interruption() -> Iterator[Callable[[], bool]]:
    """Within the block SIGINT and SIGTERM only raise a flag, so that the current step can end and be saved.

    A second signal acts as it would have without us. Outside the main thread signals cannot be caught and the flag
    stays down.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def run_trainer(trainer: Any, job: TrainingJob, budget: BudgetCallback, counts: dict[str, int]) -> TrainingOutcome:
    """Train from the newest checkpoint, if any, and leave ``model/`` (weights, tokenizer) in the run's directory.

    Checkpoints of a finished stage are removed: the next stage starts from ``model/``.
    """
    checkpoints = job.run_dir / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    trainer.remove_callback(PrinterCallback)  # ReportCallback says it better
    resumed = get_last_checkpoint(str(checkpoints))
    trainer.train(resume_from_checkpoint=resumed)
    model_dir = job.run_dir / "model"
    if budget.stopped != "interrupted":
        save_model(trainer, model_dir)
        shutil.rmtree(checkpoints)
    return TrainingOutcome(
        model_dir=model_dir,
        steps=trainer.state.global_step,
        planned_steps=trainer.state.max_steps,
        seconds=budget.seconds,
        stopped=budget.stopped,
        metrics={},
        counts=counts,
    )


def save_model(trainer: Any, model_dir: Path) -> None:
    """The best weights by validation if there was any, else the last ones, with the tokenizer: whole or not there."""
    partial = model_dir.with_name(model_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    best = Path(trainer.args.output_dir) / BEST
    if best.exists():
        shutil.copytree(best, partial)
    else:
        save_weights(trainer.accelerator.unwrap_model(trainer.model), partial)
    trainer.processing_class.save_pretrained(partial)
    shutil.rmtree(model_dir, ignore_errors=True)
    partial.rename(model_dir)
