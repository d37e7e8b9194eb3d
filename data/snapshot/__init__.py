"""Immutable Parquet snapshots: what training, evaluation and queries read instead of the warehouse.

``publish`` exports one dataset version into a hidden directory, writes ``manifest.json`` last and renames the whole
into place, so a snapshot is either complete or not there. Once there it is never rewritten. Readers need no DuckDB, and
check each file against the manifest before they trust it.
"""

from data.snapshot.manifests import (
    FORMAT,
    MANIFEST,
    Manifest,
    SnapshotDamaged,
    SnapshotError,
    SnapshotMissing,
    checked_file,
    exists,
    latest,
    manifest,
    names,
    published,
    read_manifest,
    verify,
)
from data.snapshot.publishing import ASIDE, DRAFT_SUFFIX, mend, publish, rewriting, set_aside, use_again
from data.snapshot.reading import iterate_decision_points, read_conversations, read_decision_points, read_points_by_id

__all__ = [
    "ASIDE",
    "DRAFT_SUFFIX",
    "FORMAT",
    "MANIFEST",
    "Manifest",
    "SnapshotDamaged",
    "SnapshotError",
    "SnapshotMissing",
    "checked_file",
    "exists",
    "iterate_decision_points",
    "latest",
    "manifest",
    "mend",
    "names",
    "publish",
    "published",
    "read_conversations",
    "read_decision_points",
    "read_manifest",
    "read_points_by_id",
    "rewriting",
    "set_aside",
    "use_again",
    "verify",
]
