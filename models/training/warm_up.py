"""A warm-up whose first step moves: transformers' begins at a rate of exactly zero.

Its schedules multiply the learning rate by ``step / warmup_steps`` with steps counted from 0
(``transformers/optimization.py``, ``_get_inverse_sqrt_schedule_lr_lambda``, 5.23), so the first optimizer step is
computed and thrown away: a GRPO of one step can leave nothing but its start, and an average of weights takes in an
unmoved copy. Here step ``s`` of ``w`` has ``(s + 1) / (w + 1)`` of the rate; after warm-up all is transformers' own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class WarmUp(TrainerCallback):
    """Puts the rates of warm-up in the place of the scheduler's, in a run that begins and in one that is resumed.

    The scheduler keeps functions out of its state, so a checkpoint holds the number of the step alone.
    """

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        **kwargs: Any,
    ) -> None:
        """Set the rates of the step that comes next, and of those after it."""
        lr_scheduler.lr_lambdas = [warmed(one, int(args.warmup_steps)) for one in lr_scheduler.lr_lambdas]
        step = lr_scheduler.last_epoch
        rates = [base * share(step) for base, share in zip(lr_scheduler.base_lrs, lr_scheduler.lr_lambdas, strict=True)]
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        lr_scheduler._last_lr = rates


def warmed(after: Callable[[int], float], steps: int) -> Callable[[int], float]:
    """Share of the learning rate by step, counted from 0: a warm-up of so many steps, then ``after``."""
    return lambda step: (step + 1) / (steps + 1) if step < steps else after(step)
