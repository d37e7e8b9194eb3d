"""Validations: every decision point that was judged while a training ran, so that any point of a curve can be opened.

Append-only Parquet beside the run's rollouts, one file per validation under ``rollouts/<run_id>/validations/``. A step
that is validated again after a resume adds a file; the newest row of a step's decision point counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data import paths
from data.evaluations import EVALUATION_SCHEMA
from data.parquet import append_part, check_name, read_shards, shards, table_of

if TYPE_CHECKING:
    import pandas

FOLDER = "validations"
#: Columns that ``append_validations`` fills in; a row brings all others.
FILLED_IN: tuple[str, ...] = ("run_id", "step", "created_at")
#: Only an evaluation has them: its own id, the stage (``runs`` tells it of a run), and what was changed.
_NOT_HERE = frozenset({"evaluation_id", "stage", "variant"})

#: Columns of a validation file: an evaluation's, and the optimizer step whose weights were judged (0: the start).
VALIDATION_SCHEMA: pa.Schema = pa.schema(
    [
        EVALUATION_SCHEMA.field("run_id"),
        pa.field("step", pa.int64(), nullable=False),
        *(field for field in EVALUATION_SCHEMA if field.name not in {"run_id", *_NOT_HERE}),
    ]
)


def append_validations(run_id: str, step: int, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Store the decision points of one validation.

    Args:
        run_id: The training they belong to.
        step: Optimizer step whose weights were judged.
        rows: One mapping per decision point with exactly the columns of ``VALIDATION_SCHEMA`` that are not
            ``FILLED_IN``.

    Returns:
        The new file; it exists only once it is whole.

    Raises:
        data.parquet.RowError: No rows, a column is missing or unknown, or a value does not fit its column.
        ValueError: ``run_id`` cannot name a directory.
    """
    filled: dict[str, Any] = {"run_id": run_id, "step": step, "created_at": datetime.now(UTC)}
    return append_part(table_of([{**row, **filled} for row in rows], VALIDATION_SCHEMA), _directory(run_id))


def read_validations(run_id: str) -> pandas.DataFrame:
    """Decision points of all validations of a run, the newest row of each step's; empty but typed if there are none.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    frame = read_shards(shards(_directory(run_id)), VALIDATION_SCHEMA).to_pandas()
    return frame.drop_duplicates(["step", "decision_point_id"], keep="last").reset_index(drop=True)


def validation_files() -> list[Path]:
    """The files of all runs."""
    return [file for directory in sorted(paths.rollouts().glob(f"*/{FOLDER}")) for file in shards(directory)]


def _directory(run_id: str) -> Path:
    return paths.rollouts() / check_name(run_id, "run id") / FOLDER
