"""Python's collector of cycles, told to wait while records are read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycle_collection() -> Iterator[None]:
    """Records hold no cycles, and walking millions of live ones again and again takes half of an ingestion's time.

    Also as a decorator. A parsed file makes objects enough for several walks over everything that has been imported.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
