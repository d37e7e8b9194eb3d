"""Attention for decoding over shared trunks: a conversation's keys and values are held once, whoever reads them.

A *trunk* is the token prefix that several rows continue. Attention of a row is the exact softmax over the part of its
trunk it may see and its own suffix, computed apart and joined by their log-sum-exps (as flash-decoding and cascade
inference do), so the trunk part is one matrix product per head for all rows of a conversation.

The state travels to the attention function as a keyword of the model's forward. Plain transformers models are used
unchanged, by the attention name ``ATTENTION``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface

from models.engine.native import blocks as native
from models.engine.trunks import Branches, DecodeState, Trunk

ATTENTION = "apprentice_trunks"
#: Queries of one block of prefill.
_BLOCK = 64


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
        queries, keys, values = (part[0].transpose(0, 1) for part in (query, key, value))
        out = prefill_step(module.layer_idx, queries, keys, values, scaling, trunk)
        return out.view(1, query.shape[2], query.shape[1], query.shape[3]), None
    if decode is None:
        raise RuntimeError(f"attention '{ATTENTION}' needs a trunk to fill or a decode state")
    out = decode_step(module.layer_idx, query[:, :, 0], key[:, :, 0], value[:, :, 0], scaling, decode)
    return out.view(query.shape[0], 1, *query.shape[1::2]), None


def prefill_step(
    layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, trunk: Trunk
) -> torch.Tensor:
    """Causal attention of a trunk's new tokens over all of it, which their keys and values are added to.

    Args:
        layer: Whose keys and values are meant.
        query: ``(tokens, heads, head_dim)``, rotated.
        key: ``(tokens, kv_heads, head_dim)``, rotated; ``value`` likewise.
        scaling: Factor on the scores.
        trunk: What the tokens continue.

    Returns:
        ``(tokens, heads * head_dim)``.
    """
    new = len(query)
    key, value = (part.transpose(0, 1) for part in (key, value))
    if layer == len(trunk.keys):
        trunk.keys.append(key.contiguous())
        trunk.values.append(value.contiguous())
    else:
        trunk.keys[layer] = torch.cat([trunk.keys[layer], key], dim=1)
        trunk.values[layer] = torch.cat([trunk.values[layer], value], dim=1)
    keys, values = trunk.keys[layer].unsqueeze(0), trunk.values[layer].unsqueeze(0)
    total = keys.shape[2]
    if native.fits(query):
        plan = native.causal_native_plan(new, total - new, _BLOCK)
        laid = query.contiguous().unsqueeze(0), keys.transpose(1, 2), values.transpose(1, 2)
        return native.forward(*laid, scaling, plan)[0].view(new, -1)
    query = query.transpose(0, 1)
    how: dict[str, Any] = {"is_causal": True}
    if total > new:
        how = {"attn_mask": torch.ones(new, total, dtype=torch.bool, device=query.device).tril(total - new)}
    out = F.scaled_dot_product_attention(query.unsqueeze(0), keys, values, scale=scaling, enable_gqa=True, **how)
    return out[0].transpose(0, 1).reshape(new, -1)


def decode_step(
    layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float, state: DecodeState
) -> torch.Tensor:
    """Attention of one new token per row, whose key and value are added to the row's suffix.

    Args:
        layer: Whose buffers are meant.
        query: ``(rows, heads, head_dim)``, rotated.
        key: ``(rows, kv_heads, head_dim)``, rotated; ``value`` likewise.
        scaling: Factor on the scores.
        state: Trunks and suffixes.

    Returns:
        ``(rows, heads * head_dim)``.
    """
    rows, heads, width = query.shape
    kv_heads = key.shape[1]
    grouped = query.view(rows, kv_heads, heads // kv_heads, width)
    keys, values = state.add(layer, key, value)
    own = _partial(grouped, keys, values, scaling, state.mask)
    shared = [_over_trunks(layer, grouped[part.rows], part, scaling) for part in state.branches]
    if len(shared) > 1:
        shared = [(torch.cat([out for out, _ in shared]), torch.cat([lse for _, lse in shared]))]
    return _join(own, shared[0]).to(query.dtype).reshape(rows, heads * width)


def _over_trunks(layer: int, query: torch.Tensor, part: Branches, scaling: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of rows over their trunks: one product per trunk and kv head."""
    _, kv_heads, share, width = query.shape
    placed = query if part.places is None else query[part.places]
    trunks = part.keys[layer].shape[0]
    flat = placed.view(trunks, part.most, kv_heads, share, width).transpose(1, 2)
    flat = flat.reshape(trunks, kv_heads, part.most * share, width)
    out, lse = _partial(flat, part.keys[layer], part.values[layer], scaling, part.mask(share, query.dtype))
    out = out.unflatten(2, (part.most, share)).transpose(1, 2).flatten(0, 1)
    lse = lse.unflatten(2, (part.most, share)).transpose(1, 2).flatten(0, 1)
    return (out, lse) if part.back is None else (out[part.back], lse[part.back])


def _partial(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax attention over a part of the keys, with the log-sum-exp of its scores in float32.

    On CPUs torch's flash kernel does it in one pass, with scores in float32; the query heads of a kv head stand where
    it expects the tokens of a query, so no key is copied for them.
    """
    if query.device.type == "cpu":
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, keys, values, 0.0, False, attn_mask=mask, scale=scaling
        )
        return out, lse
    scores = torch.matmul(query * scaling, keys.transpose(-1, -2)).float()
    if mask is not None:
        scores = scores + mask
    lse = torch.logsumexp(scores, dim=-1)
    weights = torch.exp(scores - lse.unsqueeze(-1)).to(values.dtype)
    return torch.matmul(weights, values), lse


def _join(first: tuple[torch.Tensor, torch.Tensor], second: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Exact attention over the union of two disjoint parts of the keys."""
    share = torch.sigmoid(first[1] - second[1]).unsqueeze(-1)
    return torch.lerp(second[0].float(), first[0].float(), share)


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Registered beside the attention function so that the absence of a mask is stated, not an accident."""


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, _no_mask)
