"""Locks between processes that die with their holder, however it dies.

An OS lock (``flock``) is released by the kernel on ``kill -9`` too; beside it lies a note of who holds it, so that
whoever is refused learns whom to wait for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from data import paths
from data.files import write_whole

#: Seconds to wait for a holder that is just finishing.
PATIENCE = 3.0
TRAINING = "training"


class Busy(Exception):
    """Another live process holds what this one needs; the message says which and what to do."""


@contextmanager
def hold(name: str, stage: str, *, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock ``name`` for ``stage``.

    Raises:
        Busy: Another process holds it still after ``patience`` seconds.
    """
    paths.locks().mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.locks() / f"{name}.lock")
    note = paths.locks() / f"{name}.json"
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise Busy(_refusal(name, stage, note)) from None
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_whole(note, json.dumps({"pid": os.getpid(), "stage": stage, "since": now}))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def is_free(name: str) -> bool:
    """Whether nobody holds the lock at this moment."""
    lock = FileLock(paths.locks() / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True


def _refusal(name: str, stage: str, note: Path) -> str:
    try:
        holder = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{stage}: another process holds the {name} lock and has just taken it; try again in a minute"
    who = f"{holder['stage']}, process {holder['pid']}, since {holder['since']}"
    return (
        f"{stage}: the {name} lock is held by {who}. Wait until it ends, or stop it with "
        f"`kill {holder['pid']}` (it saves and can be resumed), then run the same command again."
    )
