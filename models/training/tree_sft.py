"""SFT on completions that share their prompts' history: TRL's ``SFTTrainer`` over the prefix tree of each micro-batch.

Priming learns single decision points, each a whole history with one labelled completion at its end. Row by row a
conversation's history would be computed once for every one of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import SequentialSampler
from trl import SFTTrainer

from models.engine.scoring import TREE_ATTENTIONS, visibility
from models.engine.tree import NO_LABEL, Row, grow


class InOrderSFTTrainer(SFTTrainer):
    """TRL's trainer; rows come in the order given."""

    def _get_train_sampler(self, *unused: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


class TreeSFTTrainer(InOrderSFTTrainer):
    """Over prefix trees: neighbours share a history, and rows are labelled at their end only.

    Raises:
        ValueError: The model's attention takes no trees: it would read each branch without the history it shares.
    """

    def __init__(self, model: Any, *more: Any, **others: Any) -> None:
        attention = model.config._attn_implementation
        if attention not in TREE_ATTENTIONS:
            raise ValueError(
                f"attention '{attention}' takes no packed trees; set one of {', '.join(sorted(TREE_ATTENTIONS))}"
            )
        super().__init__(model, *more, **others)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *more: Any, **others: Any) -> Any:
        """TRL's loss and metrics, of the packed tree: every label is still predicted once, from its own history."""
        return super().compute_loss(model, as_tree(inputs), *more, **others)


def as_tree(inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
    """A padded batch (``input_ids``, ``attention_mask``, ``labels``) as the model inputs of its prefix tree."""
    device = inputs["input_ids"].device
    rows = []
    for ids, mask, labels in zip(inputs["input_ids"], inputs["attention_mask"], inputs["labels"], strict=True):
        length = int(mask.sum())
        rows.append(Row(ids[:length].tolist(), length - int((labels != NO_LABEL).sum())))
    tree = grow(rows, own_labels=True)
    packed = {"input_ids": tree.tokens, "position_ids": tree.positions, "shift_labels": tree.labels}
    tensors = {name: torch.from_numpy(values).unsqueeze(0).to(device) for name, values in packed.items()}
    return tensors | visibility(tree, device)
