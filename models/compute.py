"""What the machine computes with, and how it is made to do so well."""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec

import torch

from data.reporting import Reporter
from data.settings import Settings

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_FROM = 32 * 2**20  # the most that glibc takes
_MMAP_FROM_WHERE_TIGHT = 4 * 2**20


def uses_cuda(settings: Settings) -> bool:
    """Whether this run computes on a GPU."""
    return settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())


def device_name(settings: Settings) -> str:
    """``cuda`` or ``cpu``."""
    return "cuda" if uses_cuda(settings) else "cpu"


def bf16_pays(settings: Settings) -> bool:
    """Whether bf16 is worth using: on any modern GPU, and on CPUs with native bf16 products (AVX-512 bf16, AMX)."""
    if uses_cuda(settings):
        return torch.cuda.is_bf16_supported()
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def decode_dtype(settings: Settings) -> torch.dtype:
    """What completions are decoded in: bf16 where it pays, else float32."""
    return torch.bfloat16 if bf16_pays(settings) else torch.float32


def tell_what_is_slow(settings: Settings, reporter: Reporter) -> None:
    """Say so where completions and attention could be had faster on this machine, and how."""
    from models.engine.native.library import without_kernels

    if not uses_cuda(settings) and bf16_pays(settings) and (why := without_kernels()):
        reporter.say(f"attention and decoding without compiled kernels: {why}")


def vllm_available(settings: Settings) -> bool:
    """Whether completions can come from vLLM in this process: a GPU is there, and vLLM, which we do not require."""
    return uses_cuda(settings) and find_spec("vllm") is not None


def keep_freed_memory() -> None:
    """Let the C library keep freed tensors for the next step instead of returning each to the system.

    Activations would otherwise be given back and faulted in page by page at every step. Tensors above 32 MiB are still
    mapped on their own: kept as well, they left the heap in pieces (12 GB resident after 15 minutes of SFT).
    Only on Linux with glibc; elsewhere the allocator is left alone.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def return_freed_tensors() -> None:
    """Let the C library return all but small tensors to the system as soon as they are freed, where memory is tight.

    Kept, those of a layer that will be computed again left gaps between what stays: 3 GB beside 2 GB that were needed
    (``benchmarks/memory.py``). Only on Linux with glibc.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_THRESHOLD, _MMAP_FROM_WHERE_TIGHT)


def give_back_freed_memory() -> None:
    """Return to the system what the C library holds of freed tensors: after work with many sizes of them, which leave
    gaps that the next ones do not fit. Only on Linux with glibc; elsewhere nothing is done."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
    return library if hasattr(library, "gnu_get_libc_version") else None
