"""Immutable Parquet snapshots: what training, evaluation and queries read instead of the warehouse.

``publish`` exports one dataset version into a hidden directory, writes ``manifest.json`` last and renames the whole
into place, so a snapshot is either complete or not there. Once there it is never rewritten. Readers need no DuckDB, and
check each file against the manifest before they trust it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import ValidationError

from data import paths
from data.parquet import check_name, digest, sync_directory, sync_file
from data.schema import Conversation, DecisionPoint, Frozen, Split
from data.versions import DatasetVersion

FORMAT = 1
MANIFEST = "manifest.json"
#: Ends the name of a directory that somebody is still writing.
DRAFT_SUFFIX = ".writing"
_POINT_COLUMNS = ["decision_point_id", "conversation_id", "message_index", "domain", "kind", "tool"]
_BATCH = 1000
_ABANDONED_SECONDS = 86_400.0
_ASIDE = ".replaced"


class SnapshotError(RuntimeError):
    """A snapshot cannot be used; the message says why and what to do."""


class SnapshotMissing(SnapshotError):
    """No complete snapshot of that version."""


class SnapshotDamaged(SnapshotError):
    """A published file is not what its manifest says; ``what`` tells it without the cure."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(f"{what}; {cure}" if cure else what)
        self.what = what


class Manifest(Frozen):
    """Contents of ``manifest.json``; its existence means that the snapshot is complete."""

    format: int
    dataset: DatasetVersion
    files: dict[str, str]
    """File name to SHA-256 (hex)."""


def publish(version: str) -> Path:
    """Export a stored version to ``paths.dataset(version)``, or leave the snapshot that is already there.

    Two processes may publish the same version: one works, the other waits and finds it done.

    Returns:
        Directory of the snapshot.

    Raises:
        data.warehouse.WarehouseError: The version was never stored, or (``WarehouseBusy``) the file is held.
    """
    target = paths.dataset(check_name(version, "dataset version"))
    with _publishing(version):
        if not exists(version):
            _remove_abandoned(paths.datasets())
            draft = paths.datasets() / f".{version}-{uuid.uuid4().hex}{DRAFT_SUFFIX}"
            draft.mkdir(parents=True)
            try:
                _export(version, draft)
                _move_into_place(draft, target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)  # gone already if it was renamed
    return target


@contextmanager
def rewriting(version: str) -> Iterator[Path]:
    """A copy of a published snapshot that takes its place at the end of the block, with its hashes brought up to date.

    The one exception to "never rewritten": a conversation that has to be forgotten. A file must be replaced, not
    written into, since what the block leaves alone is shared with the snapshot that is still in use. The snapshot keeps
    its place among the newest. After a kill ``mend`` finds either the old one or the new one.

    Raises:
        SnapshotMissing, SnapshotDamaged: There is none, or its manifest cannot be read.
    """
    target = paths.dataset(check_name(version, "dataset version"))
    with _publishing(version):
        content, used = read_manifest(version), _last_used(version)
        draft = paths.datasets() / f".{version}-{uuid.uuid4().hex}.writing"
        try:
            shutil.copytree(target, draft, copy_function=os.link)
            yield draft
            files = {name: digest(draft / name) for name in content.files}
            dataset = content.dataset.model_copy(update={"counts": {**content.dataset.counts, **_counted(draft)}})
            _write_manifest(draft, content.model_copy(update={"files": files, "dataset": dataset}))
            os.utime(draft / MANIFEST, ns=(used, used))
            aside = paths.datasets() / f".{version}{_ASIDE}"
            target.rename(aside)
            draft.rename(target)
            sync_directory(target.parent)
            shutil.rmtree(aside)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def mend() -> None:
    """Finish what a kill left half done: a snapshot set aside comes back, or goes if its successor is there."""
    for aside in paths.datasets().glob(f".*{_ASIDE}"):
        target = paths.dataset(aside.name.removeprefix(".").removesuffix(_ASIDE))
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)


def _counted(directory: Path) -> dict[str, dict[str, int]]:
    """Rows of a snapshot's tables by split or reason, as ``DatasetVersion.counts`` has them."""
    import pyarrow.parquet as pq

    from data.warehouse import COUNTS

    counted = {}
    for what, (table, column) in COUNTS.items():
        file = directory / f"{table}.parquet"
        if file.exists():  # a snapshot may be older than a table
            found = Counter(pq.read_table(file, columns=[column])[column].to_pylist())
            if found or what != "flagged":
                counted[what] = dict(sorted(found.items()))
    return counted


def exists(version: str) -> bool:
    """Whether a complete snapshot of this version is there."""
    return (paths.dataset(version) / MANIFEST).is_file()


