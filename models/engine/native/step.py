"""A decoding step through the kernels: one call for all layers of a Llama- or Qwen3-shaped model."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch

from models.engine.native.library import kernels
from models.engine.trunks import DecodeState

_LANES, _PANEL = 16, 64
#: Query heads of a key head that one task may hold (``2 * TASK_LANES`` of decode.c).
_MOST_SHARE = 96


class _Layer(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_void_p)
        for name in (
            "into_attention",
            "out_of_attention",
            "into_mlp",
            "out_of_mlp",
            "norm_attention",
            "norm_mlp",
            "norm_query",
            "norm_key",
        )
    )


class _Model(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("hidden", "heads", "kv_heads", "width", "inner", "layers", "vocabulary")),
        *((name, ctypes.c_float) for name in ("epsilon", "scale")),
        ("layer", ctypes.POINTER(_Layer)),
        *((name, ctypes.c_void_p) for name in ("norm", "head")),
    )


class _Step(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int32) for name in ("rows", "capacity", "branches", "threads")),
        *((name, ctypes.c_void_p) for name in ("hidden", "cosine", "sine", "lengths", "visible", "keys", "values")),
        *((name, ctypes.c_void_p) for name in ("first", "tokens", "trunk_keys", "trunk_values", "logits")),
    )


class NativeModel:
    """A model's weights as the kernels read them."""

    def __init__(self, model: Any) -> None:
        self._base = model.base_model
        self._kept: list[torch.Tensor] = []
        layers = self._base.layers
        attention, mlp = layers[0].self_attn, layers[0].mlp
        self._layers = (_Layer * len(layers))(*(self._layer(layer) for layer in layers))
        self.vocabulary = model.get_output_embeddings().weight.shape[0]
        self._model = _Model(
            hidden=attention.q_proj.in_features,
            heads=attention.q_proj.out_features // attention.head_dim,
            kv_heads=attention.k_proj.out_features // attention.head_dim,
            width=attention.head_dim,
            inner=mlp.gate_proj.out_features,
            layers=len(layers),
            vocabulary=-(-self.vocabulary // _LANES) * _LANES,
            epsilon=layers[0].input_layernorm.variance_epsilon,
            scale=attention.scaling,
            layer=self._layers,
            norm=self._floats(self._base.norm.weight),
            head=self._packed(model.get_output_embeddings().weight),
        )

    def next_logits(self, ids: torch.Tensor, positions: torch.Tensor, state: DecodeState) -> torch.Tensor:
        """As ``models.engine.lean.next_logits``; logits in float32."""
        hidden = self._base.embed_tokens(ids).float()
        cosine, sine = (part[0].contiguous() for part in self._base.rotary_emb(hidden, positions.unsqueeze(0)))
        told = state.native(_pointers)
        lengths = torch.tensor(state.each_length, dtype=torch.int32)
        logits = torch.empty(len(ids), self._model.vocabulary, dtype=torch.float32)
        step = _Step(
            rows=len(ids),
            capacity=state.keys[0].shape[2],
            branches=len(told["tokens"]),
            threads=torch.get_num_threads(),
            hidden=hidden.data_ptr(),
            cosine=cosine.data_ptr(),
            sine=sine.data_ptr(),
            lengths=lengths.data_ptr(),
            logits=logits.data_ptr(),
            **{name: part.data_ptr() for name, part in told.items()},
        )
        library = kernels()
        assert library is not None
        library.decode_step(ctypes.byref(self._model), ctypes.byref(step))
        return logits[:, : self.vocabulary]

    def _layer(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        norms = [getattr(attention, name, None) for name in ("q_norm", "k_norm")]
        projections = (attention.q_proj, attention.k_proj, attention.v_proj)
        gates, ups = (part.weight.unflatten(0, (-1, _LANES)) for part in (mlp.gate_proj, mlp.up_proj))
        return _Layer(
            into_attention=self._packed(torch.cat([part.weight for part in projections])),
            out_of_attention=self._packed(attention.o_proj.weight),
            into_mlp=self._packed(torch.cat([gates, ups], dim=1).flatten(0, 1)),
            out_of_mlp=self._packed(mlp.down_proj.weight),
            norm_attention=self._floats(layer.input_layernorm.weight),
            norm_mlp=self._floats(layer.post_attention_layernorm.weight),
            norm_query=None if norms[0] is None else self._floats(norms[0].weight),
            norm_key=None if norms[1] is None else self._floats(norms[1].weight),
        )

    def _floats(self, weight: torch.Tensor) -> int:
        self._kept.append(weight.detach().float().contiguous())
        return self._kept[-1].data_ptr()

    def _packed(self, weight: torch.Tensor) -> int:
        outputs, inputs = weight.shape
        weight = weight.detach().contiguous()
        packed = torch.empty(-(-outputs // _PANEL) * _PANEL, inputs, dtype=torch.bfloat16)
        library = kernels()
        assert library is not None
        library.pack_weight(ctypes.c_void_p(weight.data_ptr()), outputs, inputs, ctypes.c_void_p(packed.data_ptr()))
        self._kept.append(packed)
        return packed.data_ptr()


def fits(model: Any) -> bool:
    """Whether the kernels can decode with a model whose layers are ``models.engine.lean.KNOWN``."""
    layer = model.base_model.layers[0]
    attention, mlp = layer.self_attn, layer.mlp
    parts = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj, mlp.gate_proj, mlp.down_proj)
    sizes = (attention.q_proj.in_features, mlp.gate_proj.out_features, attention.head_dim)
    return (
        attention.q_proj.weight.device.type == "cpu"
        and attention.q_proj.weight.dtype == torch.bfloat16
        and all(part.bias is None for part in (*parts, mlp.up_proj, model.get_output_embeddings()))
        and all(size % (2 * _LANES) == 0 for size in sizes)
        and attention.q_proj.out_features // attention.k_proj.out_features <= _MOST_SHARE
        and model.config.hidden_act == "silu"
        and kernels() is not None
    )


def _pointers(state: DecodeState) -> dict[str, torch.Tensor]:
    """Where the kernels find suffixes and trunks, as they are until rows come or go."""
    layers, width = range(len(state.keys)), state.keys[0].shape[-1]
    trunks = [trunk for trunk, _ in state.hung]
    assert all(part.shape[-1] == width and part.is_contiguous() for trunk in trunks for part in trunk.keys)
    counts = torch.tensor([0, *(len(visible) for _, visible in state.hung)])
    return {
        "visible": torch.tensor([seen for _, visible in state.hung for seen in visible], dtype=torch.int32),
        "keys": _addresses(state.keys),
        "values": _addresses(state.values),
        "first": counts.cumsum(0).to(torch.int32),
        "tokens": torch.tensor([len(trunk) for trunk in trunks], dtype=torch.int32),
        "trunk_keys": _addresses([trunk.keys[layer] for layer in layers for trunk in trunks]),
        "trunk_values": _addresses([trunk.values[layer] for layer in layers for trunk in trunks]),
    }


def _addresses(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.tensor([part.data_ptr() for part in tensors], dtype=torch.int64)
