"""Training attention on CPUs: block by block, each over the keys that its queries may see, and no others.

torch's kernels pay for masked keys, and in bf16 its flash backward on CPU takes several times as long as the products
it consists of. Here the forward is torch's flash kernel, called on blocks of queries with the keys that any of them
sees; the backward recomputes a block's probabilities from the saved log-sum-exps (Dao 2023, FlashAttention-2, section
2.3.2) as plain matrix products. One code for SFT's causal rows and for GRPO's prefix trees: a causal row is a tree
without branches. There is no padding mask: rows are padded on the right, where no token that counts can see it.

In bf16 the same is done by kernels of our own where the machine can have them (``native``). Causal rows in float32
are left to torch's flash kernel, forward and backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface, AttentionMaskInterface

from models.engine.native import blocks as native
from models.engine.tree import sees

BLOCKS = "apprentice_blocks"
#: Queries of one block; smaller blocks waste less on keys that some of them do not see, larger ones make better
#: products.
BLOCK = 256
#: The same for trees, where neighbouring queries on different branches see less of each other.
TREE_BLOCK = 128
#: Terms of a float32 in bfloat16: 3 times 8 bits of mantissa.
_TERMS = 3
#: Columns added to a product: matrix units work in steps of 32, so more than the terms cost nothing.
_COLUMNS = 32


@dataclass(frozen=True)
class Block:
    """A block of queries: ``rows`` of the packed row, and what they see.

    ``keys`` are the positions any of them sees, those that all of them see first; ``hidden`` is ``(keys, rows)`` over
    the keys that only some of them see, the last ones, True where not seen.
    """

    rows: slice
    keys: slice | torch.Tensor
    count: int
    hidden: torch.Tensor

    @property
    def common(self) -> int:
        """How many keys all queries see."""
        return self.count - len(self.hidden)


class Plan(list[Block]):
    """The blocks of a packed row."""

    @cached_property
    def native(self) -> native.NativePlan:
        """The same as the kernels read it."""
        return native.native_plan(self)


def plan(end: np.ndarray, block: int = TREE_BLOCK) -> Plan:
    """Blocks of a packed row, given where each token's descendants end (``Tree.end``)."""
    total = len(end)
    return Plan(_block(end, start, min(start + block, total)) for start in range(0, total, block))


@lru_cache(maxsize=8)
def causal_plan(tokens: int, block: int = BLOCK) -> Plan:
    """Blocks of a row without branches."""
    return plan(np.full(tokens, tokens), block)


def _block(end: np.ndarray, start: int, stop: int) -> Block:
    before = np.flatnonzero(end[:start] > start)
    whole = end[before] >= stop
    inner = np.concatenate([before[~whole], np.arange(start, stop)])
    queries = np.arange(start, stop)
    hidden = torch.from_numpy(~sees(queries[None, :], inner[:, None], end[inner][:, None]))
    count = len(before) + stop - start
    ordered = np.concatenate([before[whole], inner])
    contiguous = bool((ordered == np.arange(count)).all())
    return Block(slice(start, stop), slice(0, stop) if contiguous else torch.from_numpy(ordered), count, hidden)


class _NativeAttention(torch.autograd.Function):
    """As ``_Attention`` by the kernels, over tensors ``(rows, tokens, heads, width)``."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, blocks: Plan
    ) -> torch.Tensor:
        query, key, value = (part.contiguous() for part in (query, key, value))
        out, lse = native.forward(query, key, value, scale, blocks.native)
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.scale, ctx.blocks = scale, blocks
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, lse = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        found = native.backward(query, key, value, ctx.scale, ctx.blocks.native, out, lse, gradient)
        return *found, None, None


class _Attention(torch.autograd.Function):
    """``(rows, heads, tokens, width)`` queries over ``(rows, kv_heads, tokens, width)`` keys and values."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, blocks: Sequence[Block]
    ) -> torch.Tensor:
        share = query.shape[1] // key.shape[1]
        keys, values = (part.repeat_interleave(share, 1) for part in (key, value))
        out = torch.empty_like(query)
        lse = torch.empty(query.shape[:-1], dtype=torch.float32)
        for block in blocks:
            seen = _mask(block, query.dtype)
            out[:, :, block.rows], lse[:, :, block.rows] = _flash(
                query[:, :, block.rows], keys[:, :, block.keys], values[:, :, block.keys], seen, scale
            )
        ctx.save_for_backward(query, key, value, out, lse)
        ctx.scale, ctx.blocks = scale, blocks
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, out, lse = ctx.saved_tensors
        (gradient,) = gradients
        batch, heads, tokens, width = query.shape
        kv_heads, share = key.shape[1], heads // key.shape[1]
        grouped = (batch * kv_heads, share, tokens)
        scaled, g, o = (part.reshape(*grouped, width) for part in (query * ctx.scale, gradient, out))
        k, v = (part.reshape(batch * kv_heads, tokens, width) for part in (key, value))
        delta = (g.float() * o.float()).sum(-1, keepdim=True)
        # Products that come out as scores minus log-sum-exp, and as gradient minus delta: nothing is left to subtract.
        q_shifted, g_shifted = _shifted(scaled, lse.reshape(*grouped, 1)), _shifted(g, delta)
        k_shifting, v_shifting = _shifting(k), _shifting(v)
        dq = torch.empty_like(scaled)
        dk, dv = (torch.zeros(part.shape, dtype=torch.float32) for part in (k, v))
        for block in ctx.blocks:
            flat = (k.shape[0], share * (block.rows.stop - block.rows.start), -1)
            qb, gb = (part[:, :, block.rows].reshape(flat) for part in (q_shifted, g_shifted))
            # Keys along the rows: two of the three products below then need no transposed copy of a large matrix.
            p = torch.matmul(k_shifting[:, block.keys], qb.transpose(1, 2)).exp_()
            _hide(p, block, share)
            ds = torch.matmul(v_shifting[:, block.keys], gb.transpose(1, 2)).mul_(p)
            _add(dv, block, torch.matmul(p, gb[..., :width]))
            _add(dk, block, torch.matmul(ds, qb[..., :width]))
            dq[:, :, block.rows] = torch.matmul(ds.transpose(1, 2), k[:, block.keys]).view(k.shape[0], share, -1, width)
        dq = dq.mul_(ctx.scale).view_as(query)
        return dq, dk.to(key.dtype).view_as(key), dv.to(value.dtype).view_as(value), None, None


