"""A command run by several processes: rank 0 runs it, the others follow it through its trainings.

Flows, records, locks, MLflow and the warehouse are rank 0's. The others wait until it announces a training, take part
in it, and wait again; they end when rank 0 does.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.training.job import TrainingJob


def run_in_ranks(command: Callable[[], object]) -> None:
    """``command`` in rank 0, and its trainings in all; alone, simply ``command``.

    Args:
        command: May end by ``SystemExit``, as a command line does.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        command()
        return
    from models.training import ranks

    ranks.meet(cpu=not _has_gpu())
    if not ranks.leads():
        _follow()
        ranks.part()
        return
    try:
        command()
    finally:
        with suppress(RuntimeError):  # a rank that has died already hears nothing; its own message tells why
            ranks.agreed(None)
            ranks.part()


def announce(module: str, function: str, job: TrainingJob) -> None:
    """Call the other ranks, if any, to a training that rank 0 is about to begin."""
    from models.training import ranks

    ranks.agreed((module, function, job))


def _follow() -> None:
    from data.reporting import Silent
    from models.training import ranks
    from models.training.sft import EmptySplit

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # both reach all ranks; rank 0 decides, between two steps
    while (announced := ranks.agreed(None)) is not None:
        module, function, job = announced
        with suppress(EmptySplit, ranks.RanksError):  # rank 0 comes to the same end, and says so
            getattr(importlib.import_module(module), function)(job, Silent())


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
