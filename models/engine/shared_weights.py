"""A decoding copy's weights in memory that other processes map: they see new weights without being sent any."""

from __future__ import annotations

import io
import math
import os
import pickle
import weakref
from typing import Any

import torch

_ALIGNED = 64  # bytes; vector loads from a weight's first value stay within its cache line


def can_share() -> bool:
    """Whether this system has anonymous memory that another process can open (Linux)."""
    return hasattr(os, "memfd_create")


def share(model: Any) -> str:
    """Move the parameters of a decoding copy into shared memory, which lives as long as the copy.

    Args:
        model: Its parameters keep their values and are from then on written in place.

    Returns:
        The path under which a process of the same user opens them.
    """
    parameters = list(model.parameters())
    descriptor = os.memfd_create("apprentice-weights")
    weakref.finalize(model, os.close, descriptor)
    begins, size = _places(parameters)
    os.ftruncate(descriptor, size)
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    with torch.inference_mode(False), torch.no_grad():  # weights that are written later must be plain tensors
        memory = _memory(path, size)
        for parameter, begin in zip(parameters, begins, strict=True):
            view = _view(memory, begin, tuple(parameter.shape), parameter.dtype)
            view.copy_(parameter)
            parameter.data = view
    return path


def skeleton(model: Any) -> bytes:
    """All of a shared decoding copy but its parameters and what is packed from them."""
    parameters = list(model.parameters())
    begins = {id(one): begin for one, begin in zip(parameters, _places(parameters)[0], strict=True)}
    written = io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, one: Any) -> Any:
            if isinstance(one, torch.nn.Parameter):
                return begins[id(one)], tuple(one.shape), one.dtype
            return "packed" if one is packed else None

    packed = getattr(model, "lean", torch)  # the module torch, which no model holds, where nothing is packed
    Pickler(written).dump(model)
    return written.getvalue()


def attach(bones: bytes, path: str) -> Any:
    """The decoding copy of a ``skeleton`` over the weights that another process shares under ``path``.

    Its weights are the other's, at every moment; what is packed from them has to be packed again when they change.
    """
    memory = _memory(path, os.stat(path).st_size)
    found: dict[int, torch.nn.Parameter] = {}

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, name: Any) -> Any:
            if name == "packed":
                return None
            begin, shape, dtype = name
            if begin not in found:  # tied weights are one parameter here too
                found[begin] = torch.nn.Parameter(_view(memory, begin, shape, dtype), requires_grad=False)
            return found[begin]

    return Unpickler(io.BytesIO(bones)).load()


def _places(parameters: list[Any]) -> tuple[list[int], int]:
    """Where in memory each begins, and how many bytes they take in all."""
    begins, size = [], 0
    for one in parameters:
        begins.append(size)
        size += -(-one.numel() * one.element_size() // _ALIGNED) * _ALIGNED
    return begins, size


def _memory(path: str, size: int) -> torch.Tensor:
    return torch.from_file(path, shared=True, size=size, dtype=torch.uint8)


def _view(memory: torch.Tensor, begin: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return memory[begin : begin + math.prod(shape) * dtype.itemsize].view(dtype).view(shape)
