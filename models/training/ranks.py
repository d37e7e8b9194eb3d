"""Ranks: processes that train one model together, each on its share of every batch, as a launcher starts them.

``torchrun --standalone --nproc-per-node 2 -m flows.cli sft`` starts two that know of each other by their environment.
Rank 0 leads: it alone decides, validates and writes what is shared. Everything here does nothing where a process trains
alone, as nearly always, and imports torch only where there are several.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

Value = TypeVar("Value")
Item = TypeVar("Item")
#: Others wait for rank 0 through whole stages (ingestion, evaluation), not only through a step.
PATIENCE = timedelta(days=7)


class RanksError(ValueError):
    """This cannot be done by several processes; the message says what can."""


def count() -> int:
    """How many processes train together; 1 unless a launcher says otherwise."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this is rank 0, or alone."""
    return count() == 1 or os.environ.get("RANK", "0") == "0"


def meet(*, cpu: bool) -> None:
    """Wait until all ranks are there."""
    if count() > 1:
        from accelerate import PartialState

        PartialState(cpu=cpu, timeout=PATIENCE)
        _line()


def part() -> None:
    """End what ``meet`` began; all ranks come here last, after an ``agreed`` of all.

    A gloo thread that is still letting go of the last message while Python shuts down aborts the process ("terminate
    called without an active exception", pytorch#190489). Destroying a group joins its threads, unless something else
    holds the group, as DistributedDataParallel and others hold the default one: messages have a group of their own.
    """
    if count() > 1:
        import torch.distributed

        _line.cache_clear()
        torch.distributed.destroy_process_group()


@cache
def _line() -> Any:
    """The group by which ranks tell each other objects, on whatever device they train."""
    import torch.distributed

    return torch.distributed.new_group(backend="gloo", timeout=PATIENCE)


def agreed(value: Value) -> Value:
    """Rank 0's value, in all ranks."""
    if count() == 1:
        return value
    import torch.distributed

    told = [value]
    torch.distributed.broadcast_object_list(told, src=0, group=_line())
    return told[0]


def wait() -> None:
    """Until all ranks have come here."""
    if count() > 1:
        from accelerate import PartialState

        PartialState().wait_for_everyone()


@contextmanager
def leader_first() -> Iterator[None]:
    """The block runs in rank 0 before it runs in the others, which find what it has written."""
    if not leads():
        wait()
    try:
        yield
    finally:
        if leads():
            wait()


def gathered(items: Sequence[Item]) -> list[Item]:
    """The items of all ranks, those of rank 0 first, in all ranks."""
    if count() == 1:
        return list(items)
    from accelerate.utils import gather_object

    return list(gather_object(list(items)))


def own(items: int) -> slice:
    """Where the items of this rank, of which there are so many, stand among the ``gathered`` ones; all ranks ask."""
    counts = gathered([items])
    before = sum(counts[: int(os.environ.get("RANK", "0"))]) if len(counts) > 1 else 0
    return slice(before, before + items)


def shares(batch_size: int, micro_batch_size: int, group: int = 1) -> dict[str, Any]:
    """Arguments of transformers' trainer by which the ranks share a batch: all of its rows, each once.

    Args:
        batch_size: Rows of an optimizer step.
        micro_batch_size: Rows of a forward pass at most.
        group: Rows that must stay in one rank.

    Raises:
        RanksError: There are ranks, and the rows do not divide among them.
    """
    ranks = count()
    if batch_size % (ranks * group):
        raise RanksError(
            f"batch_size={batch_size} cannot be shared out among {ranks} processes in groups of {group}; "
            f"use a multiple of {ranks * group}"
        )
    mine = batch_size // ranks
    forward = min(micro_batch_size, mine)
    if mine % forward:
        raise RanksError(
            f"{mine} rows of each of {ranks} processes are not a multiple of micro_batch_size={micro_batch_size}; "
            f"set micro_batch_size to a divisor of {mine}"
        )
    alone = {"per_device_train_batch_size": forward, "gradient_accumulation_steps": mine // forward}
    if ranks == 1:
        return alone
    # Buffers are the same everywhere, and ranks differ in how many forward passes their trees take.
    together = {
        "ddp_broadcast_buffers": False,
        "ddp_find_unused_parameters": False,
        "ddp_timeout": int(PATIENCE.total_seconds()),
    }
    return alone | together
