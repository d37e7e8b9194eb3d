"""What a snapshot says of itself, and whether its files still are what it says."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from data import paths
from data.parquet import check_name, digest
from data.schema import Frozen
from data.versions import DatasetVersion

FORMAT = 1
MANIFEST = "manifest.json"


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


def names() -> list[str]:
    """Versions that have a snapshot, whether its manifest can be read or not."""
    there = (file.parent.name for file in paths.datasets().glob(f"*/{MANIFEST}"))
    return sorted(name for name in there if not name.startswith("."))


def published() -> list[DatasetVersion]:
    """Complete snapshots, the one published or used again last at the end.

    Raises:
        SnapshotDamaged: A manifest cannot be read.
    """
    found = [manifest(name) for name in names()]
    return sorted(found, key=lambda version: (last_used(version.version), version.created_at, version.version))


def latest(source: str | None = None) -> str | None:
    """Name of the newest snapshot, of one source or of any; None if there is none."""
    fitting = [version for version in published() if source in (None, version.source)]
    return fitting[-1].version if fitting else None


def last_used(version: str) -> int:
    """When a snapshot was published or used again, in nanoseconds since 1970."""
    return (paths.dataset(version) / MANIFEST).stat().st_mtime_ns


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


def _damaged(version: str, what: str) -> SnapshotDamaged:
    cure = f"run `apprentice ingest` (or `run`) again: it sets {paths.dataset(version)} aside and publishes it anew"
    return SnapshotDamaged(f"snapshot {version} is damaged: {what}", cure)
