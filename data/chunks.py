"""A run of conversations checked and written as Parquet files, ready for the warehouse: the unit of ingestion.

Chunks keep memory flat, since a few hundred conversations are held at a time, and let several processes work, since a
chunk knows nothing of the others. What only the whole can tell (repeated names, likenesses) is decided from the small
``Item`` of each conversation that a chunk hands back.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data import rows
from data.collector import no_cycle_collection
from data.content import content_hash, signatures, words_of
from data.decision_points import decision_points
from data.flags import flags_of
from data.quality import checked_record
from data.schema import TEST_SPLITS, VALIDATION_SPLITS, Conversation, Quarantined, Split
from data.sources.base import Tally

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

#: Records held at a time, and characters of JSON if they are long ones.
CHUNK = 1000
CHUNK_CHARACTERS = 50_000_000
JUDGED: frozenset[Split] = frozenset({*VALIDATION_SPLITS, *TEST_SPLITS})
Read = Conversation | Quarantined | Tally


class Plan(NamedTuple):
    """What is the same for every chunk of an ingestion."""

    directory: Path
    schemas: Mapping[str, pa.Schema]
    evaluation_only: bool


class Item(NamedTuple):
    """One sound conversation as far as the whole needs to know it."""

    id: str
    record_id: str
    split: Split
    content: str
    """See ``data.content.content_hash``."""


class Chunk(NamedTuple):
    """What became of a run of records."""

    files: dict[str, Path]
    """Parquet file per table."""
    items: list[Item]
    signatures: NDArray[np.uint32]
    """MinHash signature of each item."""
    rejected: Counter[str]
    """Reasons."""
    failed: list[str]
    """Conversations that failed a check: their names are taken, too."""
    tallies: Counter[str]


def write_chunks(name: str, read: Iterable[Read], plan: Plan) -> Iterator[Chunk]:
    """Check what a source yields and write it to ``plan.directory``, ``CHUNK`` records at a time; files open ``name``.

    Raises:
        data.rows.Unstorable: A conversation passed every check and still cannot be written: a fault of the checks.
        data.sources.SourceError: As the source raises.
    """
    iterator = iter(read)
    for number in count():
        with no_cycle_collection():
            chunk = _write_chunk(f"{name}-{number:05d}", iterator, plan)
        if chunk is None:
            return
        refused = bool(chunk.rejected)
        yield chunk
        del chunk
        if refused:
            gc.collect()  # errors hold cycles, through their tracebacks


class _Gathering:
    """The rows of a chunk to be."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.columns = rows.Columns(plan.schemas)
        self.items: list[Item] = []
        self.words: list[list[str]] = []
        self.rejected: Counter[str] = Counter()
        self.failed: list[str] = []
        self.tallies: Counter[str] = Counter()
        self.records = 0
        self.characters = 0
        self._taken: set[str] = set()

    def full(self) -> bool:
        """Whether the chunk should be written before anything is added."""
        return self.records >= CHUNK or self.characters >= CHUNK_CHARACTERS

    def add(self, read: Read) -> None:
        """Check one thing the source yielded and keep it or its quarantine row."""
        if isinstance(read, Tally):
            self.tallies[read.what] += read.count
            return
        self.records += 1
        if isinstance(read, Quarantined):
            self._refuse(read)
            return
        record = _checked(read, self._taken, self.plan)
        if isinstance(record, str):
            self._keep(read, record)
        else:
            self._refuse(record)
            self.failed += [] if read.id in self._taken else [read.id]
        self._taken.add(read.id)

    def _refuse(self, rejected: Quarantined) -> None:
        rows.add_quarantined(self.columns, rejected)
        self.rejected[rejected.reason] += 1

    def _keep(self, conversation: Conversation, record: str) -> None:
        words = words_of(conversation)
        item = Item(conversation.id, conversation.record_id, conversation.split, content_hash(words))
        add(self.columns, conversation, record, item.content)
        self.items.append(item)
        self.words.append(words)
        self.characters += len(record)


def _write_chunk(name: str, read: Iterator[Read], plan: Plan) -> Chunk | None:
    """The next chunk of what is read; None where nothing is left."""
    gathering = _Gathering(plan)
    for thing in read:
        gathering.add(thing)
        if gathering.full():
            break
    if not gathering.records and not gathering.tallies:
        return None
    files = write_tables(name, gathering.columns.tables(), plan.directory)
    known = gathering.items, signatures(gathering.words), gathering.rejected, gathering.failed, gathering.tallies
    return Chunk(files, *known)


def _checked(conversation: Conversation, taken: set[str], plan: Plan) -> str | Quarantined:
    """The conversation as JSON, or why it is refused."""
    if plan.evaluation_only and conversation.split == "train":
        detail = f"split {conversation.split} of source {conversation.source}, which is for evaluation only"
        return refused(conversation, "evaluation_only", detail)
    if conversation.id in taken:
        return refused(conversation, *repeated(conversation.id))
    return checked_record(conversation)


def repeated(conversation_id: str) -> tuple[str, str]:
    """Reason and detail for a conversation whose name an earlier one has."""
    return "duplicate_id", f"an earlier conversation is also named {conversation_id}"


def refused(conversation: Conversation | Item, reason: str, detail: str, source: str = "") -> Quarantined:
    """A quarantine row about this conversation; an ``Item`` does not know its ``source``."""
    named = conversation.source if isinstance(conversation, Conversation) else source
    return Quarantined(source=named, record_id=conversation.record_id, reason=reason, detail=detail)


def add(columns: rows.Columns, conversation: Conversation, record: str, content: str) -> None:
    """Add the rows of a sound conversation to every table."""
    rows.add_conversation(columns, conversation, record, content)
    for point in decision_points(conversation):
        rows.add_decision_point(columns, point)
    for flag in flags_of(conversation):
        rows.add_flag(columns, conversation, flag)


def write_tables(name: str, tables: Mapping[str, pa.Table], directory: Path) -> dict[str, Path]:
    """Uncompressed but for what is cheap: the files live for seconds. Tables without rows get no file."""
    import pyarrow.parquet as pq

    files = {}
    for table, content in tables.items():
        if content.num_rows:
            files[table] = directory / f"{name}-{table}.parquet"
            pq.write_table(content, files[table], compression="lz4", write_statistics=False)
    return files
