"""Log-probabilities of many rows over their prefix trees: what TRL computes row by row, each prefix once.

The model is called as it is wrapped (DDP, PEFT and checkpointing hooks see an ordinary forward); TRL's fused LM head
projects labelled positions only. On CPUs attention goes block by block (``blocks``), on GPUs through FlexAttention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from models.engine.blocks import BLOCKS, plan
from models.engine.flex import FLEX, flex_mask
from models.engine.tree import Row, Tree, forest

#: Packed tokens of one forward at most: bounds the memory of its activations.
MOST_TOKENS = 16_384


#: Attentions that see a packed token's own history and nothing else.
TREE_ATTENTIONS = frozenset({BLOCKS, FLEX})


def attend_over_trees(model: Any) -> None:
    """Let a transformers model take packed trees: sets its attention, by the device it lies on."""
    model.set_attn_implementation(FLEX if model.device.type == "cuda" else BLOCKS)


def score_rows(
    model: Any, rows: Sequence[Row], width: int, *, entropies: bool = False, most_tokens: int = MOST_TOKENS
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Log-probabilities of the rows' scored tokens, with gradients where they are on.

    Args:
        model: A causal language model with TRL's fused head (``add_fused_lm_head``: its temperature applies), prepared
            by ``attend_over_trees``, possibly wrapped.
        rows: What to score.
        width: Columns of the result; at least the most scored tokens of a row.
        entropies: Whether to return the entropies of the predicted distributions too, without gradients.
        most_tokens: Packed tokens of one forward at most.

    Returns:
        ``(rows, width)`` each, zero beyond a row's scored tokens; None for entropies not asked for.
    """
    device = next(model.parameters()).device
    logps = torch.zeros(len(rows), width, device=device)
    found = torch.zeros_like(logps) if entropies else None
    for members, tree in forest(rows, most_tokens):
        out = model(
            input_ids=torch.from_numpy(tree.tokens).unsqueeze(0).to(device),
            position_ids=torch.from_numpy(tree.positions).unsqueeze(0).to(device),
            shift_labels=torch.from_numpy(tree.labels).unsqueeze(0).to(device),
            fused_lm_head=True,
            **visibility(tree, device),
        )
        row = torch.cat([torch.full((len(at),), member) for member, at in zip(members, tree.scored, strict=True)])
        column = torch.cat([torch.arange(len(at)) for at in tree.scored])
        packed = torch.cat([torch.from_numpy(at) for at in tree.scored]).to(device)
        place = (row.to(device), column.to(device))
        logps = logps.index_put(place, out.log_probs[0, packed].to(logps.dtype))
        if found is not None:
            found = found.index_put(place, out.entropy[0, packed].detach().to(found.dtype))
    return logps, found


def visibility(tree: Tree, device: torch.device) -> dict[str, Any]:
    """Keywords of the model's forward that tell its attention who sees whom in a packed tree."""
    return {"flex": flex_mask(tree, device)} if device.type == "cuda" else {"blocks": plan(tree.end)}
