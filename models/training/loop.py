"""What SFT, priming and GRPO share around TRL's trainers: arguments, budget, checkpoints, reporting."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTTrainer

from data.files import write_whole
from data.reporting import Reporter
from data.settings import TrainingSettings
from models.compute import bf16_pays, uses_cuda
from models.interruption import Interruption
from models.policy import save_weights
from models.training import checkpoints, ranks
from models.training.job import StopReason, TrainingJob, TrainingOutcome
from models.training.tight_memory import TightMemory
from models.training.warm_up import WarmUp

PROGRESS = "progress.json"
BEST = "best"
MARK = "validation.json"
OUTCOME = "outcome.json"
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
        **ranks.shares(stage.batch_size, stage.micro_batch_size, getattr(stage, "num_generations", 1)),
        "max_steps": stage.max_steps,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "inverse_sqrt",
        "lr_scheduler_kwargs": {"timescale": max(stage.schedule_timescale, stage.warmup_steps + 1)},
        "warmup_steps": stage.warmup_steps,
        "weight_decay": stage.weight_decay,
        "max_grad_norm": stage.max_grad_norm,
        "seed": job.settings.seed,
        "data_seed": order_seed(job.settings.seed),
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


def order_seed(seed: int) -> int:
    """What the order of rows is drawn by. accelerate draws pass ``n`` by this number plus ``n``
    (``SeedableRandomSampler``), so with the seed itself the second pass of one seed would be the first of the next,
    and seeds that are compared would not be independent."""
    return int.from_bytes(hashlib.blake2b(f"order-{seed}".encode(), digest_size=4).digest(), "big") >> 1


class BudgetCallback(TrainerCallback):
    """Stops at the wall-clock budget or on a signal, at a step's end, and asks for checkpoints now and then.

    Time spent in earlier attempts of the same run counts as far as their work is there: it is kept within each
    checkpoint, with the time that the end will take. Whatever else ends a training (early stopping) comes before this
    callback: what has ended is neither interrupted nor saved as something to go on with, since whoever resumed there
    would train further.
    """

    def __init__(self, stage: TrainingSettings, interruption: Interruption) -> None:
        self._minutes = stage.minutes
        self._save_every = stage.save_every_minutes * 60
        self._interruption = interruption
        interruption.heeded = not ranks.leads()  # what reaches another rank reaches rank 0, which decides
        self._started = self._last_save = time.monotonic()
        self._before = 0.0
        self.stopped: StopReason = "finished"
        self.reserve = 0.0
        """Seconds that are still needed after the last step, such as a last validation's."""

    def begin(self) -> None:
        """Let the clock run from now on: what was loaded before is not training."""
        self._started = self._last_save = time.monotonic()

    def go_on_from(self, checkpoint: Path) -> None:
        """Count what was spent up to a checkpoint; what came after it is done, and paid for, again. A checkpoint whose
        process was killed before it was sealed has that beside it."""
        before = _read_progress(checkpoint / PROGRESS) or _share_of(
            _read_progress(checkpoint.parent / PROGRESS), checkpoint
        )
        self._before, self.reserve = before.get("seconds", 0.0), before.get("reserve", 0.0)

    @property
    def seconds(self) -> float:
        """Training seconds so far, earlier attempts included."""
        return self._before + time.monotonic() - self._started

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Decide whether to save and whether to go on; rank 0 does, for all."""
        ended = control.should_training_stop or state.global_step >= state.max_steps
        if not ended and self.stopped == "finished":
            if self._interruption.asked:
                self._interruption.heeded = True
                self.stopped = "interrupted"
            elif self._minutes is not None and self.seconds + self.reserve >= self._minutes * 60:
                self.stopped = "budget"
        self.stopped, control.should_training_stop = ranks.agreed(
            (self.stopped, control.should_training_stop or self.stopped != "finished")
        )
        # Not after the last step: whoever resumes there would make transformers train one step more.
        goes_on = not control.should_training_stop and state.global_step < state.max_steps
        due = time.monotonic() - self._last_save >= self._save_every
        if ranks.agreed(self.stopped == "interrupted" or (due and goes_on)):
            control.should_save = True
            if ranks.leads():
                write_whole(Path(args.output_dir) / PROGRESS, self._progress(state))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Seal the checkpoint and remember how much of the budget is spent."""
        self._last_save = time.monotonic()
        ranks.wait()  # each writes the state of its random numbers
        if not ranks.leads():
            return
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        write_whole(checkpoint / PROGRESS, self._progress(state))
        checkpoints.seal(checkpoint)

    def _progress(self, state: TrainerState) -> str:
        return json.dumps({"seconds": self.seconds, "step": state.global_step, "reserve": self.reserve})


