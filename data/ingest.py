"""From a source to a published dataset version: read, check, cut into decision points, compare, store, publish.

Records stream through in chunks, in several processes where the source can be read in parts, so memory stays flat. The
version's name is known before anything is read (hash of the source's bytes, the settings and the code that shapes rows)
unless the frozen evaluation set changes something, so ingesting the same thing again costs a look at the snapshot. What
cannot be used is quarantined and counted; only a source that cannot be read at all, or that leaves nothing to train on,
stops the ingestion.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from data import evaluation_set, paths, rows, snapshot, warehouse
from data.chunks import JUDGED, Chunk, Plan, add, write_tables
from data.content import content_hash, words_of
from data.evaluation_set import Frozen
from data.placement import Placement, place
from data.reading import read_in_chunks
from data.reporting import Reporter
from data.schema import Conversation, Split
from data.schema import Frozen as FrozenModel
from data.settings import DataSettings
from data.sources import Source, SourceError, get_source
from data.sources.base import Fetching
from data.versions import DatasetVersion, changed_by, describe_version

if TYPE_CHECKING:
    from data.warehouse import Changes

_OF_HELD_OUT_DOMAINS: frozenset[Split] = frozenset({"validation_unseen", "test_unseen", "test_mixed"})
_REASONS_TOLD = 5


class EmptyDataset(SourceError):
    """The source was read, and nothing in it can be trained on."""


class IngestReport(FrozenModel):
    """What an ingestion left behind."""

    dataset_version: str
    source: str
    conversations: dict[Split, int]
    """Conversations per split; a split without any is left out."""
    decision_points: dict[Split, int]
    quarantined: dict[str, int]
    """Rejected records per reason."""
    flagged: dict[str, int] = Field(default_factory=dict)
    """Doubtful messages that were kept, per reason."""
    duplicates: dict[str, int] = Field(default_factory=dict)
    """Conversations that repeat or resemble others, per kind (see ``data.placement``), removed or not."""
    compared_with: str | None = None
    """The source's newest dataset version before this one; None if this is the first."""
    changes: dict[str, int] = Field(default_factory=dict)
    """Conversations that are ``new``, ``changed``, ``removed`` or ``unchanged`` against it."""
    seconds: float
    reused: bool
    """Whether the snapshot was already there and intact, so that nothing was stored."""


def ingest(settings: DataSettings, reporter: Reporter) -> IngestReport:
    """Publish the dataset version these settings describe, or reuse it where it is published already.

    Raises:
        SourceError: Unknown source, or its files are not where ``settings.path`` says.
        EmptyDataset: No conversation of split ``train`` is left; names the reasons of what was quarantined.
        data.warehouse.WarehouseBusy: Another process holds the warehouse.
        data.snapshot.SnapshotError: A snapshot was published by newer code.
        data.workers.WorkerDied: A process that read a part was killed.
    """
    started = time.monotonic()
    source = get_source(settings.source)
    if isinstance(source, Fetching):
        source.fetch(settings, reporter)
    described = describe_version(source.name, source.fingerprint(settings), settings)
    _set_aside_unreadable(reporter)
    previous = snapshot.latest(source.name)
    frozen = evaluation_set.load()
    known = evaluation_set.outcome(described.version, frozen)
    if known is not None and snapshot.exists(known) and _sound(known, reporter):
        reporter.say(f"dataset {known}: unchanged, reusing the published snapshot")
        version, reused = _use_again(known), True
    else:
        version, reused = _build(source, settings, described, frozen, reporter)
    report = _report(version, previous, started, reused=reused)
    if not reused:
        reporter.say(_told(report))
    return report


def _set_aside_unreadable(reporter: Reporter) -> None:
    """Snapshots that do not say what they are help nobody, and would be in everybody's way."""
    for version in snapshot.names():
        try:
            snapshot.manifest(version)
        except snapshot.SnapshotDamaged as error:
            reporter.say(f"{error.what}; set aside, the settings it was made with publish it anew")
            snapshot.set_aside(version)


def _sound(version: str, reporter: Reporter) -> bool:
    """Whether a published snapshot can be trusted; one that cannot is set aside, so that it is published anew."""
    try:
        snapshot.verify(version)
    except snapshot.SnapshotDamaged as error:
        reporter.say(f"{error.what}; set aside, publishing it anew")
        snapshot.set_aside(version)
        return False
    return True


def published_as(settings: DataSettings) -> str | None:
    """The published dataset version that ``ingest`` would reuse under these settings, None if it would read.

    Reads the source's bytes, which a source that fetches its own files may have to fetch first.
    """
    source = get_source(settings.source)
    described = describe_version(source.name, source.fingerprint(settings), settings)
    known = evaluation_set.outcome(described.version, evaluation_set.load())
    return known if known is not None and snapshot.exists(known) else None


