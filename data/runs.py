"""The table ``runs``: what each stage run was, from the records that stages leave under ``var/stages``.

Read for queries and reports only; ``tasks/records.py`` owns the records. A record that cannot be read is left out of
the table rather than hiding all others: a query about runs is no place to repair them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from data import paths
from data.promotions import decisions

if TYPE_CHECKING:
    import pyarrow as pa


def run_schema() -> pa.Schema:
    """Columns of ``runs``; ``settings`` and ``outputs`` are JSON, times UTC, ``seconds`` wall clock."""
    import pyarrow as pa

    at = pa.timestamp("us", tz="UTC")
    return pa.schema(
        {
            "run_id": pa.string(),
            "stage": pa.string(),
            "status": pa.string(),
            "profile": pa.string(),
            "dataset_version": pa.string(),
            "start_run_id": pa.string(),
            "pipeline_run_id": pa.string(),
            "champion": pa.bool_(),
            "thinking": pa.bool_(),
            "seed": pa.int64(),
            "steps": pa.int64(),
            "seconds": pa.float64(),
            "settings": pa.string(),
            "outputs": pa.string(),
            "git_commit": pa.string(),
            "started": at,
            "ended": at,
        }
    )


def run_table() -> pa.Table:
    """One row per run of a stage, the newest record of each; evaluations belong to the run they judge."""
    import pyarrow as pa

    rows = {row["run_id"]: row for row in sorted(_rows(), key=lambda row: row["started"])}
    holders = champions()
    return pa.Table.from_pylist(
        [{**row, "champion": row["run_id"] in holders} for row in rows.values()], schema=run_schema()
    )


def champions() -> set[str]:
    """Run ids of the models that are champion of a registered name now, by the stored decisions that can be read."""
    newest: dict[str, str] = {}
    for row in decisions(damaged="left out"):
        if row["outcome"] != "kept":
            side = row["to"] if row["outcome"] == "rolled back" else row["challenger"]
            newest[row["name"]] = side["run_id"]
    return set(newest.values())


def _rows() -> list[dict[str, Any]]:
    found = []
    for file in sorted(paths.stages().glob("*/*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if record["stage"] != "evaluation":
                found.append(_row(record))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _row(record: dict[str, Any]) -> dict[str, Any]:
    started, ended = (_time(record.get(name)) for name in ("started", "ended"))
    as_it_is = ("run_id", "stage", "status", "profile", "dataset_version", "start_run_id", "pipeline_run_id")
    return {
        **{name: record.get(name) for name in as_it_is},
        "thinking": record.get("thinking"),
        "seed": record["settings"].get("seed"),
        "steps": record.get("steps"),
        "seconds": (ended - started).total_seconds() if started and ended else None,
        "settings": json.dumps(record["settings"]),
        "outputs": json.dumps(record.get("outputs", {})),
        "git_commit": record.get("git_commit"),
        "started": started,
        "ended": ended,
    }


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
