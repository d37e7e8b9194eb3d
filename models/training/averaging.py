"""An average of the weights over the steps, which a training can leave: as if the learning rate had come down.

Our rates depend on steps only, so that a budget may end a training anywhere; they never come down to zero, and the last
weights still shake. Their average over the last part of the run does not. It is the power-function average of Karras et
al. 2024 (https://arxiv.org/abs/2312.02696, section 3.1): the weights of step ``t`` count in proportion to ``t`` to the
power ``gamma``, so the span that is averaged over grows with the run and what it began with is forgotten, wherever it
ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from models.training import ranks

FILE = "average.safetensors"
#: Within the block the model has the weights that the stage would leave now.
Shown = Callable[[], AbstractContextManager[None]]


def averaged(width: float | None) -> tuple[list[WeightAverage], Shown]:
    """The average of a stage's weights as its trainer's callback, on rank 0 of a stage that has one; and what shows the
    model with the weights that the stage would leave."""
    if width is None or not ranks.leads():
        return [], nullcontext
    average = WeightAverage(width)
    return [average], average.shown


def exponent(width: float) -> float:
    """``gamma`` of the average whose weighting over the run is as wide as ``width``: its standard deviation as a share
    of the run (``sigma_rel``; Karras et al., equation 2 and algorithm 2). 0.1 gives 6.94.

    Raises:
        ValueError: No such average is that wide; the widest, with all steps alike, is 0.288.
    """
    squared = width**-2
    gamma = float(np.roots([1, 7, 16 - squared, 12 - squared]).real.max())
    if not 0 <= gamma < np.inf:
        raise ValueError(f"an average of width {width} does not exist; set a value above 0 and below 0.288")
    return gamma


class WeightAverage(TrainerCallback):
    """Keeps the average of the trained weights (under LoRA: of the adapter), in float32 as they are, from the first
    step on.

    It belongs after what asks for checkpoints in a trainer's list of callbacks. It lies in each checkpoint, under the
    checkpoint's seal, so a run that is resumed goes on averaging and ends bit for bit as one that is not. Only rank 0
    needs it, which validates and saves.
    """

    def __init__(self, width: float) -> None:
        self._power = exponent(width) + 1
        self._trained: dict[str, torch.nn.Parameter] = {}
        self._average: dict[str, torch.Tensor] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Go on from the checkpoint, or from the weights as they are."""
        self._trained = {name: one for name, one in model.named_parameters() if one.requires_grad}
        self._average = {name: one.detach().clone() for name, one in self._trained.items()}
        file = _checkpoint(args, state) / FILE
        if state.global_step and file.exists():
            for name, kept in load_file(file).items():
                self._average[name].copy_(kept)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take in the new weights, before anything judges this step; the first step's replace those of the start."""
        step = state.global_step + 1  # the trainer counts it later
        take_in = get_ema_multi_avg_fn((1 - 1 / step) ** self._power)
        take_in(list(self._average.values()), [one.detach() for one in self._trained.values()], step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write it where a checkpoint is about to be: before the file that tells that a checkpoint is whole."""
        if control.should_save:
            folder = _checkpoint(args, state)
            folder.mkdir(parents=True, exist_ok=True)
            save_file(self._average, folder / FILE)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within the block the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._trained.items():
            parameter.data, self._average[name] = self._average[name], parameter.data


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
