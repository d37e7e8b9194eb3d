"""What a dataset version is: a short hash that names one immutable set of conversations.

The hash covers the source's own bytes (its fingerprint), the settings that shape rows, and the code that turns the one
into the other. It knows nothing of time or place, so the same conversations get the same name on every machine, and a
change to a mapping or a quality check gets a new one.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from data import renaming
from data.paths import PROJECT_ROOT
from data.redaction import load_redaction
from data.schema import Frozen
from data.settings import DataSettings

VERSION_LENGTH = 12

#: Code that shapes rows, relative to the data room. Code that only stores or reads them is left out on purpose.
SHAPING_CODE: tuple[str, ...] = (
    "sources",
    "mapping",
    "practice",
    "schema.py",
    "splits.py",
    "quality.py",
    "decision_points.py",
    "json_text.py",
    "content.py",
    "flags.py",
    "chunks.py",
    "duplicates.py",
    "placement.py",
)

#: Settings that enter the version as they stand. ``path`` only says where the files lie and ``seed`` steers generators;
#: both reach the version through the source's fingerprint, so moving a download does not make a new version.
SHAPING_SETTINGS: tuple[str, ...] = ("conversations", "domains_from", "max_result_rows", "duplicates")


class DatasetVersion(Frozen):
    """One dataset version: where it came from and how much is in it."""

    version: str
    """12 hexadecimal characters, see ``compute_version``."""
    source: str
    fingerprint: str
    """Hash of the raw files' bytes, or of a generator's parameters."""
    code_version: str
    settings: dict[str, Any]
    """The resolved ``DataSettings`` as JSON values, for people; the hash uses the shaping ones only."""
    created_at: str
    """ISO 8601, UTC."""
    counts: dict[str, dict[str, int]] = Field(default_factory=dict)
    """``conversations`` and ``decision_points`` by split, ``quarantined`` and ``flagged`` by reason, ``duplicates``."""

    def total(self, what: str) -> int:
        """Sum of one of the ``counts``: ``conversations``, ``decision_points`` or ``quarantined``."""
        return sum(self.counts.get(what, {}).values())


def code_version(room: Path = PROJECT_ROOT / "data") -> str:
    """SHA-256 (hex) of the files of the data room that shape rows, by relative path and content."""
    digest = hashlib.sha256()
    for path in _shaping_files(room):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(room).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def compute_version(source: str, fingerprint: str, settings: DataSettings) -> str:
    """Name of the dataset version that ``source`` with this fingerprint and these settings yields.

    Returns:
        12 hexadecimal characters; equal inputs and equal code give equal names, whatever the time and place.
    """
    shaping = {name: getattr(settings, name) for name in SHAPING_SETTINGS}
    if settings.training_conversations:
        shaping["training_conversations"] = settings.training_conversations
    if settings.redact:
        shaping["redaction"] = load_redaction(settings.redact).fingerprint()
    if settings.rename_tools:
        shaping["renaming"] = renaming.fingerprint(settings.rename_tools)
    described = {"source": source, "fingerprint": fingerprint, "settings": shaping, "code": code_version()}
    text = json.dumps(described, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:VERSION_LENGTH]


def describe_version(source: str, fingerprint: str, settings: DataSettings) -> DatasetVersion:
    """The ``DatasetVersion`` about to be stored, stamped with the present time; ``counts`` still empty."""
    return DatasetVersion(
        version=compute_version(source, fingerprint, settings),
        source=source,
        fingerprint=fingerprint,
        code_version=code_version(),
        settings=settings.model_dump(mode="json"),
        created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )


def changed_by(version: DatasetVersion, effects: str) -> DatasetVersion:
    """The version that results where earlier versions or other sources changed something; itself where nothing did.

    Args:
        version: As ``describe_version`` made it.
        effects: Hash of the changes, see ``data.placement.Placement``; empty for none.
    """
    if not effects:
        return version
    name = hashlib.sha256(f"{version.version} {effects}".encode()).hexdigest()[:VERSION_LENGTH]
    return version.model_copy(update={"version": name})


def _shaping_files(room: Path) -> list[Path]:
    """Files of ``SHAPING_CODE`` in a stable order, without caches and hidden files."""
    found: list[Path] = []
    for name in SHAPING_CODE:
        path = room / name
        found += [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sorted((file for file in found if not _is_litter(file.relative_to(room))), key=Path.as_posix)


def _is_litter(relative: Path) -> bool:
    return relative.suffix == ".pyc" or any(part.startswith((".", "__pycache__")) for part in relative.parts)
