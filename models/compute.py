"""What the machine computes with, and how it is made to do so well."""

from __future__ import annotations

import ctypes
import json
import statistics
import sys
import time
from functools import lru_cache
from importlib.util import find_spec

import torch
from filelock import FileLock

from data import paths
from data.files import write_whole
from data.reporting import Reporter
from data.settings import Settings
from models.processor import processor

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_FROM = 32 * 2**20  # the most that glibc takes
_MMAP_FROM_WHERE_TIGHT = 4 * 2**20

#: Tokens, inputs and outputs of the product that is timed: a short conversation into the MLP of a 135M model.
_PRODUCT = (512, 576, 1536)
_TIMES = 31
#: How many times bf16's speed float32 must have to be taken for it.
_CLEARLY = 1.25


def uses_cuda(settings: Settings) -> bool:
    """Whether this run computes on a GPU."""
    return settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())


def device_name(settings: Settings) -> str:
    """``cuda`` or ``cpu``."""
    return "cuda" if uses_cuda(settings) else "cpu"


def bf16_pays(settings: Settings) -> bool:
    """Whether training computes in bf16: as the settings say, else on any modern GPU, and on CPUs that are not clearly
    faster in float32.

    CPUs are timed, since torch takes bf16 on all with AVX-512. Those without instructions for it emulate its products
    at a fifth of float32's speed, and those that have them may still have them at half of it (Intel's fifth Xeon
    generation with AMX masked by its hypervisor). Where both are about as fast bf16 halves what activations take.
    """
    if settings.precision != "auto":
        return settings.precision == "bf16"
    if uses_cuda(settings):
        return torch.cuda.is_bf16_supported()
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return _decided() == "bf16"


def training_precision(settings: Settings) -> str:
    """``bf16`` or ``float32``: what a training's products are computed in."""
    return "bf16" if bf16_pays(settings) else "float32"


def training_dtype(settings: Settings) -> torch.dtype:
    """The same as a type: the reference that the policy's KL is measured against is computed as the policy is."""
    return torch.bfloat16 if bf16_pays(settings) else torch.float32


@lru_cache(maxsize=1)
def _decided() -> str:
    """``bf16`` or ``float32``, once for a machine and its ``var/``: what is stopped goes on as it began, ranks and
    models that are compared compute alike, however busy the machine is when one of them starts."""
    file, machine = paths.precision(), f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if machine not in known:
            single, half = product_rates("cpu")
            known[machine] = "float32" if single >= half * _CLEARLY else "bf16"
            write_whole(file, json.dumps(known, indent=1))
    return str(known[machine])


@lru_cache(maxsize=2)
def product_rates(device: str) -> tuple[float, float]:
    """Operations per second, in float32 and in bf16, of a product of a small model's shape.

    Both are timed in turn, and the middle one of many ratios counts: whoever else computes on the machine slows now the
    one, now the other."""
    tokens, inputs, outputs = _PRODUCT
    pairs = [
        (torch.ones(tokens, inputs, dtype=kind, device=device), torch.ones(outputs, inputs, dtype=kind, device=device))
        for kind in (torch.float32, torch.bfloat16)
    ]
    spent: list[list[float]] = []
    for _ in range(_TIMES):
        spent.append([])
        for rows, weight in pairs:
            began = time.perf_counter()
            torch.nn.functional.linear(rows, weight)[0, 0].item()
            spent[-1].append(time.perf_counter() - began)
    ratio = statistics.median(half / single for single, half in spent[1:])  # the first call of each compiles
    operations = 2 * tokens * inputs * outputs
    single = operations / min(one for one, _ in spent)
    return single, single / ratio


def decode_dtype(settings: Settings) -> torch.dtype:
    """What completions are decoded in: bf16 where it pays or the compiled kernels decode, else float32.

    Decoding reads all weights for every token, so bf16 halves its traffic even where products are slow: on such a CPU
    the kernels took 0.8 to 1.1 times float32's seconds (docs/log.md, 2026-11-30). A stated precision counts here too.
    """
    from models.engine.native.library import without_kernels

    decodes_in_bf16 = settings.precision == "auto" and not uses_cuda(settings) and without_kernels() is None
    return torch.bfloat16 if decodes_in_bf16 or bf16_pays(settings) else torch.float32


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
