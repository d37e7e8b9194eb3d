"""A training's activations held to the memory that is there: what does not fit is computed again in backward.

A forward pass keeps 0.9 MB a token for the backward pass of a 135M model in bf16, so 12,000 packed tokens take 11 GB.
Where that is more than there is room for, as many layers as need be keep nothing but their input and are computed once
more when backward comes to them (gradient checkpointing, Chen et al. 2016, arXiv:1604.06174). Gradients stay the same;
a layer that is computed again costs its forward pass once more. On GPUs every layer is, by TRL's own setting.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from models.compute import return_freed_tensors
from models.memory import available_memory

#: Share of the free memory that activations may take. The allocator holds up to a third of them again in gaps; the rest
#: is for what backward itself needs.
SHARE = 0.7
#: Bytes a weight still has to come when the first forward pass begins: its gradient and AdamW's two moments.
BYTES_TO_COME = 12
_PROBES = (32, 96)


def bound_activations(model: Any, say: Callable[[str], None], *, room: float | None = None, sharers: int = 1) -> Bound:
    """Let a transformers model keep for backward only what memory has room for.

    It may be wrapped afterwards (DDP, PEFT). Passes without gradients are left alone.

    Args:
        model: A causal language model whose layers transformers can checkpoint.
        say: Told once in words when layers begin to be computed again.
        room: Bytes for activations; by default ``SHARE`` of what is free at the first forward pass of training, less
            what gradients and optimizer will take.
        sharers: Processes of this machine that train side by side and share what is free.
    """
    return Bound(model, say, room, sharers)


class Bound:
    """What ``bound_activations`` puts on a model."""

    def __init__(self, model: Any, say: Callable[[str], None], room: float | None, sharers: int) -> None:
        self._model = model
        self._say = say
        self._room = room
        self._sharers = sharers
        self._kept_by_layer = 0.0
        self._held = 0.0
        self._measuring = False
        self._body = model.base_model
        self._layers = [part for part in self._body.modules() if isinstance(part, GradientCheckpointingLayer)]
        self.most_recomputed = 0
        """Layers that were computed again, in the pass with the most of them."""
        for layer in self._layers:
            layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
        self._body.register_forward_pre_hook(self._before, with_kwargs=True)
        self._body.register_forward_hook(self._after)

    def _before(self, body: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._measuring or not (torch.is_grad_enabled() and body.training):
            return
        if self._room is None:
            self._room = _room_of(self._model, self._sharers)
        if not self._kept_by_layer:
            self._kept_by_layer = self._measured()
        ids = kwargs.get("input_ids", args[0] if args else None)
        tokens = (ids if ids is not None else kwargs["inputs_embeds"][..., 0]).numel()
        again = self._layers_again(tokens)
        for number, layer in enumerate(self._layers):
            layer.gradient_checkpointing = number < again
        if again:
            return_freed_tensors()
        if again and not self.most_recomputed:
            self._tell(tokens, again)
        self.most_recomputed = max(again, self.most_recomputed)
        self._held += tokens * self._kept(again)

    def _after(self, body: Any, args: tuple[Any, ...], output: Any) -> None:
        hidden = output[0]
        if not self._measuring and body.training and hidden.requires_grad:
            hidden.register_hook(self._released)

    def _released(self, gradient: torch.Tensor) -> None:
        self._held = 0.0  # backward has begun: whatever forward passes kept is used up before the next one

    def _layers_again(self, tokens: int) -> int:
        """The fewest layers with which these tokens fit beside what earlier passes keep; all, if none does."""
        assert self._room is not None
        for again in range(len(self._layers)):
            if self._held + tokens * self._kept(again) <= self._room:
                return again
        return len(self._layers)

    def _kept(self, again: int) -> float:
        """Bytes a token: of layers kept whole, of the inputs of the others, and of the one being computed again."""
        inputs = again * 4 * self._model.config.hidden_size
        whole = len(self._layers) - again + (again > 0)
        return inputs + whole * self._kept_by_layer

    def _measured(self) -> float:
        """Bytes that a layer keeps of a token, by two small passes in the precision that is in force now."""
        self._measuring = True
        try:
            for layer in self._layers:
                layer.gradient_checkpointing = False
            few, many = (self._bytes_kept(tokens) for tokens in _PROBES)
        finally:
            self._measuring = False
        return (many - few) / (_PROBES[1] - _PROBES[0]) / len(self._layers)

    def _bytes_kept(self, tokens: int) -> int:
        kept: dict[int, torch.Tensor] = {}  # by storage, held so that no address comes twice

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        ids = torch.ones(1, tokens, dtype=torch.long, device=self._model.device)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            self._body(input_ids=ids, use_cache=False)
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())

    def _tell(self, tokens: int, again: int) -> None:
        assert self._room is not None
        needed, layers = tokens * self._kept(0) / 1e9, len(self._layers)
        words = f"{again} of {layers} layers are computed again in backward: a pass of {tokens:,} tokens would keep "
        words += f"{needed:.1f} GB, and memory has room for {self._room / 1e9:.1f}"
        if self._held + tokens * self._kept(again) > self._room:
            words += "; even so it may not suffice: lower micro_batch_size"
        self._say(words)


def _room_of(model: Any, sharers: int) -> float:
    to_come = sum(BYTES_TO_COME * weight.numel() for weight in model.parameters() if weight.requires_grad)
    return max(0.0, SHARE * (available_memory() / sharers - to_come))
