"""From a source to a published dataset version: read, check, cut into decision points, store, publish.

The version is known before anything is read (hash of the source's bytes, the settings and the code that shapes rows),
so ingesting the same thing again costs a look at the snapshot. What cannot be used is quarantined and counted; only a
source that cannot be read at all, or that leaves nothing to train on, stops the ingestion.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from data import snapshot, warehouse
from data.decision_points import decision_points
from data.quality import check
from data.redaction import load_redaction, redacted
from data.reporting import Reporter
from data.schema import Conversation, Frozen, Quarantined, Split
from data.settings import DataSettings
from data.sources import Source, SourceError, get_source
from data.sources.base import Fetching
from data.tombstones import without_forgotten
from data.versions import DatasetVersion, describe_version

_REASONS_TOLD = 5


class EmptyDataset(SourceError):
    """The source was read, and nothing in it can be trained on."""


class IngestReport(Frozen):
    """What an ingestion left behind."""

    dataset_version: str
    source: str
    conversations: dict[Split, int]
    """Conversations per split; a split without any is left out."""
    decision_points: dict[Split, int]
    quarantined: dict[str, int]
    """Rejected records per reason."""
    seconds: float
    reused: bool
    """Whether the snapshot was already there and intact, so that nothing was read."""


class _Gathered(NamedTuple):
    conversations: list[Conversation]
    quarantined: list[Quarantined]


def ingest(settings: DataSettings, reporter: Reporter) -> IngestReport:
    """Publish the dataset version these settings describe, or reuse it where it is published already.

    Raises:
        SourceError: Unknown source, or its files are not where ``settings.path`` says.
        EmptyDataset: No conversation of split ``train`` is left; names the reasons of what was quarantined.
        data.warehouse.WarehouseBusy: Another process holds the warehouse.
        data.snapshot.SnapshotDamaged: The version was published before and its files have changed since.
    """
    started = time.monotonic()
    source = get_source(settings.source)
    if isinstance(source, Fetching):
        source.fetch(settings, reporter)
    version = describe_version(source.name, source.fingerprint(settings), settings)
    if snapshot.exists(version.version):
        snapshot.verify(version.version)
        snapshot.use_again(version.version)
        reporter.say(f"dataset {version.version}: unchanged, reusing the published snapshot")
        return _report(snapshot.manifest(version.version), started, reused=True)
    with _no_cycle_collection():
        gathered = _gather(_kept_from_training(source, _admitted(source, settings, reporter)))
        _require_data(gathered, settings, evaluation_only=source.evaluation_only)
        reporter.phase("storing", unit="conversations")
        points = (point for conversation in gathered.conversations for point in decision_points(conversation))
        stored = warehouse.store(version, gathered.conversations, points, gathered.quarantined)
    reporter.update(len(gathered.conversations), "publishing")
    snapshot.publish(stored.version)
    report = _report(stored, started, reused=False)
    reporter.say(_told(report))
    return report


@contextmanager
def _no_cycle_collection() -> Iterator[None]:
    """Records hold no cycles, and walking millions of live ones again and again takes half of an ingestion's time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _admitted(source: Source, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
    """What the source yields, redacted if that is asked for, without what was to be forgotten."""
    items = source.read(settings, reporter)
    if settings.redact:
        items = redacted(items, load_redaction(settings.redact))
    return without_forgotten(items)


def _kept_from_training(
    source: Source, items: Iterable[Conversation | Quarantined]
) -> Iterator[Conversation | Quarantined]:
    """Whatever a source that is for evaluation only says of its splits, nothing of it can be trained on."""
    for item in items:
        if source.evaluation_only and isinstance(item, Conversation) and item.split == "train":
            detail = f"split {item.split} of source {source.name}, which is for evaluation only"
            yield Quarantined(source=item.source, record_id=item.record_id, reason="evaluation_only", detail=detail)
        else:
            yield item


def _gather(items: Iterable[Conversation | Quarantined]) -> _Gathered:
    """Sort what a source yields into sound conversations and quarantined records."""
    gathered = _Gathered([], [])
    known: set[str] = set()
    for item in items:
        rejected = item if isinstance(item, Quarantined) else check(item) or _repeated(item, known)
        if rejected is not None:
            gathered.quarantined.append(rejected)
        elif isinstance(item, Conversation):
            known.add(item.id)
            gathered.conversations.append(item)
    return gathered


def _repeated(conversation: Conversation, known: set[str]) -> Quarantined | None:
    if conversation.id not in known:
        return None
    return Quarantined(
        source=conversation.source,
        record_id=conversation.record_id,
        reason="duplicate_id",
        detail=f"an earlier conversation is also named {conversation.id}",
    )


def _require_data(gathered: _Gathered, settings: DataSettings, *, evaluation_only: bool) -> None:
    if any(evaluation_only or conversation.split == "train" for conversation in gathered.conversations):
        return
    reasons = Counter(rejected.reason for rejected in gathered.quarantined)
    where = f" at {settings.path}" if settings.path else ""
    raise EmptyDataset(
        f"source {settings.source}{where} leaves no conversation to {'judge by' if evaluation_only else 'train on'} "
        f"({len(gathered.conversations)} in other splits, quarantined: {_counted(reasons)}); "
        "check its files and what was quarantined, or raise the setting data.conversations"
    )


def _report(version: DatasetVersion, started: float, *, reused: bool) -> IngestReport:
    return IngestReport.model_validate(
        {
            "dataset_version": version.version,
            "source": version.source,
            "conversations": version.counts.get("conversations", {}),
            "decision_points": version.counts.get("decision_points", {}),
            "quarantined": version.counts.get("quarantined", {}),
            "seconds": time.monotonic() - started,
            "reused": reused,
        }
    )


def _told(report: IngestReport) -> str:
    total, points = sum(report.conversations.values()), sum(report.decision_points.values())
    return (
        f"dataset {report.dataset_version}: {total:,} conversations, {points:,} decision points in "
        f"{report.seconds:.1f} s; quarantined: {_counted(report.quarantined)}"
    )


def _counted(reasons: dict[str, int]) -> str:
    most = Counter(reasons).most_common(_REASONS_TOLD)
    return ", ".join(f"{count:,} {reason}" for reason, count in most) or "none"
