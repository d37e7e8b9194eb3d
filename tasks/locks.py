"""Locks between processes that die with their holder, however it dies.

An OS lock (``flock``) is released by the kernel on ``kill -9`` too; beside it lies a note of who holds it, so that
whoever is refused learns whom to wait for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from data import paths
from data.files import write_whole

#: Seconds to wait for a holder that is just finishing, where ``APPRENTICE_WAIT_MINUTES`` asks for no more.
PATIENCE = 3.0
WAIT = "APPRENTICE_WAIT_MINUTES"
TRAINING = "training"
#: Held while files go that any stage may read (``forget``, ``data gc``).
REMOVAL = "removal"


class Busy(Exception):
    """Another live process holds what this one needs; the message says which and what to do."""


@contextmanager
def hold(name: str, stage: str, *, patience: float | None = None) -> Iterator[None]:
    """Hold the lock ``name`` for ``stage``; whoever waits for long is told for whom.

    Raises:
        Busy: Another process holds it still after ``patience`` seconds (see ``PATIENCE``).
    """
    paths.locks().mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.locks() / f"{name}.lock")
    note = paths.locks() / f"{name}.json"
    patience = waiting_seconds() if patience is None else patience
    try:
        lock.acquire(timeout=min(patience, PATIENCE))
    except Timeout:
        if patience <= PATIENCE:
            raise Busy(_refusal(name, stage, note)) from None
        _wait(lock, name, stage, note, patience)
    try:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_whole(note, json.dumps({"pid": os.getpid(), "stage": stage, "since": now}))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def waiting_seconds() -> float:
    """How long to wait for a lock: a scheduled run waits for another training, a person is told at once.

    Raises:
        Busy: The variable holds no number.
    """
    text = os.environ.get(WAIT, "")
    try:
        return max(PATIENCE, 60 * float(text)) if text else PATIENCE
    except ValueError:
        raise Busy(f"{WAIT} must be a number of minutes, not {text!r}") from None


def _wait(lock: FileLock, name: str, stage: str, note: Path, patience: float) -> None:
    print(f"{stage}: waiting for up to {patience / 60:.0f} min for {_holder(note)}", file=sys.stderr, flush=True)
    try:
        lock.acquire(timeout=patience, poll_interval=1.0)
    except Timeout:
        raise Busy(_refusal(name, stage, note)) from None


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
        pid = json.loads(note.read_text(encoding="utf-8"))["pid"]
    except FileNotFoundError:
        return f"{stage}: another process holds the {name} lock and has just taken it; try again in a minute"
    return (
        f"{stage}: the {name} lock is held by {_holder(note)}. Wait until it ends ({WAIT}=60 waits by itself), or stop "
        f"it with `kill {pid}` (it saves and can be resumed), then run the same command again."
    )


def _holder(note: Path) -> str:
    try:
        holder = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "a process that has just taken it"
    return f"{holder['stage']}, process {holder['pid']}, since {holder['since']}"
