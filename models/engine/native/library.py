"""The compiled kernels: built with the machine's C compiler, loaded through ctypes.

Set-up builds them into the environment (``python -m models.engine.native.library``). Where that did not happen, or the
sources have changed since, the first use builds them under ``var/``.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from data import paths

#: Instructions the kernels are written in, as /proc/cpuinfo names them, and the compiler's flag for each.
INSTRUCTIONS = {
    "avx512f": "-mavx512f",
    "avx512bw": "-mavx512bw",
    "avx512vl": "-mavx512vl",
    "avx512dq": "-mavx512dq",
    "avx512_bf16": "-mavx512bf16",
}
FLAGS = ("-O3", "-std=gnu11", "-fno-math-errno", "-shared", "-fPIC", "-pthread", *INSTRUCTIONS.values(), "-mfma")
_SOURCES = Path(__file__).parent


class Unavailable(Exception):
    """The kernels cannot be had here; the message says why and what to do."""


@lru_cache(maxsize=1)
def kernels() -> ctypes.CDLL | None:
    """The compiled kernels, or None where ``without_kernels`` says why not."""
    return None if without_kernels() else ctypes.CDLL(str(_built()))


@lru_cache(maxsize=1)
def without_kernels() -> str | None:
    """Why this machine computes without the kernels, and what to do about it; None if it computes with them."""
    try:
        _built()
    except Unavailable as why:
        return str(why)
    return None


def _built(*, setting_up: bool = False) -> Path:
    """The shared library of the present sources, compiled unless it is there.

    Args:
        setting_up: Compile into the environment rather than under ``var/``.

    Raises:
        Unavailable: They are switched off, the CPU lacks instructions, there is no compiler, or it refuses.
    """
    if os.environ.get("APPRENTICE_KERNELS", "auto") == "off":
        raise Unavailable("switched off by APPRENTICE_KERNELS=off")
    if missing := sorted(INSTRUCTIONS.keys() - _cpu_flags()):
        raise Unavailable(f"this CPU has no {', '.join(missing)}")
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise Unavailable(
            "no C compiler here; with gcc or clang installed, training takes half the time and decoding a third"
        )
    name = f"{_digest(compiler)}.so"
    places = [in_environment()] if setting_up else [in_environment(), paths.kernels()]
    there = next((place / name for place in places if (place / name).exists()), None)
    if there is None:
        there = places[-1] / name
        _compile(compiler, there)
    return there


def in_environment() -> Path:
    """Where set-up leaves the kernels: in the Python environment, for every ``var/``."""
    return Path(sys.prefix) / "share" / "apprentice" / "kernels"


def _compile(compiler: str, target: Path) -> None:
    sources = sorted(_SOURCES.glob("*.c"))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:  # two at once each make their own; the last counts
        made = Path(folder) / target.name
        command = [compiler, *FLAGS, *map(str, sources), "-o", str(made), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            told = (done.stderr.strip().splitlines() or ["no message"])[0]
            raise Unavailable(f"{Path(compiler).name} cannot compile them ({told}); gcc 10 and clang 9 or later can")
        made.replace(target)


def _digest(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    digest = hashlib.sha256("\0".join([version, *FLAGS]).encode())
    for file in sorted([*_SOURCES.glob("*.c"), *_SOURCES.glob("*.h")]):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _cpu_flags() -> set[str]:
    """Instruction sets of this machine's CPU; none known where it is not an x86-64 Linux."""
    facts = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not facts.exists():
        return set()
    lines = (line for line in facts.read_text(encoding="ascii", errors="replace").splitlines() if ":" in line)
    return next((set(line.split(":", 1)[1].split()) for line in lines if line.startswith("flags")), set())


if __name__ == "__main__":
    try:
        print(f"kernels: {_built(setting_up=True).name}")
    except Unavailable as why:
        print(f"kernels: none, computing through torch: {why}")
