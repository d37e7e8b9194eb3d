"""Tokens through the model in few calls: one of every row, or all of a trunk.

A token of a small model is some thousand calls of a few microseconds each, so on a CPU their number is much of what
decoding costs. Llama- and Qwen3-shaped layers (RMS norms, rotary positions, a gated MLP) are therefore run here with
projections of one input packed into one product and rotations of queries and keys done together; any other model goes
through its own forward. On CPUs the packed weights are kept in oneDNN's own layout: brought into it at every call, they
cost as much as the product in bf16, and half of it in float32 for some tens of rows. Where the kernels fit
(``native``), a decoding step is a single call of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from models.engine.attention import decode_step, prefill_step
from models.engine.native import step as native
from models.engine.trunks import DecodeState, Trunk

#: Classes of decoder layers that ``_through`` mirrors.
KNOWN = ("LlamaDecoderLayer", "Qwen3DecoderLayer")

Product = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class _Layer:
    """A decoder layer: its products, and itself for all else."""

    module: Any
    into_attention: Product
    out_of_attention: Product
    into_mlp: Product
    out_of_mlp: Product
    heads: int
    kv_heads: int


@dataclass(frozen=True)
class _Lean:
    """What ``next_logits`` needs of a model: the kernels, or the head behind the layers that trunks grow through."""

    layers: list[_Layer]
    head: Product | None
    native: native.NativeModel | None


def pack(model: Any) -> None:
    """Pack a decoding copy's current weights where its layers are known; ``next_logits`` then takes the short way."""
    layers = getattr(model.base_model, "layers", [])
    if layers and all(type(layer).__name__ in KNOWN for layer in layers):
        whole = native.NativeModel(model) if native.fits(model) else None
        head = _product([model.get_output_embeddings()]) if whole is None else None
        model.lean = _Lean([_packed_layer(layer) for layer in layers], head, whole)


def _packed_layer(layer: Any) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return _Layer(
        module=layer,
        into_attention=_product([attention.q_proj, attention.k_proj, attention.v_proj]),
        out_of_attention=_product([attention.o_proj]),
        into_mlp=_product([mlp.gate_proj, mlp.up_proj]),
        out_of_mlp=_product([mlp.down_proj]),
        heads=attention.q_proj.out_features // attention.head_dim,
        kv_heads=attention.k_proj.out_features // attention.head_dim,
    )


def _product(projections: Sequence[Any]) -> Product:
    """The outputs of projections of the same input, side by side."""
    weight, bias = (_joined([getattr(projection, name) for projection in projections]) for name in ("weight", "bias"))
    assert weight is not None
    if not _packs(weight):
        return lambda rows: F.linear(rows, weight, bias)
    kept = torch.ops.mkldnn._reorder_linear_weight(weight)
    return lambda rows: torch.as_tensor(torch.ops.mkldnn._linear_pointwise(rows, kept, bias, "none", [], ""))


def _packs(weight: torch.Tensor) -> bool:
    """Whether oneDNN computes with such weights on this machine: in bf16 not on CPUs without instructions for it."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


def _joined(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    present = [part.detach() for part in parts if part is not None]
    return torch.cat(present) if len(present) > 1 else present[0] if present else None


def next_logits(model: Any, ids: torch.Tensor, positions: torch.Tensor, state: DecodeState) -> torch.Tensor:
    """Logits of what follows one token per row.

    Args:
        model: A decoding copy.
        ids: ``(rows,)``.
        positions: ``(rows,)``.
        state: Trunks and suffixes, which the tokens' keys and values are added to.

    Returns:
        ``(rows, vocabulary)``.
    """
    lean: _Lean | None = getattr(model, "lean", None)
    if lean is None:
        ids, positions = ids.unsqueeze(1), positions.unsqueeze(1)
        out = model.base_model(input_ids=ids, position_ids=positions, use_cache=False, decode=state)
        return torch.as_tensor(model.get_output_embeddings()(out.last_hidden_state[:, -1]))
    if lean.native is not None:
        return lean.native.next_logits(ids, positions, state)
    hidden = _through_all(model.base_model, lean.layers, ids, positions, partial(decode_step, state=state))
    assert lean.head is not None
    return lean.head(_normed(model.base_model.norm, hidden))


def grow_trunk(model: Any, ids: torch.Tensor, positions: torch.Tensor, trunk: Trunk) -> None:
    """Add the keys and values of tokens that continue a trunk.

    Args:
        model: A decoding copy.
        ids: ``(tokens,)``.
        positions: ``(tokens,)``.
        trunk: What they continue.
    """
    lean: _Lean | None = getattr(model, "lean", None)
    if lean is None:
        ids, positions = ids.unsqueeze(0), positions.unsqueeze(0)
        model.base_model(input_ids=ids, position_ids=positions, use_cache=False, trunk=trunk)
        return
    _through_all(model.base_model, lean.layers, ids, positions, partial(prefill_step, trunk=trunk))


def _through_all(
    base: Any, layers: Sequence[_Layer], ids: torch.Tensor, positions: torch.Tensor, attend: Callable[..., torch.Tensor]
) -> torch.Tensor:
    """Hidden states ``(rows, hidden)`` behind the last layer; ``attend`` as ``decode_step``, less its state."""
    hidden = base.embed_tokens(ids)
    cosine, sine = (part[0].unsqueeze(1) for part in base.rotary_emb(hidden, positions.unsqueeze(0)))
    half = sine.shape[-1] // 2
    sine = torch.cat([-sine[..., :half], sine[..., half:]], dim=-1)  # signed, so that rotating is rolling
    for number, layer in enumerate(layers):
        hidden = _through(number, layer, hidden, cosine, sine, attend)
    return torch.as_tensor(hidden)


def _through(
    number: int,
    layer: _Layer,
    hidden: torch.Tensor,
    cosine: torch.Tensor,
    sine: torch.Tensor,
    attend: Callable[..., torch.Tensor],
) -> torch.Tensor:
    """One layer, as transformers' ``LlamaDecoderLayer`` and ``Qwen3DecoderLayer`` compute it."""
    attention = layer.module.self_attn
    width = attention.head_dim
    packed = layer.into_attention(_normed(layer.module.input_layernorm, hidden)).view(len(hidden), -1, width)
    seen, values = packed.split([layer.heads + layer.kv_heads, layer.kv_heads], dim=1)
    if hasattr(attention, "q_norm"):
        queries, keys = seen.split([layer.heads, layer.kv_heads], dim=1)
        seen = torch.cat([_normed(attention.q_norm, queries), _normed(attention.k_norm, keys)], dim=1)
    seen = torch.addcmul(seen * cosine, seen.roll(width // 2, -1), sine)
    queries, keys = seen.split([layer.heads, layer.kv_heads], dim=1)
    out = attend(number, queries, keys, values, attention.scaling)
    hidden = layer.out_of_attention(out).add_(hidden)
    gate, up = layer.into_mlp(_normed(layer.module.post_attention_layernorm, hidden)).chunk(2, dim=-1)
    return layer.out_of_mlp(layer.module.mlp.act_fn(gate).mul_(up)).add_(hidden)


def _normed(norm: Any, hidden: torch.Tensor) -> torch.Tensor:
    """The RMS norm of ``hidden``, its size computed in float32."""
    size = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(size.square_().div_(hidden.shape[-1]).add_(norm.variance_epsilon))
    return (hidden * scale).to(hidden.dtype).mul_(norm.weight)
