"""Evaluations: every judged decision point as append-only Parquet, so that a table of results can always be recomputed.

One file per call under ``paths.evaluations()/<evaluation_id>/``. A resumed evaluation asks ``done`` and adds the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data import paths
from data.files import write_whole
from data.parquet import append_part, check_name, read_shards, schema_of, shards, table_of

if TYPE_CHECKING:
    import pandas

#: Columns that ``append_evaluations`` fills in; a row brings all others.
FILLED_IN: tuple[str, ...] = ("evaluation_id", "created_at")

#: Columns of an evaluation file. ``variant`` names what was changed (``distractors``, ``thoughts shuffled``), null:
#: judged as recorded. Else null means "does not apply": the call columns on answer turns, ``facts`` (recall in
#: [0, 1]) where the turn has none to convey, ``action`` where none could be parsed.
EVALUATION_SCHEMA: pa.Schema = schema_of(
    {
        "evaluation_id": pa.string(),
        "run_id": pa.string(),
        "stage": pa.string(),
        "dataset_version": pa.string(),
        "decision_point_id": pa.string(),
        "conversation_id": pa.string(),
        "split": pa.string(),
        "domain": pa.string(),
        "kind": pa.string(),
        "tool": pa.string(),
        "thinking": pa.bool_(),
        "variant": pa.string(),
        "text": pa.string(),
        "reasoning": pa.string(),
        "action": pa.string(),
        "parse_status": pa.string(),
        "turn_success": pa.bool_(),
        "decision_correct": pa.bool_(),
        "tool_name_correct": pa.bool_(),
        "argument_names_correct": pa.bool_(),
        "argument_values": pa.float64(),
        "exact_call": pa.bool_(),
        "facts": pa.float64(),
        "format_ok": pa.bool_(),
        "completion_tokens": pa.int64(),
        "truncated": pa.bool_(),
        "created_at": pa.timestamp("us", tz="UTC"),
    },
    nullable=(
        "tool",
        "variant",
        "reasoning",
        "action",
        "tool_name_correct",
        "argument_names_correct",
        "argument_values",
        "exact_call",
        "facts",
    ),
)


#: Beside the rows: how long they have taken.
SPENT = "spent.json"


def append_evaluations(evaluation_id: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Store some judged decision points.

    Args:
        evaluation_id: The evaluation they belong to.
        rows: One mapping per decision point with exactly the columns of ``EVALUATION_SCHEMA`` that are not
            ``FILLED_IN``; ``variant`` may be left out.

    Returns:
        The new file; it exists only once it is whole.

    Raises:
        data.parquet.RowError: No rows, a column is missing or unknown, or a value does not fit its column.
        ValueError: ``evaluation_id`` cannot name a directory.
    """
    filled: dict[str, Any] = {"evaluation_id": evaluation_id, "created_at": datetime.now(UTC)}
    table = table_of([{"variant": None, **row, **filled} for row in rows], EVALUATION_SCHEMA)
    return append_part(table, _directory(evaluation_id))


def done(evaluation_id: str) -> set[str]:
    """Ids of the decision points this evaluation has already judged; empty if it never began.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    table = read_shards(files_of(evaluation_id), EVALUATION_SCHEMA, ["decision_point_id"])
    return set(table.column("decision_point_id").to_pylist())


def read_evaluations(evaluation_id: str) -> pandas.DataFrame:
    """Judged decision points of one evaluation, the newest row of each; empty but typed if there are none.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    frame = read_shards(files_of(evaluation_id), EVALUATION_SCHEMA).to_pandas()
    newest = frame.drop_duplicates(["run_id", "decision_point_id", "thinking"], keep="last")
    return newest.reset_index(drop=True)


def files_of(evaluation_id: str) -> list[Path]:
    """The finished files of one evaluation, in the order they were written."""
    return shards(_directory(evaluation_id))


def seconds_spent(evaluation_id: str, file: str = SPENT) -> float:
    """How long its earlier attempts have judged: a budget is of all of them together. Each budget has a ``file``."""
    try:
        told = json.loads((_directory(evaluation_id) / file).read_text(encoding="utf-8"))
        return float(told["seconds"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # never begun, or damaged: it begins to count
        return 0.0


def note_seconds(evaluation_id: str, seconds: float, file: str = SPENT) -> None:
    """Remember how long it has judged so far."""
    write_whole(_directory(evaluation_id) / file, json.dumps({"seconds": seconds}))


def _directory(evaluation_id: str) -> Path:
    return paths.evaluations() / check_name(evaluation_id, "evaluation id")
