"""A whole source as checked chunks: here, or in several processes where the source can be read in parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from data.chunks import Chunk, Plan, Read, write_chunks
from data.redaction import load_redaction, redacted
from data.renaming import renamed
from data.reporting import Reporter
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources import Source, get_source
from data.sources.base import Part, Partitioned, Tally
from data.tombstones import without_forgotten
from data.workers import available, in_order

#: Bytes of raw records below which starting processes costs more than it saves, and of one process's task.
_WORTH_PROCESSES = 40_000_000
_TASK = 8_000_000


class _Task(NamedTuple):
    """Neighbouring parts, read one after the other."""

    name: str
    parts: list[Part | Quarantined]
    weight: int


def read_in_chunks(source: Source, settings: DataSettings, plan: Plan, reporter: Reporter) -> Iterator[Chunk]:
    """Everything the source holds, in its order, as written chunks.

    Raises:
        SourceError: As the source raises.
        data.workers.WorkerDied: A process was killed.
    """
    if not isinstance(source, Partitioned):
        yield from write_chunks("all", admitted(source.read(settings, reporter), settings), plan)
        return
    tasks = list(_tasks(source.parts(settings, reporter)))
    weight = sum(task.weight for task in tasks)
    processes = (settings.processes or available()) if weight >= _WORTH_PROCESSES else 1
    reporter.phase(f"reading {source.name}", total=round(weight / 1e6, 1), unit="MB")
    tallies: Counter[str] = Counter()
    done = 0
    for task, chunks in zip(tasks, in_order(partial(_read, settings, plan), tasks, processes), strict=True):
        for chunk in chunks:
            tallies += chunk.tallies
            yield chunk
        done += task.weight
        reporter.update(round(done / 1e6, 1))
    for remark in source.remarks(tallies):
        reporter.say(remark)


def _tasks(parts: Iterable[Part | Quarantined]) -> Iterator[_Task]:
    """Parts in order, joined up to ``_TASK`` bytes."""
    gathered: list[Part | Quarantined] = []
    weight, number = 0, 0
    for part in parts:
        gathered.append(part)
        weight += part.weight if isinstance(part, Part) else 0
        if weight >= _TASK:
            yield _Task(f"part-{number:06d}", gathered, weight)
            gathered, weight, number = [], 0, number + 1
    if gathered:
        yield _Task(f"part-{number:06d}", gathered, weight)


def _read(settings: DataSettings, plan: Plan, task: _Task) -> list[Chunk]:
    """One task's chunks; runs in a worker."""
    source = get_source(settings.source)
    assert isinstance(source, Partitioned)
    return list(write_chunks(task.name, admitted(_items(source, settings, task), settings), plan))


def _items(source: Partitioned, settings: DataSettings, task: _Task) -> Iterator[Read]:
    for part in task.parts:
        if isinstance(part, Quarantined):
            yield part
        else:
            yield from source.read_part(part, settings)


def admitted(items: Iterable[Read], settings: DataSettings) -> Iterator[Read]:
    """What was read, redacted and with tools renamed if that is asked for, without what was to be forgotten; tallies
    come last."""
    tallies: list[Tally] = []
    records: Iterator[Conversation | Quarantined] = _without_tallies(items, tallies)
    if settings.redact:
        records = redacted(records, load_redaction(settings.redact))
    records = without_forgotten(records)
    yield from renamed(records, settings.rename_tools) if settings.rename_tools else records
    yield from tallies


def _without_tallies(items: Iterable[Read], tallies: list[Tally]) -> Iterator[Conversation | Quarantined]:
    for item in items:
        if isinstance(item, Tally):
            tallies.append(item)
        else:
            yield item
