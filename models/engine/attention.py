"""Attention for decoding over shared trunks: a conversation's keys and values are held once, whoever reads them.

A *trunk* is the token prefix that several rows continue. Attention of a row is the exact softmax over the part of its
trunk it may see and its own suffix, computed apart and joined by their log-sum-exps (as flash-decoding and cascade
inference do), so the trunk part is one matrix product per head for all rows of a conversation.

The state travels to the attention function as a keyword of the model's forward. Plain transformers models are used
unchanged, by the attention name ``ATTENTION``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface

ATTENTION = "apprentice_trunks"


@dataclass
class Trunk:
    """Keys and values of one token prefix, by layer: each ``(kv_heads, tokens, head_dim)``."""

    keys: list[torch.Tensor] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        """Tokens it holds."""
        return int(self.keys[0].shape[1]) if self.keys else 0


@dataclass
class Branches:
    """Rows that continue the same trunk, and how much of it each may see.

    ``rows`` is their slice of the decode batch; ``hidden`` is a boolean mask ``(rows, longest)`` of trunk positions a
    row must not see, or None if all see all; ``longest`` is the longest visible prefix.
    """

    trunk: Trunk
    rows: slice
    longest: int
    hidden: torch.Tensor | None
    _mask: torch.Tensor | None = field(default=None, init=False)

    def mask(self, share: int, dtype: torch.dtype) -> torch.Tensor | None:
        """What is added to the scores of ``rows * share`` queries: minus infinity where hidden; None if all see all."""
        if self._mask is None and self.hidden is not None:
            hidden = self.hidden.repeat_interleave(share, dim=0)
            self._mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(
                hidden, float("-inf")
            )
        return self._mask


@dataclass
class DecodeState:
    """Own suffixes of all rows and the trunks they hang on.

    ``keys`` and ``values`` hold per layer a buffer ``(rows, kv_heads, capacity, head_dim)`` of which the first
    ``length`` positions are filled.
    """

    branches: list[Branches]
    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    length: int = 0


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    *,
    trunk: Trunk | None = None,
    decode: DecodeState | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function for transformers' ``AttentionInterface``; inference only, no padding.

    Args:
        module: The attention layer; its ``layer_idx`` selects the buffers.
        query: ``(rows, heads, tokens, head_dim)``, rotated.
        key: ``(rows, kv_heads, tokens, head_dim)``, rotated; ``value`` likewise.
        attention_mask: Unused: visibility follows from ``trunk`` or ``decode``.
        scaling: Factor on the scores.
        dropout: Unused, inference only.
        trunk: Prefill: one row, causal, continuing what the trunk holds already; its keys and values are added to it.
        decode: One new token per row, attending to its trunk and its own suffix.
        kwargs: What transformers passes to every attention function.

    Returns:
        ``(rows, tokens, heads, head_dim)`` and no weights.
    """
    if trunk is not None:
        return _prefill_step(module.layer_idx, query, key, value, scaling, trunk), None
    if decode is None:
        raise RuntimeError(f"attention '{ATTENTION}' needs a trunk to fill or a decode state")
    return _decode_step(module.layer_idx, query, key, value, scaling, decode), None


def _prefill_step(
    layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, trunk: Trunk
) -> torch.Tensor:
    """Causal attention of a trunk's new tokens over all of it."""
    if layer == len(trunk.keys):
        trunk.keys.append(key[0].contiguous())
        trunk.values.append(value[0].contiguous())
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
        return out.transpose(1, 2)
    trunk.keys[layer] = torch.cat([trunk.keys[layer], key[0]], dim=1)
    trunk.values[layer] = torch.cat([trunk.values[layer], value[0]], dim=1)
    new, total = query.shape[2], trunk.keys[layer].shape[1]
    visible = torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)
    keys, values = trunk.keys[layer].unsqueeze(0), trunk.values[layer].unsqueeze(0)
    out = F.scaled_dot_product_attention(query, keys, values, attn_mask=visible, scale=scaling, enable_gqa=True)
    return out.transpose(1, 2)


def _decode_step(
    layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, state: DecodeState
) -> torch.Tensor:
    rows, heads, _, width = query.shape
    kv_heads = key.shape[1]
    position = state.length
    state.keys[layer][:, :, position] = key[:, :, 0]
    state.values[layer][:, :, position] = value[:, :, 0]
    grouped = query.view(rows, kv_heads, heads // kv_heads, width)
    keys, values = (kept[layer][:, :, : position + 1] for kept in (state.keys, state.values))
    own = _partial(grouped, keys, values, scaling)
    shared = [_over_trunk(layer, grouped[part.rows], part, scaling) for part in state.branches]
    joined = _join(own, (torch.cat([out for out, _ in shared]), torch.cat([lse for _, lse in shared])))
    return joined.to(query.dtype).reshape(rows, 1, heads, width)


def _over_trunk(layer: int, query: torch.Tensor, part: Branches, scaling: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of all rows of one conversation over its trunk: one product per kv head."""
    rows, kv_heads, share, width = query.shape
    flat = query.transpose(0, 1).reshape(1, kv_heads, rows * share, width)
    keys = part.trunk.keys[layer][None, :, : part.longest]
    values = part.trunk.values[layer][None, :, : part.longest]
    out, lse = _partial(flat, keys, values, scaling, part.mask(share, query.dtype))
    return (
        out[0].unflatten(1, (rows, share)).transpose(0, 1),
        lse[0].unflatten(1, (rows, share)).transpose(0, 1),
    )


def _partial(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax attention over a part of the keys, with the log-sum-exp of its scores, both in float32.

    On CPUs torch's flash kernel does it in one pass, with scores in float32; the query heads of a kv head stand where
    it expects the tokens of a query, so no key is copied for them.
    """
    if query.device.type == "cpu":
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, 0.0, False, attn_mask=mask, scale=scaling
        )
        return out.float(), lse
    scores = torch.matmul(query * scaling, keys.transpose(-1, -2)).float()
    if mask is not None:
        scores = scores + mask
    lse = torch.logsumexp(scores, dim=-1)
    weights = torch.exp(scores - lse.unsqueeze(-1)).to(values.dtype)
    return torch.matmul(weights, values).float(), lse


def _join(first: tuple[torch.Tensor, torch.Tensor], second: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Exact attention over the union of two disjoint parts of the keys."""
    share = torch.sigmoid(first[1] - second[1]).unsqueeze(-1)
    return share * first[0] + (1 - share) * second[0]


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Registered beside the attention function so that the absence of a mask is stated, not an accident."""


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, _no_mask)
