"""The kernels' attention over blocks of queries: forward and backward of training, and causal prefill."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from models.engine.native.library import kernels

_LANES = 16


class Seen(Protocol):
    """A block of queries and what they see, as ``models.engine.blocks.Block``, which says what each part means."""

    @property
    def rows(self) -> slice: ...  # noqa: D102

    @property
    def keys(self) -> slice | torch.Tensor: ...  # noqa: D102

    @property
    def count(self) -> int: ...  # noqa: D102

    @property
    def hidden(self) -> torch.Tensor: ...  # noqa: D102

    @property
    def common(self) -> int: ...  # noqa: D102


class _Block(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("start", "stop", "count", "common")),
        ("index", ctypes.c_void_p),
        ("hidden", ctypes.c_void_p),
    )


class _Attention(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_int32)
            for name in ("batch", "heads", "kv_heads", "queries", "keys", "width", "blocks", "threads")
        ),
        ("scale", ctypes.c_float),
        ("plan", ctypes.POINTER(_Block)),
        *((name, ctypes.c_void_p) for name in ("query", "key", "value")),
        *((name, ctypes.c_int64) for name in ("key_token", "key_head", "key_batch")),
        *((name, ctypes.c_void_p) for name in ("out", "lse", "gradient", "d_query", "d_key", "d_value", "sums")),
    )


@dataclass(frozen=True)
class NativePlan:
    """Blocks as the kernels read them, and the tensors they point into."""

    blocks: ctypes.Array[_Block]
    kept: list[torch.Tensor]


def native_plan(blocks: Sequence[Seen]) -> NativePlan:
    """Blocks as the kernels read them."""
    plan, kept = (_Block * len(blocks))(), []
    for place, block in zip(plan, blocks, strict=True):
        hidden = block.hidden.to(torch.uint8).contiguous()
        kept.append(hidden)
        place.start, place.stop = block.rows.start, block.rows.stop
        place.count, place.common, place.hidden = block.count, block.common, hidden.data_ptr()
        if isinstance(block.keys, torch.Tensor):
            kept.append(block.keys.to(torch.int32).contiguous())
            place.index = kept[-1].data_ptr()
    return NativePlan(plan, kept)


def causal_native_plan(new: int, before: int, block: int) -> NativePlan:
    """Blocks of ``new`` tokens that continue ``before`` others and see all of these."""
    starts = range(0, new, block)
    plan = (_Block * len(starts))()
    for place, start in zip(plan, starts, strict=True):
        place.start, place.stop = start, min(start + block, new)
        place.count, place.common = before + place.stop, before + start
    return NativePlan(plan, [])


def fits(query: torch.Tensor) -> bool:
    """Whether the kernels compute with such queries ``(…, head_dim)`` on this machine."""
    cpu = query.device.type == "cpu" and query.dtype == torch.bfloat16
    return cpu and query.shape[-1] % _LANES == 0 and kernels() is not None


def forward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, plan: NativePlan
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of blocks of queries.

    Args:
        query: ``(rows, queries, heads, head_dim)``, bf16, contiguous.
        key: ``(rows, tokens, kv_heads, head_dim)``, bf16, the last dimension contiguous; ``value`` in the same layout.
        scale: Factor on the scores.
        plan: What each query sees.

    Returns:
        Outputs as ``query``, and the scores' log-sum-exps ``(rows, queries, heads)`` in float32.
    """
    out, lse = torch.empty_like(query), torch.empty(query.shape[:-1], dtype=torch.float32)
    library = kernels()
    assert library is not None
    library.attention_forward(ctypes.byref(_described(query, key, value, scale, plan, out, lse)))
    return out, lse


def backward(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    plan: NativePlan,
    out: torch.Tensor,
    lse: torch.Tensor,
    gradient: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of query, key and value; all tensors contiguous, ``gradient`` as ``out``, else as in ``forward``."""
    found = tuple(torch.empty_like(part) for part in (query, key, value))
    sums = torch.empty((torch.get_num_threads(), 2, *key.shape), dtype=torch.float32)
    told = _described(query, key, value, scale, plan, out, lse)
    told.gradient, told.sums = gradient.data_ptr(), sums.data_ptr()
    told.d_query, told.d_key, told.d_value = (part.data_ptr() for part in found)
    library = kernels()
    assert library is not None
    library.attention_backward(ctypes.byref(told))
    return found


def _described(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    plan: NativePlan,
    out: torch.Tensor,
    lse: torch.Tensor,
) -> _Attention:
    rows, queries, heads, width = query.shape
    steps = _steps(key)
    assert query.is_contiguous()
    assert steps == _steps(value)
    assert steps[-1] == 1
    return _Attention(
        batch=rows,
        heads=heads,
        kv_heads=key.shape[2],
        queries=queries,
        keys=key.shape[1],
        width=width,
        blocks=len(plan.blocks),
        threads=torch.get_num_threads(),
        scale=scale,
        plan=plan.blocks,
        query=query.data_ptr(),
        key=key.data_ptr(),
        value=value.data_ptr(),
        key_token=steps[1],
        key_head=steps[2],
        key_batch=steps[0],
        out=out.data_ptr(),
        lse=lse.data_ptr(),
    )


def _steps(tensor: torch.Tensor) -> list[int]:
    """Strides; 0 where there is one place only, whose stride torch leaves undetermined."""
    return [stride if size > 1 else 0 for stride, size in zip(tensor.stride(), tensor.shape, strict=True)]
