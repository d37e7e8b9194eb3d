"""First pass over an SGD copy: which records there are, where they lie and which split each belongs to.

Only ids and places are kept. A file that cannot be read is one quarantined row, and so is each record without an id of
its own; whether a record is a sound dialogue is seen when it is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from data.reporting import Reporter
from data.schema import Quarantined, Split
from data.sources.base import SourceError
from data.sources.sgd.raw import UnreadableFile, dialogue_files, load_dialogues
from data.sources.sgd.splits import SplitRule


class Place(NamedTuple):
    """Where a record lies that may be taken in the second pass."""

    record_id: str
    split: Split
    directory: str
    path: Path
    position: int


def scan(root: Path, directories: Sequence[str], rule: SplitRule, reporter: Reporter) -> Iterator[Place | Quarantined]:
    """Every record's place in order, and a quarantine row for each file or record that has none."""
    files = [(directory, path) for directory in directories for path in dialogue_files(root, directory)]
    reporter.phase("scanning sgd", total=len(files), unit="files")
    seen: set[str] = set()
    for number, (directory, path) in enumerate(files, start=1):
        yield from (found for found, _ in scan_file(root, directory, path, rule, seen))
        reporter.update(number)


def scan_file(
    root: Path, directory: str, path: Path, rule: SplitRule, seen: set[str]
) -> Iterator[tuple[Place | Quarantined, Any]]:
    """The places of one file, each with its raw record; ``seen`` holds the ids met so far and gains those of the file.

    A file that cannot be read is one quarantine row with None for a record.
    """
    where = path.relative_to(root).as_posix()
    try:
        records = load_dialogues(path)
    except UnreadableFile as error:
        yield quarantined(where, "unreadable_file", str(error)), None
        return
    for position, record in enumerate(records):
        place = Place("", "excluded", directory, path, position)
        yield _place(record, f"{where}#{position}", place, rule, seen), record


def _place(record: Any, where: str, place: Place, rule: SplitRule, seen: set[str]) -> Place | Quarantined:
    """``place`` completed for this record, or why it has none; adds its id to ``seen``."""
    if not _looks_like_dialogue(record):
        return quarantined(where, "not_a_dialogue", "the record has no dialogue_id or no list of services")
    record_id = f"{place.directory}/{record['dialogue_id']}"
    if record_id in seen:
        return quarantined(where, "duplicate_id", f"an earlier record is also named {record_id}")
    seen.add(record_id)
    return place._replace(record_id=record_id, split=rule.split(place.directory, record["services"]))


def _looks_like_dialogue(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    dialogue_id, services = record.get("dialogue_id"), record.get("services")
    named = isinstance(dialogue_id, str) and bool(dialogue_id)
    return named and isinstance(services, list) and all(isinstance(service, str) for service in services)


def records_at(places: Iterable[Place]) -> Iterator[tuple[Place, Any]]:
    """The raw record at each place, loading only the files that hold one.

    Raises:
        SourceError: A file is no longer what the first pass saw.
    """
    for path, there in groupby(places, key=lambda place: place.path):
        try:
            records = load_dialogues(path)
            yield from ((place, records[place.position]) for place in there)
        except (UnreadableFile, IndexError) as error:
            raise SourceError(f"{path} changed while it was read; let it settle and ingest again") from error


def quarantined(record_id: str, reason: str, detail: str) -> Quarantined:
    """A quarantine row of this source."""
    return Quarantined(source="sgd", record_id=record_id, reason=reason, detail=detail)
