"""What separates two dataset versions: conversations that are new, changed or gone, per split, and what caused it.

Conversations are matched by id. Of each only a short hash per part is kept (messages, tools, split, …), so the memory
needed does not depend on how long conversations are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import orjson
from pydantic import Field

from data import snapshot
from data.schema import Frozen, Split
from data.versions import DatasetVersion

Parts = dict[str, bytes]
#: What a version is made of, in the words of its manifest.
_CAUSES = {"source": "source", "fingerprint": "raw records", "code_version": "code", "settings": "settings"}


class UnknownVersion(ValueError):
    """No published dataset version has this name; the message lists those there are."""


class Changed(Frozen):
    """A conversation that is in both versions and not the same."""

    conversation_id: str
    parts: tuple[str, ...]
    """Fields of ``Conversation`` that differ; ``split`` where it moved."""
    split_before: Split
    split: Split


class SplitChange(Frozen):
    """Counts of one split, named by where conversations are now (``removed``: where they were)."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0


class Difference(Frozen):
    """From version ``before`` to version ``after``."""

    before: str
    after: str
    causes: tuple[str, ...]
    """What differs of ``source``, ``raw records``, ``code`` and single settings; empty for one and the same version."""
    splits: dict[Split, SplitChange]
    new: dict[str, Split] = Field(default_factory=dict)
    """Conversation id → its split."""
    removed: dict[str, Split] = Field(default_factory=dict)
    changed: tuple[Changed, ...] = ()
    quarantined: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Reason → rejected records before and after, where the numbers differ."""


def find_version(name: str) -> str:
    """The published version of this name, or the only one whose name begins so.

    Raises:
        UnknownVersion: There is none, or several; the message lists them.
    """
    published = snapshot.published()
    fitting = [version.version for version in published if version.version.startswith(name)]
    if name in fitting:
        return name
    if len(fitting) != 1 or not name:
        what = "names several dataset versions" if fitting else "names no dataset version"
        known = (
            ", ".join(f"{version.version} ({version.source})" for version in published) or "none; `apprentice ingest`"
        )
        raise UnknownVersion(f"{name!r} {what}; published, oldest first: {known}")
    return fitting[0]


def diff(before: str, after: str) -> Difference:
    """Compare two published versions.

    Raises:
        UnknownVersion: One of them is not published.
        data.snapshot.SnapshotDamaged: A file is not what its manifest says.
    """
    old_name, new_name = find_version(before), find_version(after)
    old, new = _parts(old_name), _parts(new_name)
    changed = tuple(
        Changed(
            conversation_id=name,
            parts=_differing(old[name][1], new[name][1]) + (("split",) if old[name][0] != split else ()),
            split_before=old[name][0],
            split=split,
        )
        for name, (split, parts) in new.items()
        if name in old and old[name] != (split, parts)
    )
    added = {name: split for name, (split, _) in new.items() if name not in old}
    removed = {name: split for name, (split, _) in old.items() if name not in new}
    return Difference(
        before=old_name,
        after=new_name,
        causes=_causes(snapshot.manifest(old_name), snapshot.manifest(new_name)),
        splits=_by_split(added, removed, changed, {name: split for name, (split, _) in new.items()}),
        new=added,
        removed=removed,
        changed=changed,
        quarantined=_quarantined(snapshot.manifest(old_name), snapshot.manifest(new_name)),
    )


def _parts(version: str) -> dict[str, tuple[Split, Parts]]:
    """Conversation id → its split and a hash of each other part, in order of ids."""
    import pyarrow.parquet as pq

    found: dict[str, tuple[Split, Parts]] = {}
    with pq.ParquetFile(snapshot.checked_file(version, "conversations.parquet")) as file:
        for batch in file.iter_batches(batch_size=500, columns=["conversation_id", "split", "record"]):
            for row in batch.to_pylist():
                record: dict[str, Any] = orjson.loads(row["record"])
                found[row["conversation_id"]] = (
                    row["split"],
                    {
                        name: hashlib.blake2b(orjson.dumps(value), digest_size=8).digest()
                        for name, value in record.items()
                        if name != "split" and value
                    },
                )
    return found


def _differing(old: Parts, new: Parts) -> tuple[str, ...]:
    return tuple(name for name in {**old, **new} if old.get(name) != new.get(name))


def _by_split(
    added: dict[str, Split], removed: dict[str, Split], changed: tuple[Changed, ...], now: dict[str, Split]
) -> dict[Split, SplitChange]:
    counts = {
        "new": Counter(added.values()),
        "changed": Counter(each.split for each in changed),
        "removed": Counter(removed.values()),
    }
    total = Counter(now.values())
    counts["unchanged"] = total - counts["new"] - counts["changed"]
    splits = sorted(set(total) | set(counts["removed"]))
    return {split: SplitChange(**{what: number[split] for what, number in counts.items()}) for split in splits}


def _causes(old: DatasetVersion, new: DatasetVersion) -> tuple[str, ...]:
    found = [
        word for field, word in _CAUSES.items() if field != "settings" and getattr(old, field) != getattr(new, field)
    ]
    names = dict.fromkeys([*old.settings, *new.settings])
    return (
        *found,
        *(f"data.{name}" for name in names if old.settings.get(name) != new.settings.get(name) and name != "source"),
    )


def _quarantined(old: DatasetVersion, new: DatasetVersion) -> dict[str, tuple[int, int]]:
    before, after = (version.counts.get("quarantined", {}) for version in (old, new))
    reasons = sorted({*before, *after})
    return {
        reason: (before.get(reason, 0), after.get(reason, 0))
        for reason in reasons
        if before.get(reason, 0) != after.get(reason, 0)
    }
