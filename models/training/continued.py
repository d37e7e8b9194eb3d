"""SFT that goes on: the twin of GRPO that gets the same time and more of the same instead of rewards.

A fresh optimizer on the SFT model's weights, other conversations first (the order is drawn from another seed), so it
does not begin by repeating what the model saw last. That holds for a shuffled order: under ``coverage`` the first
conversations are nearly the same whatever the seed. Where it is validated the model it starts from is the first
candidate, as with GRPO: more of the same that does not help leaves it (models/training/early_stopping.py).
"""

from __future__ import annotations

from dataclasses import replace

from data.reporting import Reporter
from models.training.job import TrainingJob, TrainingOutcome
from models.training.sft import train_on_conversations

#: Added to the run's seed: another order of conversations than the SFT it continues.
ANOTHER_ORDER = 7919


def continue_sft(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Train the SFT model further.

    Raises:
        EmptySplit: No conversation of the train split fits into ``max_length``.
    """
    settings = job.settings.model_copy(update={"seed": job.settings.seed + ANOTHER_ORDER})
    return train_on_conversations(replace(job, settings=settings), reporter, "continued", settings.continued)