def _flash(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, keys, values, 0.0, False, attn_mask=mask, scale=scale
    )


def _mask(block: Block, dtype: torch.dtype) -> torch.Tensor:
    """What the kernel adds to scores ``(queries, keys)``: minus infinity where a query does not see a key."""
    mask = torch.zeros(block.rows.stop - block.rows.start, block.count, dtype=dtype)
    mask[:, block.common :].masked_fill_(block.hidden.T, float("-inf"))
    return mask


def _hide(probabilities: torch.Tensor, block: Block, share: int) -> None:
    """Zero what is not seen, in ``(kv_heads, keys, heads a kv head * queries)``; there the exponential may be inf."""
    part = probabilities[:, block.common :]
    part.view(*part.shape[:2], share, -1).masked_fill_(block.hidden.unsqueeze(1), 0.0)


def _add(total: torch.Tensor, block: Block, part: torch.Tensor) -> None:
    """Add what a block contributes to the gradient of its keys, in float32."""
    if isinstance(block.keys, slice):
        total[:, block.keys] += part
    else:
        total.index_add_(1, block.keys, part.float())


def _shifted(rows: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """``rows`` with columns beside them that sum to ``-shift``, in their own precision without loss."""
    beside = rows.new_zeros(*rows.shape[:-1], _COLUMNS)
    rest = -shift.float()
    for column in range(_TERMS):
        beside[..., column : column + 1] = rest
        rest = rest - beside[..., column : column + 1].float()
    return torch.cat([rows, beside], dim=-1)


def _shifting(rows: torch.Tensor) -> torch.Tensor:
    """``rows`` with ones beside them: what multiplies the columns of ``_shifted``."""
    return torch.cat([rows, rows.new_ones(*rows.shape[:-1], _COLUMNS)], dim=-1)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    *,
    blocks: Plan | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention function for transformers' ``AttentionInterface``.

    Args:
        module: The attention layer; unused.
        query: ``(rows, heads, tokens, head_dim)``, rotated.
        key: ``(rows, kv_heads, tokens, head_dim)``, rotated; ``value`` likewise.
        attention_mask: Unused: visibility follows from ``blocks``.
        scaling: Factor on the scores.
        dropout: Must be 0.
        blocks: The plan of a packed tree; None for causal rows.
        kwargs: What transformers passes to every attention function.

    Returns:
        ``(rows, tokens, heads, head_dim)`` and no weights.

    Raises:
        ValueError: Dropout is asked for.
    """
    if dropout:
        raise ValueError("training attention has no dropout; set attention_dropout to 0")
    device = query.device.type  # under autocast, rotated queries come in float32 beside bf16 values
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    query, key, value = (part.to(dtype) for part in (query, key, value))
    if native.fits(query):
        laid = (part.transpose(1, 2) for part in (query, key, value))
        return _NativeAttention.apply(*laid, scaling, blocks or causal_plan(query.shape[2], TREE_BLOCK)), None
    if blocks is None and dtype == torch.float32:
        return _causal(query, key, value, scaling).transpose(1, 2), None
    return _Attention.apply(query, key, value, scaling, blocks or causal_plan(query.shape[2])).transpose(1, 2), None


def _causal(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """torch's flash attention over whole causal rows, which in float32 is ahead of products by blocks both ways."""
    return torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scale, enable_gqa=True
    )


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Registered beside the attention function so that the absence of a mask is stated, not an accident."""


AttentionInterface.register(BLOCKS, attend)
AttentionMaskInterface.register(BLOCKS, _no_mask)