def _build(
    source: Source, settings: DataSettings, described: DatasetVersion, frozen: Sequence[Frozen], reporter: Reporter
) -> tuple[DatasetVersion, bool]:
    """Read everything; the version that comes of it, and whether it was published before."""
    with _workspace() as directory:
        plan = Plan(directory, warehouse.arrow_schemas(), source.evaluation_only)
        chunks = list(read_in_chunks(source, settings, plan, reporter))
        limit = settings.training_conversations
        placement = place(chunks, frozen, source.name, settings.duplicates, limit) if chunks else None
        if placement is None or not _is_enough(placement, source):
            raise _empty(chunks, settings, source)
        version = changed_by(described, placement.effects)
        reused = snapshot.exists(version.version)
        if reused:
            reporter.say(f"dataset {version.version}: read again with the same result, reusing the published snapshot")
            version = _use_again(version.version)
        else:
            version = _store(version, chunks, placement, plan, reporter)
    evaluation_set.extend(source.name, _to_freeze(placement, source, version))
    evaluation_set.remember(described.version, version.version)
    return version, reused


def _use_again(version: str) -> DatasetVersion:
    snapshot.verify(version)
    snapshot.use_again(version)
    return snapshot.manifest(version)


@contextmanager
def _workspace() -> Iterator[Path]:
    """A directory for chunks, gone afterwards; one that a kill leaves is cleared away with abandoned snapshots."""
    paths.datasets().mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=".chunks-", suffix=snapshot.DRAFT_SUFFIX, dir=paths.datasets()))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _store(
    version: DatasetVersion, chunks: Sequence[Chunk], placement: Placement, plan: Plan, reporter: Reporter
) -> DatasetVersion:
    reporter.phase("storing", unit="conversations")
    files = [chunk.files for chunk in chunks]
    if placement.quarantined or placement.moved:
        files.append(_amendments(chunks, placement, plan))
    found = version.model_copy(update={"counts": {"duplicates": placement.duplicates}})
    stored = warehouse.store_chunks(found, files, placement.removed)
    reporter.update(stored.total("conversations"), "publishing")
    snapshot.publish(stored.version)
    return stored


def _amendments(chunks: Sequence[Chunk], placement: Placement, plan: Plan) -> dict[str, Path]:
    """One more chunk: conversations in the splits they moved to, and the rows of those that have to go."""
    columns = rows.Columns(plan.schemas)
    for rejected in placement.quarantined:
        rows.add_quarantined(columns, rejected)
    for (number, name), split in placement.moved.items():
        conversation = _stored(chunks[number], name).model_copy(update={"split": split})
        add(columns, conversation, rows.record_of(conversation), content_hash(words_of(conversation)))
    return write_tables("amendments", columns.tables(), plan.directory)


def _stored(chunk: Chunk, conversation_id: str) -> Conversation:
    import pyarrow.parquet as pq

    file = chunk.files["conversations"]
    found = pq.read_table(file, columns=["record"], filters=[("conversation_id", "==", conversation_id)])
    return Conversation.model_validate_json(found.column("record")[0].as_py())


def _to_freeze(placement: Placement, source: Source, version: DatasetVersion) -> list[Frozen]:
    return [
        Frozen(item.id, source.name, item.split, item.content, version.version, signature.astype("<u4").tobytes())
        for item, signature in zip(placement.items, placement.signatures, strict=True)
        if item.split in JUDGED
    ]


def _is_enough(placement: Placement, source: Source) -> bool:
    return any(source.evaluation_only or item.split == "train" for item in placement.items)


def _empty(chunks: Sequence[Chunk], settings: DataSettings, source: Source) -> EmptyDataset:
    reasons: Counter[str] = sum((chunk.rejected for chunk in chunks), Counter())
    where = f" at {settings.path}" if settings.path else ""
    splits = {item.split for chunk in chunks for item in chunk.items}
    stated = source.name == "openai" and settings.domains_from == "metadata"
    if stated and splits and splits <= _OF_HELD_OUT_DOMAINS:
        # A raised limit or other files of the same domain would not change that.
        return EmptyDataset(
            f"source {settings.source}{where} leaves no conversation to train on: all "
            f"{sum(len(chunk.items) for chunk in chunks):,} are about domains that are held out of training, which a "
            "domain's name decides; leave metadata.domain out, name finer domains, or name it otherwise"
        )
    return EmptyDataset(
        f"source {settings.source}{where} leaves no conversation to "
        f"{'judge by' if source.evaluation_only else 'train on'} "
        f"({sum(len(chunk.items) for chunk in chunks)} in other splits, quarantined: {_counted(reasons)}); "
        "check its files and what was quarantined, or raise the setting data.conversations"
    )


def _report(version: DatasetVersion, previous: str | None, started: float, *, reused: bool) -> IngestReport:
    changes: Changes | None = warehouse.changes(previous, version.version) if previous else None
    return IngestReport.model_validate(
        {
            "dataset_version": version.version,
            "source": version.source,
            **{what: version.counts.get(what, {}) for what in _COUNTED},
            "compared_with": previous,
            "changes": changes._asdict() if changes else {"new": version.total("conversations")},
            "seconds": time.monotonic() - started,
            "reused": reused,
        }
    )


_COUNTED = ("conversations", "decision_points", "quarantined", "flagged", "duplicates")


def _told(report: IngestReport) -> str:
    total, points = sum(report.conversations.values()), sum(report.decision_points.values())
    return (
        f"dataset {report.dataset_version}: {total:,} conversations, {points:,} decision points in "
        f"{report.seconds:.1f} s; quarantined: {_counted(report.quarantined)}"
    )


def _counted(reasons: dict[str, int]) -> str:
    most = Counter(reasons).most_common(_REASONS_TOLD)
    return ", ".join(f"{count:,} {reason}" for reason, count in most) or "none"
