"""A training begins with the memory of the stage before it, and does not run into the end of it by its own gaps."""

from __future__ import annotations

import gc
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from models.compute import give_back_freed_memory
from models.memory import available_memory, total_memory

#: Share of the machine's memory below which what is left is too little for the next step's gaps.
TIGHT = 0.25


class TightMemory(TrainerCallback):
    """Gives back what the C library holds of freed tensors: of the stages before, and where memory comes near its end.

    It keeps them for the next step (``models.compute.keep_freed_memory``), and sizes differ by step, so gaps grow: on
    24 GB priming at 3,072 tokens takes 12 alone, and was killed at 24 after 75 minutes of SFT in the same process.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Before activations are measured against what is free: a trainer that is done is a cycle until collected."""
        gc.collect()
        give_back_freed_memory()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Faulting pages in anew costs a step a second; a killed process costs all since its last checkpoint."""
        if available_memory() < TIGHT * total_memory():
            give_back_freed_memory()
