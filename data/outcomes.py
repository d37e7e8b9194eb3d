"""Outcomes of a comparison: how every judged turn went, without a word of what was said, so that it can be handed on.

An evaluation's rows hold completions, which quote the dataset. Outcomes hold ids, verdicts, causes and counts only:
what a table of results is recomputed from, on another machine or beside a published page.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from data.evaluations import EVALUATION_SCHEMA
from data.parquet import read_shards, schema_of, write_over

if TYPE_CHECKING:
    import pandas

#: Columns of an evaluation that quote the dataset, or say when a row was written.
LEFT_OUT = ("evaluation_id", "dataset_version", "text", "reasoning", "action", "created_at")
_TAKEN = [field for field in EVALUATION_SCHEMA if field.name not in LEFT_OUT]
#: ``step`` is the judgement's key in its comparison, ``called`` whether a call was begun, well-formed or not. ``cause``
#: says why a turn failed, on BFCL with the leaderboard's error; it is null where the turn did not fail and where
#: it was changed before it was judged; ``unknown:turn_no_longer_stored`` where its conversation has been erased since.
#: ``grounded`` is whether an answer's figures had been said before, ``values`` how many argument values its calls have,
#: ``values_thought_first`` how many of these stand in the thought before. ``announced`` is what a thought says will
#: follow it (``call``, ``question``), null where it says neither, ``same_arguments`` whether the calls have the
#: arguments that the thought names, null where it names none or no call can be read.
OUTCOME_SCHEMA: pa.Schema = schema_of(
    {
        "step": pa.string(),
        **{field.name: field.type for field in _TAKEN},
        "called": pa.bool_(),
        "cause": pa.string(),
        "grounded": pa.bool_(),
        "values": pa.int64(),
        "values_thought_first": pa.int64(),
        "announced": pa.string(),
        "same_arguments": pa.bool_(),
    },
    nullable=(*(field.name for field in _TAKEN if field.nullable), "cause", "grounded", "announced", "same_arguments"),
)


def write_outcomes(path: Path, rows: pandas.DataFrame) -> None:
    """Write rows of ``OUTCOME_SCHEMA``; a kill leaves the old file or the new one.

    Raises:
        pyarrow.ArrowException: A column is missing or of another type.
    """
    table = pa.Table.from_pandas(rows, schema=OUTCOME_SCHEMA, preserve_index=False)
    write_over(table, path)


def read_outcomes(path: Path) -> pandas.DataFrame:
    """The rows of a file of outcomes.

    Raises:
        data.parquet.DamagedFile: It is not there or cannot be read.
    """
    return read_shards([path], OUTCOME_SCHEMA).to_pandas()