def manifest(version: str) -> DatasetVersion:
    """What a snapshot says of itself.

    Raises:
        SnapshotMissing: There is none.
        SnapshotDamaged: Its manifest cannot be read.
    """
    return read_manifest(version).dataset


def read_manifest(version: str) -> Manifest:
    """The whole manifest, file hashes included; raises as ``manifest`` does."""
    file = paths.dataset(check_name(version, "dataset version")) / MANIFEST
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SnapshotMissing(
            f"there is no snapshot of dataset version {version!r} under {paths.datasets()}; run `apprentice ingest`"
        ) from error
    except UnicodeDecodeError as error:
        raise _damaged(version, f"{file} is not text") from error
    try:
        found = json.loads(text)
        if isinstance(found, dict) and isinstance(found.get("format"), int) and found["format"] > FORMAT:
            raise SnapshotError(
                f"{file} has format {found['format']}, this code reads up to {FORMAT}; update the code or ingest again"
            )
        return Manifest.model_validate(found)
    except (json.JSONDecodeError, ValidationError) as error:
        raise _damaged(version, f"{file} is not a manifest ({error})") from error


def published() -> list[DatasetVersion]:
    """Complete snapshots, the one published or used again last at the end.

    Raises:
        SnapshotDamaged: A manifest cannot be read.
    """
    names = (directory.parent.name for directory in paths.datasets().glob(f"*/{MANIFEST}"))
    found = [manifest(name) for name in names if not name.startswith(".")]
    return sorted(found, key=lambda version: (_last_used(version.version), version.created_at, version.version))


def _last_used(version: str) -> int:
    return (paths.dataset(version) / MANIFEST).stat().st_mtime_ns


def set_aside(version: str) -> None:
    """Take a damaged snapshot out of sight, so that it can be published anew; its files stay under a hidden name."""
    with _publishing(version):
        target = paths.dataset(check_name(version, "dataset version"))
        target.rename(target.with_name(f".{version}-{uuid.uuid4().hex}.damaged"))


def use_again(version: str) -> None:
    """Make a published snapshot the newest: who ingests what is there already means to work on it."""
    now = time.time_ns()  # finer than the kernel's own stamps, so it is later than any of them
    os.utime(paths.dataset(version) / MANIFEST, ns=(now, now))


def latest(source: str | None = None) -> str | None:
    """Name of the newest snapshot, of one source or of any; None if there is none."""
    fitting = [version for version in published() if source in (None, version.source)]
    return fitting[-1].version if fitting else None


def verify(version: str) -> None:
    """Compare every file with the manifest.

    Raises:
        SnapshotMissing: There is no such snapshot.
        SnapshotDamaged: A file is missing or its bytes have changed; the message names it and the cure.
    """
    for name in read_manifest(version).files:
        checked_file(version, name)


def checked_file(version: str, name: str) -> Path:
    """Path of one file of a snapshot after its hash was compared; raises as ``verify`` does."""
    file = paths.dataset(version) / name
    expected = read_manifest(version).files.get(name)
    if expected is None:
        raise _damaged(version, f"its manifest lists no {name}")
    try:
        found = digest(file)
    except FileNotFoundError as error:
        raise _damaged(version, f"{name} is missing") from error
    if found != expected:
        raise _damaged(version, f"{name} is not the file that was published (sha256 {found[:12]}…)")
    return file


def read_conversations(version: str, splits: Sequence[Split] | None = None) -> list[Conversation]:
    """Conversations exactly as they were stored, ordered by id.

    Args:
        version: Name of a dataset version.
        splits: Only these; None takes all.

    Raises:
        SnapshotMissing: There is no such snapshot.
        SnapshotDamaged: It cannot be trusted.
    """
    table = _table(version, "conversations", ["record"], splits)
    return [Conversation.model_validate_json(record) for record in table.column("record").to_pylist()]


def read_decision_points(
    version: str, splits: Sequence[Split] | None = None, kind: Literal["call", "answer"] | None = None
) -> list[DecisionPoint]:
    """Decision points exactly as they were stored, ordered by conversation and message.

    The file holds references; history, tools and the expected message come from the conversation and are shared
    between its points. Arguments and errors as for ``read_conversations``; ``kind`` None takes both.
    """
    conversations = {conversation.id: conversation for conversation in read_conversations(version, splits)}
    rows = _table(version, "decision_points", _POINT_COLUMNS, splits).to_pylist()
    return [_rebuild(row, conversations[row["conversation_id"]]) for row in rows if kind in (None, row["kind"])]


