"""Reads a copy of SGD: two passes over its files, the first to see what is there, the second to build what is taken.

Nothing is kept between records but their ids and places, so memory stays flat whatever the size. What cannot be used is
yielded as a quarantined row: a file that cannot be read (one row for the whole file), a record that is no dialogue, a
dialogue that does not fit its schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from data.reporting import Reporter, Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources.base import Part, RawPlace, Tally
from data.sources.sgd import download
from data.sources.sgd.dialogue import Unusable, conversation_of
from data.sources.sgd.index import Place, records_at, scan, scan_file
from data.sources.sgd.locating import find_record
from data.sources.sgd.raw import DIRECTORIES, RawDialogue, dialogue_files, sgd_root
from data.sources.sgd.splits import RENAMED_SHARES, SHARES, RenamedRule, SplitRule, choose
from data.sources.sgd.tools import Services, read_services
from data.sources.sgd.variants import Renaming, read_renaming, schema_file

_TELL_EVERY = 50  # conversations
_STATED, _DROPPED = "facts stated", "facts dropped"
_PACKED = 20  # how many times smaller gzip makes SGD's JSON


class SGD:
    """The Schema-Guided Dialogue dataset in its upstream layout, with its own schemas or those of an SGD-X variant."""

    def __init__(self, variant: str | None = None) -> None:
        """``variant``: one of ``variants.VARIANTS``, or None for the original names."""
        self.name = f"sgd-x-{variant}" if variant else "sgd"
        self.variant = variant
        self.evaluation_only = variant is not None

    def fetch(self, settings: DataSettings, reporter: Reporter) -> Path:
        """Directory of the copy: the one given, else upstream's at a pinned commit, downloaded once.

        Raises:
            SourceError: The directory is no copy of SGD, or the download failed; the message names ``--path``.
        """
        return sgd_root(settings.path or download.fetch(download.upstream(), reporter))

    def locate(self, settings: DataSettings, record_id: str) -> RawPlace | None:
        """The raw dialogue of a record id, or None where the files hold it no more."""
        return find_record(self.fetch(settings, Silent()), record_id)

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over names and bytes of all schemas and dialogue files, packed or not as they lie there."""
        root = self.fetch(settings, Silent())
        digest = hashlib.sha256()
        for path in _raw_files(root, self.variant):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(_digest(path))
        return digest.hexdigest()

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield the conversations of the copy and what was quarantined on the way."""
        copy = self._copy(self.fetch(settings, reporter), reporter)
        places: list[Place] = []
        yield from self._scanned(copy, reporter, places)
        wanted = self._chosen(places, settings.conversations)
        reporter.phase(f"reading {self.name}", total=len(wanted), unit="conversations")
        tallies = dict.fromkeys((_STATED, _DROPPED), 0)
        done = 0
        for item in self._built(records_at(wanted), copy, settings.max_result_rows):
            if isinstance(item, Tally):
                tallies[item.what] += item.count
                continue
            yield item
            done += 1
            if done % _TELL_EVERY == 0 or done == len(wanted):
                reporter.update(done)
        for remark in self.remarks(tallies):
            reporter.say(remark)

    def parts(self, settings: DataSettings, reporter: Reporter) -> Iterator[Part | Quarantined]:
        """One part per dialogue file; of a limited ingest files with a chosen dialogue, and which those are."""
        copy = self._copy(self.fetch(settings, reporter), reporter)
        if settings.conversations is None:
            for directory in copy.services:
                for path in dialogue_files(copy.root, directory):
                    yield Part(path.name, _size(path), _FilePart(copy.root, directory, path, None))
            return
        places: list[Place] = []
        yield from self._scanned(copy, reporter, places)
        for path, there in groupby(self._chosen(places, settings.conversations), key=lambda place: place.path):
            some = list(there)
            yield Part(path.name, _size(path), _FilePart(copy.root, some[0].directory, path, some))

    def read_part(self, part: Part, settings: DataSettings) -> Iterator[Conversation | Quarantined | Tally]:
        """The dialogues of one file: all, or those chosen."""
        root, directory, path, chosen = part.content
        copy = self._copy(root, Silent())
        found = scan_file(root, directory, path, copy.rule, set()) if chosen is None else records_at(chosen)
        yield from self._built(found, copy, settings.max_result_rows)

    def remarks(self, tallies: Mapping[str, int]) -> Iterator[str]:
        """How many facts the cut results cost."""
        stated, dropped = tallies.get(_STATED, 0), tallies.get(_DROPPED, 0)
        if dropped:
            yield (
                f"{self.name}: {dropped:,} of {stated:,} facts ({dropped / stated:.1%}) are nowhere the agent can look "
                "(results keep the first data.max_result_rows rows) and are not demanded of it"
            )

    def _copy(self, root: Path, reporter: Reporter) -> _Copy:
        """What every dialogue depends on, read again only if a schema's file has changed since."""
        for directory in DIRECTORIES:
            if not (root / directory).is_dir():
                reporter.say(f"sgd: {root / directory} is absent, so its splits stay empty")
        present = tuple(directory for directory in DIRECTORIES if (root / directory).is_dir())
        schemas = [root / directory / "schema.json" for directory in present]
        if self.variant:
            schemas += [schema_file(root, self.variant, directory) for directory in present]
        return _read_copy(
            root, present, self.variant, tuple(path.stat().st_mtime_ns for path in schemas if path.exists())
        )

    def _scanned(self, copy: _Copy, reporter: Reporter, places: list[Place]) -> Iterator[Quarantined]:
        """Fill ``places``; yield what has none."""
        for found in scan(copy.root, list(copy.services), copy.rule, reporter):
            if isinstance(found, Place):
                places.append(found)
            else:
                yield found.model_copy(update={"source": self.name})

    def _chosen(self, places: list[Place], limit: int | None) -> list[Place]:
        """The places to read, in order."""
        shares = RENAMED_SHARES if self.variant else SHARES
        names = choose(((place.record_id, place.split) for place in places), limit, shares)
        return [place for place in places if place.record_id in names]

    def _built(
        self, found: Iterable[tuple[Place | Quarantined, Any]], copy: _Copy, max_result_rows: int
    ) -> Iterator[Conversation | Quarantined | Tally]:
        """Conversations of raw records, and at the end how many of their facts cannot be known."""
        stated, dropped = 0, 0
        for place, record in found:
            if isinstance(place, Quarantined):
                yield place.model_copy(update={"source": self.name})
                continue
            services, renaming = copy.names.get(place.directory, (copy.services[place.directory], None))
            item, lost = build(record, services, place, max_result_rows, renaming, self.name)
            yield item
            dropped += lost
            stated += _count_facts(item) + lost
        yield Tally(_STATED, stated)
        yield Tally(_DROPPED, dropped)


