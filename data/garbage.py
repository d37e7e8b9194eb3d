"""What lies under ``var/`` and nothing refers to any more: snapshots, rollouts, checkpoints, drafts of the killed.

Who refers to what is not known here (stages and MLflow are on the floors above), so it is handed in; what is not named
there is garbage. ``find`` only looks, ``free`` deletes what was found.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from data import paths, snapshot, warehouse
from data.reporting import Reporter
from data.schema import Frozen

Kind = Literal["snapshot", "rollouts", "checkpoints", "draft"]
#: A draft younger than this may be somebody's work.
DRAFT_SECONDS = 86_400.0


class References(Frozen):
    """What must stay."""

    versions: frozenset[str]
    """Dataset versions."""
    runs: frozenset[str]
    """Runs whose rollouts must stay."""
    resumable: frozenset[str]
    """Runs whose checkpoints must stay: somebody may go on from them."""


class Garbage(Frozen):
    """One thing that can go."""

    kind: Kind
    name: str
    path: Path
    size: int
    """Bytes on disk; of a snapshot the Parquet files, what the warehouse gives back comes on top."""
    why: str


def find(references: References) -> list[Garbage]:
    """Everything that is not referred to, largest first."""
    found = [*_snapshots(references), *_rollouts(references), *_checkpoints(references), *_drafts()]
    return sorted(found, key=lambda item: -item.size)


def free(items: Sequence[Garbage], reporter: Reporter) -> int:
    """Delete what ``find`` found; bytes freed. A snapshot's rows leave the warehouse too.

    Raises:
        data.warehouse.WarehouseBusy: Another process holds the warehouse.
    """
    reporter.phase("freeing", total=len(items), unit="things")
    warehouse.drop_versions([item.name for item in items if item.kind == "snapshot"])
    freed = 0
    for done, item in enumerate(items, start=1):
        shutil.rmtree(item.path)
        freed += item.size
        reporter.update(done, item.name)
    return freed


def _snapshots(references: References) -> Iterator[Garbage]:
    for version in snapshot.published():
        if version.version not in references.versions:
            why = f"no run refers to it, and {version.source} has a newer one"
            yield _item("snapshot", version.version, paths.dataset(version.version), why)


def _rollouts(references: References) -> Iterator[Garbage]:
    for directory in _directories(paths.rollouts()):
        if directory.name not in references.runs:
            yield _item("rollouts", directory.name, directory, "its run is unknown or was deleted")


def _checkpoints(references: References) -> Iterator[Garbage]:
    for directory in _directories(paths.runs()):
        checkpoints = directory / "checkpoints"
        if checkpoints.is_dir() and directory.name not in references.resumable:
            yield _item("checkpoints", directory.name, checkpoints, "its run is finished, unknown or was deleted")


def _drafts() -> Iterator[Garbage]:
    for directory in (*_drafts_of_datasets(), *_drafts_of_exports()):
        if directory.is_dir() and time.time() - directory.stat().st_mtime > DRAFT_SECONDS:
            yield _item("draft", directory.name, directory, "left by a killed process more than a day ago")


def _drafts_of_datasets() -> list[Path]:
    """Less the only copy of a version whose rewriting was killed in between: ``snapshot.mend`` brings it back."""
    return [path for path in sorted(paths.datasets().glob(".*")) if not path.name.endswith(snapshot.ASIDE)]


def _drafts_of_exports() -> Iterator[Path]:
    """What promotion packs, and exports being written or replaced; all of it holds weights."""
    yield from sorted([*paths.var().glob(".export-*"), *paths.var().glob(".package-*")])
    for path in sorted(paths.exports().glob("*/.*")):
        replaced = path.name.endswith(snapshot.ASIDE)
        only_copy = replaced and not path.with_name(path.name[1:].removesuffix(snapshot.ASIDE)).exists()
        if not only_copy and not path.name.endswith("-hub"):  # links, by which a server may be reading an export
            yield path


def _item(kind: Kind, name: str, path: Path, why: str) -> Garbage:
    return Garbage(kind=kind, name=name, path=path, size=_size(path), why=why)


def _directories(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _size(directory: Path) -> int:
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file())
