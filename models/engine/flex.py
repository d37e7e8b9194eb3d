"""Training attention on GPUs: FlexAttention over packed trees, which skips blocks that no query sees.

A name of its own beside transformers' ``flex_attention``, because the mask comes as a keyword of the forward: trainers
read ``attention_mask`` and expect a tensor there.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

from models.engine.tree import Tree, sees

FLEX = "apprentice_flex"


def flex_mask(tree: Tree, device: torch.device) -> Any:
    """FlexAttention's block mask of a packed tree, on the device."""
    from torch.nn.attention.flex_attention import create_block_mask

    end = torch.from_numpy(tree.end).to(device)

    def visible(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return sees(query, key, end[key])

    return create_block_mask(visible, B=None, H=None, Q_LEN=len(tree), KV_LEN=len(tree), device=str(device))


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    *,
    flex: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention function for transformers' ``AttentionInterface``: its FlexAttention under the mask in ``flex``.

    Raises:
        ValueError: No mask was given: FlexAttention without one would attend to everything.
    """
    from transformers.integrations.flex_attention import flex_attention_forward

    if flex is None:
        raise ValueError(f"attention '{FLEX}' needs the block mask of a packed tree")
    return flex_attention_forward(module, query, key, value, flex, scaling, **kwargs)


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Registered beside the attention function so that the absence of a mask is stated, not an accident."""


AttentionInterface.register(FLEX, attend)
AttentionMaskInterface.register(FLEX, _no_mask)
