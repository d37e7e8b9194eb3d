"""What the machine is fit for: interpreter and packages, disk, memory, arithmetic, the package registry."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from data import paths
from models.processor import processor

State = Literal["good", "note", "bad"]
GIGABYTE = 1e9
#: A stage of the 135M model keeps two checkpoints of 1.6 GB and a model; and it holds about 3 GB while it trains.
ENOUGH_DISK, LITTLE_DISK = 10 * GIGABYTE, 2 * GIGABYTE
ENOUGH_MEMORY = 4 * GIGABYTE


class Finding(NamedTuple):
    """One thing that was looked at: what, how it is, and what to do about it."""

    check: str
    state: State
    says: str
    cure: str = ""


def described() -> str:
    """This machine in words, for results to say what made them: ``2 cores, AMD EPYC, Linux``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ", ".join([f"{cores} cores", processor(), platform.system(), *_accelerators()])


def _accelerators() -> list[str]:
    """GPUs by name; torch is not loaded for this where it is not there yet."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def environment() -> Iterator[Finding]:
    """Python's version, and installed packages against the committed pins."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = sys.version_info[:2] == (3, 11)
    yield Finding("python", "good" if fits else "bad", version, "" if fits else "install Python 3.11 and `make setup`")
    pins = pinned(paths.PROJECT_ROOT / "constraints.txt")
    there = {name: _installed(name) for name in pins}
    other = [f"{name} {there[name]} instead of {pins[name]}" for name in pins if there[name] not in (None, pins[name])]
    told = f"{sum(version is not None for version in there.values())} of {len(pins)} pinned packages are here"
    if other:
        yield Finding(
            "packages", "note", f"{told}; {'; '.join(other[:3])}", "`make clean-venv setup` installs the pins"
        )
    else:
        yield Finding("packages", "good", f"{told}, each at its pin")


def pinned(file: Path) -> dict[str, str]:
    """Package names and versions of a constraints file."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(lines)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name).partition("+")[0]  # torch 2.13.0+cpu is the pinned one, built for CPUs
    except metadata.PackageNotFoundError:
        return None


def disk() -> Iterator[Finding]:
    """Room where runs leave their files."""
    free = shutil.disk_usage(paths.var()).free
    state: State = "good" if free >= ENOUGH_DISK else "note" if free >= LITTLE_DISK else "bad"
    cure = "" if state == "good" else "`apprentice data gc` shows what can go; or move var/ with APPRENTICE_VAR"
    yield Finding("disk", state, f"{free / GIGABYTE:.1f} GB free under {paths.var()}", cure)


def memory() -> Iterator[Finding]:
    """Memory that is free now."""
    from models.memory import available_memory, total_memory

    free, total = available_memory(), total_memory()
    enough = free >= ENOUGH_MEMORY
    cure = "" if enough else "end other programs, or lower the batch: --set grpo.micro_batch_size=8"
    says = f"{free / GIGABYTE:.1f} of {total / GIGABYTE:.1f} GB free"
    yield Finding("memory", "good" if enough else "note", says, cure)


def arithmetic() -> Iterator[Finding]:
    """Cores, GPU, and how fast products are in float32 and bf16; says if what training uses is clearly the slower."""
    import torch

    from data.profiles import resolve
    from models.compute import bf16_pays, device_name, product_rates

    settings = resolve("laptop")
    device = device_name(settings)
    name = torch.cuda.get_device_name() if device == "cuda" else f"{len(os.sched_getaffinity(0))} cores"
    single, half = product_rates(device)
    used, slower = ("bf16", half < single / 1.5) if bf16_pays(settings) else ("float32", single < half / 1.5)
    says = f"{name}: {single / 1e9:,.0f} GFLOP/s in float32, {half / 1e9:,.0f} in bf16; training computes in {used}"
    if settings.precision == "auto":
        yield Finding("arithmetic", "good", says)
    else:
        cure = "leave `precision` at auto (APPRENTICE_PRECISION), which takes the faster" if slower else ""
        yield Finding("arithmetic", "note" if slower else "good", f"{says}, as it is set", cure)


def kernels() -> Iterator[Finding]:
    """Whether attention and decoding run through compiled kernels on this CPU."""
    from models.engine.native.library import without_kernels

    why = without_kernels()
    if why is None:
        yield Finding("kernels", "good", "attention and decoding run through kernels compiled for this CPU")
    else:
        yield Finding("kernels", "note", f"none, computing through torch: {why}")


def registry(seconds: float = 10.0) -> Iterator[Finding]:
    """Whether the index that pip uses answers; base models come from there."""
    url = index_url()
    shown = f"{urlsplit(url).scheme}://{urlsplit(url).hostname}"  # never the credentials that an address may hold
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/pip/", timeout=seconds):
            yield Finding("registry", "good", f"{shown} answers")
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        cure = "needed for a base model that is not here yet; check the network and `pip config list`"
        yield Finding("registry", "note", f"{shown} does not answer ({reason})", cure)


def index_url() -> str:
    """The package index as pip has it configured."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return os.environ.get("PIP_INDEX_URL") or told or _default_index()


def _default_index() -> str:
    """What pip asks where nothing is configured: only pip itself knows, and only inside."""
    from pip._internal.models.index import PyPI

    return str(PyPI.simple_url)
