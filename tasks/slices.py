"""Work in slices: so many minutes a call, what is under way is saved, and the same command goes on.

At the end of the slice the process sends itself the signal that Ctrl-C would: trainings end their step and save,
evaluations end their batch, anything else is cut and done again. One way to stop, tested as such.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import TracebackType

from models.interruption import asked_to_stop

#: A step is not begun with less than this left: loading alone takes longer.
LEAST_SECONDS = 30.0


class SliceOver(KeyboardInterrupt):
    """The slice has ended; the message says how far the work came."""


class Slice:
    """Within the block: ends the work after ``minutes``; None: never."""

    def __init__(self, minutes: float | None) -> None:
        self._seconds = None if minutes is None else minutes * 60
        self._started = time.monotonic()
        self._timer: threading.Timer | None = None
        self._ended = False

    def __enter__(self) -> Slice:
        if self._seconds is not None:
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells leave it to jobs in the background
                signal.signal(signal.SIGINT, signal.default_int_handler)
            self._timer = threading.Timer(self._seconds, self._end)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if isinstance(error, KeyboardInterrupt) and not isinstance(error, SliceOver) and self._ended:
            raise SliceOver(str(error) or "the slice is over; run the same command again to go on") from error

    def _end(self) -> None:
        """Ask for an end as Ctrl-C would, unless somebody has: a second request would cut what is being saved, and who
        pressed Ctrl-C wants no loop to go on."""
        if not asked_to_stop():
            self._ended = True
            os.kill(os.getpid(), signal.SIGINT)

    def require(self, progress: str) -> None:
        """Raise ``SliceOver`` if too little is left to begin anything."""
        if self._seconds is not None and time.monotonic() - self._started > self._seconds - LEAST_SECONDS:
            raise SliceOver(f"{progress}; the slice is over, run the same command again to go on")
