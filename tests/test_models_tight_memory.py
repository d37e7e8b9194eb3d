"""Freed memory goes back to the system between stages, and where little is left."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

GAPS = """
import gc, sys, torch
from types import SimpleNamespace
from models.compute import keep_freed_memory
from models.training import tight_memory

def resident():
    return int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6

keep_freed_memory()
tensors = [torch.zeros(1_000_000) for _ in range(400)]  # 4 MB each
start = SimpleNamespace()
start.itself, start.tensors = start, tensors[::2]  # a cycle, as a trainer that is done
del tensors[::2], start
last = tensors[-1]  # at the top of the heap, so that nothing goes back by itself
del tensors[:-1]
before = resident()
tight_memory.TightMemory().on_train_begin(None, None, None)
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc's allocator is told to keep freed memory")
def test_a_training_begins_with_the_memory_of_what_went_before() -> None:
    told = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, check=True)
    assert float(told.stdout) > 1200  # of 1,600 MB that were freed


@pytest.mark.parametrize(("free", "returned"), [(0.5, 0), (0.2, 1)])
def test_where_little_is_left_it_goes_back_at_a_steps_end(
    monkeypatch: pytest.MonkeyPatch, free: float, returned: int
) -> None:
    from models.training import tight_memory

    calls: list[None] = []
    left = [100.0]
    monkeypatch.setattr(tight_memory, "available_memory", lambda: left[0])
    monkeypatch.setattr(tight_memory, "give_back_freed_memory", lambda: calls.append(None))
    nothing: Any = None
    watching = tight_memory.TightMemory()
    watching.on_train_begin(nothing, nothing, nothing)
    left[0] = free * 100
    watching.on_step_end(nothing, nothing, nothing)
    assert len(calls) == 1 + returned  # once at its beginning
