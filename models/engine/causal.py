"""Causal attention for training on CPUs: torch's forward kernel, and a backward made of plain matrix products.

On two cores torch's flash backward on CPU takes about four times as long as the products it consists of (measured:
106 against 23 ms a layer at 1,280 tokens, 9 heads of 64). Here the backward goes over blocks of queries, recomputes
their probabilities from the saved log-sum-exps (Dao 2023, FlashAttention-2, section 2.3.2) and never touches keys
beyond the block, so it costs what the visible half costs. No padding: rows are padded on the right, where causal
attention cannot see it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface

CAUSAL = "apprentice_causal"
#: Queries of one block; smaller blocks waste less on masked keys, larger ones make better products.
BLOCK = 256


class _Causal(torch.autograd.Function):
    """``(1, heads, tokens, width)`` queries over ``(1, kv_heads, tokens, width)`` keys and values."""

    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
        share = query.shape[1] // key.shape[1]
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key.repeat_interleave(share, 1), value.repeat_interleave(share, 1), 0.0, True, scale=scale
        )
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, lse = ctx.saved_tensors
        (gradient,) = gradients
        batch, heads, tokens, width = query.shape
        kv_heads = key.shape[1]
        grouped = (batch * kv_heads, heads // kv_heads, tokens)
        q, g, o = (part.reshape(*grouped, width) for part in (query, gradient, out))
        k, v = (part.reshape(batch * kv_heads, tokens, width) for part in (key, value))
        logsum = lse.reshape(*grouped, 1).float()
        delta = (g.float() * o.float()).sum(-1, keepdim=True)
        dq = torch.empty_like(q)
        dk = torch.zeros(k.shape, dtype=torch.float32)
        dv = torch.zeros(v.shape, dtype=torch.float32)
        for start in range(0, tokens, BLOCK):
            stop = min(start + BLOCK, tokens)
            rows = slice(start, stop)
            flat = (k.shape[0], grouped[1] * (stop - start))
            seen = (k.shape[0], grouped[1], stop - start, stop)
            qb, gb = (part[:, :, rows].reshape(*flat, width) for part in (q, g))
            scores = torch.matmul(qb, k[:, :stop].transpose(1, 2)).view(seen).float()
            weights = torch.exp(scores.mul_(ctx.scale).sub_(logsum[:, :, rows]))
            weights[..., start:].tril_()
            p = weights.to(q.dtype)
            dv[:, :stop] += torch.matmul(p.view(*flat, stop).transpose(1, 2), gb)
            dp = torch.matmul(gb, v[:, :stop].transpose(1, 2)).view(seen).float()
            ds = dp.sub_(delta[:, :, rows]).mul_(weights).mul_(ctx.scale).to(q.dtype).view(*flat, stop)
            dq[:, :, rows] = torch.matmul(ds, k[:, :stop]).view(k.shape[0], grouped[1], stop - start, width)
            dk[:, :stop] += torch.matmul(ds.transpose(1, 2), qb)
        return dq.view_as(query), dk.to(key.dtype).view_as(key), dv.to(value.dtype).view_as(value), None


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function for transformers' ``AttentionInterface``: causal, no mask, no dropout.

    Returns:
        ``(rows, tokens, heads, head_dim)`` and no weights.
    """
    if dropout:
        raise ValueError("causal training attention has no dropout; set attention_dropout to 0")
    device = query.device.type  # under autocast, rotated queries come in float32 beside bf16 values
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    query, key, value = (part.to(dtype) for part in (query, key, value))
    return _Causal.apply(query, key, value, scaling).transpose(1, 2), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Padding is on the right and carries no label; nothing that counts attends to it."""


AttentionInterface.register(CAUSAL, attend)
AttentionMaskInterface.register(CAUSAL, _no_mask)