def _read_progress(file: Path) -> dict[str, float]:
    """What was spent, within the checkpoint or beside it; nothing where that was not written."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _share_of(told: dict[str, float], checkpoint: Path) -> dict[str, float]:
    """What ``told`` of the newest save says of a checkpoint: all where it is that one, else of its time as much as it
    has of its steps."""
    step = checkpoints.step_of(checkpoint)
    share = min(1.0, step / told["step"]) if told.get("step") else 1.0
    return {**told, "seconds": share * told["seconds"]} if told else {}


class ReportCallback(TrainerCallback):
    """Forwards the trainer's figures under our names, and its progress."""

    def __init__(
        self, reporter: Reporter, stage: str, stage_settings: TrainingSettings, budget: BudgetCallback
    ) -> None:
        self._reporter = reporter
        self._stage = stage
        self._minutes = stage_settings.minutes
        self._budget = budget

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Announce the phase, measured in percent: of the steps or of the budget, whichever is nearer its end."""
        self._reporter.phase(self._stage, total=100.0, unit="%", done=self._percent(state))

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
        name = "reward" if "train/reward" in figures else "loss"
        note = f"step {state.global_step} of at most {state.max_steps}, {name} {figures[f'train/{name}']:.3f}"
        self._reporter.update(self._percent(state), note)

    def _percent(self, state: TrainerState) -> float:
        share = state.global_step / state.max_steps
        if self._minutes is not None:
            share = max(share, self._budget.seconds / 60 / self._minutes)
        return round(100 * min(share, 1.0), 1)


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


def run_trainer(
    trainer: Any,
    job: TrainingJob,
    budget: BudgetCallback,
    counts: dict[str, int],
    judged: Callable[[int], dict[str, Any]] | None = None,
    shown: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> TrainingOutcome:
    """Train from the newest whole checkpoint, if any, and leave ``model/`` (weights, tokenizer) in the run's directory.

    ``judged`` gives the verdict on the run from its last step; within ``shown`` the model has the weights to leave.

    How it ended is written beside the model before the checkpoints go, so that a kill in between loses nothing: see
    ``finished_before``.
    """
    folder = job.run_dir / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    trainer.remove_callback(PrinterCallback)  # ReportCallback says it better
    trainer.add_callback(TightMemory())
    trainer.add_callback(WarmUp())
    if ranks.leads():
        checkpoints.forget_from(folder, trainer.args.max_steps)
    resumed = ranks.agreed(checkpoints.newest(folder) if ranks.leads() else None)
    if resumed:
        budget.go_on_from(Path(resumed))
        _count_on(trainer, Path(resumed))
    trainer.train(resume_from_checkpoint=resumed)
    model_dir = job.run_dir / "model"
    best = read_best(folder)
    outcome = TrainingOutcome(
        model_dir=model_dir,
        steps=trainer.state.global_step,
        planned_steps=trainer.state.max_steps,
        seconds=budget.seconds,
        stopped=budget.stopped,
        metrics={f"best_{name}": value for name, value in (best or {}).items()},
        counts=counts,
        verdict=judged(trainer.state.global_step) if judged else None,
    )
    ranks.wait()
    if budget.stopped != "interrupted" and ranks.leads():
        with shown():
            save_model(trainer, model_dir)
        told = {**asdict(outcome), "model_dir": str(model_dir)}
        write_whole(job.run_dir / OUTCOME, json.dumps(told))
        shutil.rmtree(folder)
    return outcome


def _count_on(trainer: Any, checkpoint: Path) -> None:
    """Let TRL's ``SFTTrainer`` count tokens from where the checkpoint was: it keeps the count in memory only (TRL 1.16,
    ``sft_trainer.py:1215``), so a resumed run's curve would start again from zero. Other trainers keep it themselves.
    """
    if isinstance(trainer, SFTTrainer):
        told = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))["log_history"]
        counts = (entry["num_tokens"] for entry in reversed(told) if "num_tokens" in entry)
        trainer._total_train_tokens = int(next(counts, 0))


def finished_before(job: TrainingJob) -> TrainingOutcome | None:
    """The outcome of a training that was whole when its process died, before the stage could take note of it."""
    file = job.run_dir / OUTCOME
    if not file.exists() or not (job.run_dir / "model" / "model.safetensors").exists():
        return None
    told = json.loads(file.read_text(encoding="utf-8"))
    return TrainingOutcome(**{**told, "model_dir": Path(told["model_dir"])})


def read_best(checkpoints: Path) -> dict[str, float] | None:
    """Step and score of the best weights by validation so far; None if there are none."""
    mark = checkpoints / MARK
    if not mark.exists():
        return None
    told = json.loads(mark.read_text(encoding="utf-8"))
    return told if best_weights(checkpoints, told["step"]).exists() else None


def best_weights(checkpoints: Path, step: float) -> Path:
    """Where the weights of this step lie while they are the best: the mark names them, so it is never of others."""
    return checkpoints / f"{BEST}-{step:g}"


def save_model(trainer: Any, model_dir: Path) -> None:
    """The best weights by validation if there was any, else the last ones, with the tokenizer: whole or not there."""
    partial = model_dir.with_name(model_dir.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    folder = Path(trainer.args.output_dir)
    if best := read_best(folder):
        shutil.copytree(best_weights(folder, best["step"]), partial)
    else:
        save_weights(trainer.accelerator.unwrap_model(trainer.model), partial)
    trainer.processing_class.save_pretrained(partial)
    shutil.rmtree(model_dir, ignore_errors=True)
    partial.rename(model_dir)
