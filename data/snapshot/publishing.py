"""How snapshots come to be and, rarely, are replaced: whole, by one process at a time, whatever is killed meanwhile."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from data import paths
from data.parquet import check_name, digest, sync_directory, sync_file
from data.snapshot.manifests import FORMAT, MANIFEST, Manifest, exists, last_used, read_manifest

#: Ends the name of a directory that somebody is still writing.
DRAFT_SUFFIX = ".writing"
_ABANDONED_SECONDS = 86_400.0
ASIDE = ".replaced"


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
        content, used = read_manifest(version), last_used(version)
        draft = paths.datasets() / f".{version}-{uuid.uuid4().hex}.writing"
        try:
            shutil.copytree(target, draft, copy_function=os.link)
            yield draft
            files = {name: digest(draft / name) for name in content.files}
            dataset = content.dataset.model_copy(update={"counts": {**content.dataset.counts, **_counted(draft)}})
            _write_manifest(draft, content.model_copy(update={"files": files, "dataset": dataset}))
            os.utime(draft / MANIFEST, ns=(used, used))
            aside = paths.datasets() / f".{version}{ASIDE}"
            target.rename(aside)
            draft.rename(target)
            sync_directory(target.parent)
            shutil.rmtree(aside)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def mend() -> None:
    """Finish what a kill left half done: a snapshot set aside comes back, or goes if its successor is there."""
    for aside in paths.datasets().glob(f".*{ASIDE}"):
        target = paths.dataset(aside.name.removeprefix(".").removesuffix(ASIDE))
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)


def set_aside(version: str) -> None:
    """Take a damaged snapshot out of sight, so that it can be published anew; its files stay under a hidden name."""
    with _publishing(version):
        target = paths.dataset(check_name(version, "dataset version"))
        target.rename(target.with_name(f".{version}-{uuid.uuid4().hex}.damaged"))


def use_again(version: str) -> None:
    """Make a published snapshot the newest: who ingests what is there already means to work on it."""
    now = time.time_ns()  # finer than the kernel's own stamps, so it is later than any of them
    os.utime(paths.dataset(version) / MANIFEST, ns=(now, now))


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