class _FilePart(NamedTuple):
    """What a worker needs to read its part of one file."""

    root: Path
    directory: str
    path: Path
    chosen: list[Place] | None


class _Copy(NamedTuple):
    """A copy of SGD as far as every dialogue depends on it."""

    root: Path
    services: dict[str, Services]
    """Per split directory."""
    names: dict[str, tuple[Services, Renaming]]
    """Of a variant: its services, and how it renames the original's."""
    rule: SplitRule


@lru_cache(maxsize=2)
def _read_copy(root: Path, directories: tuple[str, ...], variant: str | None, changed: tuple[int, ...]) -> _Copy:
    """``changed`` tells one state of the files from another."""
    services = {directory: read_services(root / directory / "schema.json") for directory in directories}
    names = _names(root, list(services), variant) if variant else {}
    return _Copy(root, services, names, _rule(services, RenamedRule if variant else SplitRule))


def _size(path: Path) -> int:
    """Bytes of a file, about those unpacked if it is packed; 0 if it cannot be asked."""
    try:
        return path.stat().st_size * (_PACKED if path.suffix == ".gz" else 1)
    except OSError:
        return 0


def _raw_files(root: Path, variant: str | None) -> Iterator[Path]:
    for directory in DIRECTORIES:
        schemas = [root / directory / "schema.json"]
        if variant:
            schemas.append(schema_file(root, variant, directory))
        yield from (schema for schema in schemas if schema.is_file())
        yield from dialogue_files(root, directory)


def _digest(path: Path) -> bytes:
    """SHA-256 of a file; one that cannot be opened (read says so) counts as what it is: unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b"unreadable"


def _names(root: Path, directories: list[str], variant: str) -> dict[str, tuple[Services, Renaming]]:
    """Per split directory the variant's services, and how it renames the original's."""
    schemas = {directory: schema_file(root, variant, directory) for directory in directories}
    return {
        directory: (read_services(schema), read_renaming(root / directory / "schema.json", schema))
        for directory, schema in schemas.items()
    }


def _rule(services: dict[str, Services], kind: type[SplitRule]) -> SplitRule:
    train = frozenset(services["train"])
    return kind(train=train, unseen_in_test=frozenset(services.get("test", {})) - train)


def build(
    record: Any,
    services: Services,
    place: Place,
    max_result_rows: int,
    renaming: Renaming | None = None,
    source: str = "sgd",
) -> tuple[Conversation | Quarantined, int]:
    """The conversation of a raw record with its count of dropped facts, or why there is none. Never raises.

    ``services`` are those the conversation speaks of: after ``renaming``, if there is one.
    """
    try:
        dialogue = RawDialogue.model_validate(record)
        return conversation_of(
            renaming.dialogue(dialogue) if renaming else dialogue,
            services,
            record_id=place.record_id,
            split=place.split,
            max_result_rows=max_result_rows,
            source=source,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason, detail = "not_a_dialogue", f"{where or 'dialogue'}: {first['msg']}"
    except Unusable as error:
        reason, detail = error.reason, error.detail
    except RecursionError:
        reason, detail = "not_a_dialogue", "some value is nested too deeply"
    return Quarantined(source=source, record_id=place.record_id, reason=reason, detail=detail), 0


def _count_facts(item: Conversation | Quarantined) -> int:
    return sum(len(message.facts) for message in item.messages) if isinstance(item, Conversation) else 0


SOURCE = SGD()
