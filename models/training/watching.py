"""The hacking monitor at work in the trainer: it looks after each step, says what it sees once, and may end the run."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from data.reporting import Reporter
from models.training.loop import BudgetCallback
from models.training.monitor import Monitor


class MonitorCallback(TrainerCallback):
    """Comes after validation, whose figures it judges, and before the budget, which it tells to stop."""

    def __init__(self, monitor: Monitor, budget: BudgetCallback, reporter: Reporter) -> None:
        self._monitor = monitor
        self._budget = budget
        self._reporter = reporter
        self._told: set[str] = set()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Count the breaches, say the new ones, and stop where the settings say so."""
        breaches = self._monitor.breaches_at(state.global_step)
        self._reporter.metrics({"monitor/breaches": float(len(breaches))}, state.global_step)
        for breach in breaches:
            if breach.signal not in self._told:
                self._told.add(breach.signal)
                self._reporter.say(f"hacking monitor, step {breach.step}: {breach.says}")
        if breaches and self._monitor.settings.on_breach == "stop" and self._budget.stopped == "finished":
            self._budget.stopped = "breach"