def read_points_by_id(version: str, wanted: Collection[str]) -> dict[str, DecisionPoint]:
    """The decision points of these ids that the version has, by id; only their conversations are built.

    Raises as ``read_conversations`` does.
    """
    named = sorted({identifier.rpartition("#")[0] for identifier in wanted})
    records = _table(version, "conversations", ["record"], None, named).column("record").to_pylist()
    conversations = {one.id: one for one in map(Conversation.model_validate_json, records)}
    columns = ["decision_point_id", "conversation_id", "message_index", "domain", "kind", "tool"]
    rows = _table(version, "decision_points", columns, None, named).to_pylist()
    chosen = (row for row in rows if row["decision_point_id"] in wanted)
    return {row["decision_point_id"]: _rebuild(row, conversations[row["conversation_id"]]) for row in chosen}


def iterate_decision_points(version: str) -> Iterator[DecisionPoint]:
    """All decision points in the order of ``read_decision_points``, a few thousand conversations in memory at a time.

    Raises as ``read_conversations`` does.
    """
    import pyarrow.parquet as pq

    rows = _rows_of(checked_file(version, "decision_points.parquet"))
    row = next(rows, None)
    with pq.ParquetFile(checked_file(version, "conversations.parquet")) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=["record"]):
            for record in batch.column("record").to_pylist():
                conversation = Conversation.model_validate_json(record)
                while row is not None and row["conversation_id"] == conversation.id:
                    yield _rebuild(row, conversation)
                    row = next(rows, None)


def _rows_of(file: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=_BATCH, columns=_POINT_COLUMNS):
            yield from batch.to_pylist()


def _rebuild(row: dict[str, Any], conversation: Conversation) -> DecisionPoint:
    """``model_construct`` because every part was validated when the conversation was read."""
    at = row["message_index"]
    return DecisionPoint.model_construct(
        id=row["decision_point_id"],
        conversation_id=conversation.id,
        message_index=at,
        source=conversation.source,
        split=conversation.split,
        domain=row["domain"],
        kind=row["kind"],
        tool=row["tool"],
        tools=conversation.tools,
        history=conversation.messages[:at],
        expected=conversation.messages[at],
    )


def _table(
    version: str,
    name: str,
    columns: list[str],
    splits: Sequence[Split] | None,
    conversations: Sequence[str] | None = None,
) -> Any:
    import pyarrow.parquet as pq

    filters: list[tuple[str, str, list[Any]]] | None = None if splits is None else [("split", "in", list(splits))]
    if conversations is not None:
        filters = [*(filters or []), ("conversation_id", "in", list(conversations))]
    if splits is not None and not splits:
        raise ValueError("splits is empty; name at least one split or pass None for all")
    return pq.read_table(checked_file(version, f"{name}.parquet"), columns=columns, filters=filters)


def _export(version: str, draft: Path) -> None:
    from data import warehouse

    dataset = warehouse.export(version, draft)
    files = sorted(draft.glob("*.parquet"))
    for file in files:
        sync_file(file)
    content = Manifest(format=FORMAT, dataset=dataset, files={file.name: digest(file) for file in files})
    _write_manifest(draft, content)


def _write_manifest(draft: Path, content: Manifest) -> None:
    file = draft / MANIFEST
    file.unlink(missing_ok=True)  # in a copy it is shared with the published one
    file.write_text(content.model_dump_json(indent=2) + "\n", encoding="utf-8")
    sync_file(file)
    sync_directory(draft)


@contextmanager
def _publishing(version: str) -> Iterator[None]:
    """One publisher of a version at a time; the lock dies with its process."""
    lock = paths.locks() / f"snapshot-{version}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield


def _move_into_place(draft: Path, target: Path) -> None:
    if target.exists():
        # A directory without a manifest was never a snapshot: a copy cut short, or files deleted by hand.
        target.rename(target.with_name(f".{target.name}-{uuid.uuid4().hex}.incomplete"))
    draft.rename(target)
    sync_directory(target.parent)


def _remove_abandoned(directory: Path) -> None:
    """Delete drafts that a killed process left more than a day ago."""
    for draft in _drafts(directory):
        if time.time() - draft.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _drafts(directory: Path) -> Iterator[Path]:
    if directory.is_dir():
        yield from (Path(entry.path) for entry in os.scandir(directory) if entry.name.endswith(DRAFT_SUFFIX))


def _damaged(version: str, what: str) -> SnapshotDamaged:
    cure = f"run `apprentice ingest` (or `run`) again: it sets {paths.dataset(version)} aside and publishes it anew"
    return SnapshotDamaged(f"snapshot {version} is damaged: {what}", cure)
