"""How much memory a process may still take: the machine's, and less where a container is given less."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def available_memory(cgroup: Path = CGROUP) -> int:
    """Bytes that can be had without swapping.

    Of a container only control groups of version 2 are heeded (``memory.max``): where its limit is not visible, the
    machine's own memory counts.
    """
    free = int(psutil.virtual_memory().available)
    left = _left_to_container(cgroup)
    return free if left is None else min(free, left)


def total_memory() -> int:
    """Bytes of the machine."""
    return int(psutil.virtual_memory().total)


def peak_memory_mb() -> float:
    """The most memory this process ever held, in MB; Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _left_to_container(cgroup: Path) -> int | None:
    try:
        limit = (cgroup / "memory.max").read_text(encoding="ascii").strip()
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
        facts = dict(line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        return None
    if limit == "max":
        return None
    cached = int(facts.get("inactive_file", 0))  # given back by the kernel before anything is refused
    return max(0, int(limit) - used + cached)
