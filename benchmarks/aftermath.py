"""What must be left after a disturbed stage and one plain run: the facts, gathered from ``var``, and where they differ.

Of every store only what a person would miss is a fact: which runs there are, what they computed and what they kept;
not when it was, by which run, or in how many attempts.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

#: Curves that tell what something took.
CLOCKS = ("seconds", "minutes", "step_seconds", "peak_memory_mb")
#: Columns that say when or by which run, not what.
WHEN = ("created_at", "run_id", "attempt", "evaluation_id")


def facts(last: str) -> dict[str, Any]:
    """Everything that must be the same however often the job was killed on its way."""
    from data import paths, snapshot
    from data.evaluations import files_of, read_evaluations
    from data.rollouts import read_rollouts
    from tasks import records

    version = snapshot.latest()
    assert version is not None
    snapshot.verify(version)
    found: dict[str, Any] = {
        "dataset": [version, snapshot.read_manifest(version).files],
        "gold": paths.gold_failures(version).read_text(),
        "mlflow": curves(paths.mlflow_database()),
        "unfinished": [f"{one.stage} {one.status}" for one in records.running()],
    }
    for record in records.every("sft", "primed", "grpo"):
        found.setdefault(f"{record.stage} records", []).append([record.status, record.steps, record.model_sha256])
        assert records.intact(record), f"the model of {record.stage} is not what its record says"
    for record in records.every("grpo"):
        found["rollouts"] = rows_of(read_rollouts(record.run_id))
    for record in records.every("evaluation"):
        name = record.outputs["evaluation_id"]
        stored = sum(len(read_parquet(file)) for file in files_of(name))
        model = records.of_run(record.start_run_id or "").stage
        found[f"evaluation of {model}"] = [record.status, stored, rows_of(read_evaluations(name))]
    return json.loads(json.dumps(found, default=str))


def read_parquet(file: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(file)


def rows_of(frame: Any) -> list[Any]:
    """Rows without the columns that tell when."""
    kept = frame.drop(columns=[name for name in WHEN if name in frame.columns])
    rows = json.loads(kept.to_json(orient="values", double_precision=15))
    return sorted(rows, key=json.dumps) if "decision_point_id" in kept.columns and "step" not in kept.columns else rows


def curves(database: Path) -> dict[str, Any]:
    """Per stage: how many runs and how they ended, and steps (values too, where no clock is told) of every curve."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        runs = connection.execute(
            "SELECT t.value, r.status, run_uuid FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'stage'"
        ).fetchall()
        points = connection.execute(
            "SELECT run_uuid, key, step, value FROM metrics ORDER BY step, timestamp"
        ).fetchall()
    stages = {run: stage for stage, _, run in runs}
    told: dict[str, Any] = {"runs": sorted([stage, status] for stage, status, _ in runs)}
    for run, key, step, value in points:
        clock = key.rpartition("/")[2] in CLOCKS
        told.setdefault(f"{stages.get(run)} {key}", []).append([step, None if clock else value])
    return told


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Where two nested structures differ, a line for each place."""
    if isinstance(expected, dict) and isinstance(found, dict):
        names = sorted(expected.keys() | found.keys())
        return [line for name in names for line in differences(expected.get(name), found.get(name), f"{where}/{name}")]
    if expected == found:
        return []
    return [f"{where}: {json.dumps(found)[:300]} instead of {json.dumps(expected)[:300]}"]


def last_whole(var: Path) -> str | None:
    """Id of the newest whole job that is done, told from its record alone."""
    found = [json.loads(file.read_text()) for file in var.glob("stages/pipeline/*.json")]
    done = sorted((one["started"], one["run_id"]) for one in found if one["status"] == "done")
    return done[-1][1] if done else None
