"""Ctrl-C and SIGTERM as a request: the work under way ends its step, its batch or its episode, saves, and stops."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Interruption:
    """Whether SIGINT or SIGTERM has ``asked`` to stop, and whether the work has ``heeded`` it."""

    asked: bool = False
    heeded: bool = False


#: The requests that are being waited for, innermost last.
_open: list[Interruption] = []


def asked_to_stop() -> bool:
    """Whether somebody has asked work under way to stop, and it is about to."""
    return any(one.asked for one in _open)


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Within the block SIGINT and SIGTERM only raise a flag, so that the current step can end and be saved.

    A second signal acts as it would have without us. A request that came too late for the work to heed is raised as
    ``KeyboardInterrupt`` when the block ends: what was done is kept, what would come next is not begun. Outside the
    main thread signals cannot be caught and the flag stays down.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        state.asked = True
        print("stopping when this step is done; once more to stop at once", file=sys.stderr, flush=True)
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, ask)
    _open.append(state)
    try:
        yield state
    finally:
        _open.pop()
        for number, handler in previous.items():
            signal.signal(number, handler)
    if state.asked and not state.heeded:
        raise KeyboardInterrupt
