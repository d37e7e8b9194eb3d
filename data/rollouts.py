"""Rollouts: every completion GRPO sampled, with its reward and advantage, as append-only Parquet.

One file per step and attempt under ``paths.rollouts()/<run_id>/``. A step that is done again after a resume becomes a
new attempt beside the old one; nothing is overwritten, readers take the last attempt of each step. Where a training
ended before a step that a killed attempt of it had come to, that step is none of the run's: its files stay and do not
count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data import paths
from data.files import write_whole
from data.parquet import check_name, read_shards, schema_of, shards, table_of, write_new

if TYPE_CHECKING:
    import pandas

#: Columns that ``append_rollouts`` fills in; a row brings all others.
FILLED_IN: tuple[str, ...] = ("run_id", "step", "attempt", "created_at")
#: Beside the files of a run that has ended: its last step.
_ENDED = "ended.json"
_FILE = re.compile(r"\.?step-(?P<step>\d+)-attempt-(?P<attempt>\d+)\.parquet(\.writing)?")


#: Columns of a rollout file. Null means "does not apply": no answer reward on call turns, no action where none parsed.
#: ``action`` is the JSON list of calls or the answer text; ``reward`` is what the reward's parts come to.
#: ``completion_index`` counts within a group, so a group begins where it is 0. ``draw`` says the how manieth group was
#: drawn for this place of the batch; a ``discarded`` group was replaced before advantages were taken (its advantage is
#: 0). ``passed``: the reward reached its maximum. Null in these three means the file was written before they were.
ROLLOUT_SCHEMA: pa.Schema = schema_of(
    {
        "run_id": pa.string(),
        "step": pa.int64(),
        "attempt": pa.int64(),
        "decision_point_id": pa.string(),
        "completion_index": pa.int64(),
        "dataset_version": pa.string(),
        "split": pa.string(),
        "kind": pa.string(),
        "domain": pa.string(),
        "tool": pa.string(),
        "thinking": pa.bool_(),
        "text": pa.string(),
        "reasoning": pa.string(),
        "action": pa.string(),
        "parse_status": pa.string(),
        "reward": pa.float64(),
        "reward_format": pa.float64(),
        "reward_tool_accuracy": pa.float64(),
        "reward_answer_correctness": pa.float64(),
        "advantage": pa.float64(),
        "passed": pa.bool_(),
        "draw": pa.int64(),
        "discarded": pa.bool_(),
        "completion_tokens": pa.int64(),
        "truncated": pa.bool_(),
        "temperature": pa.float64(),
        "created_at": pa.timestamp("us", tz="UTC"),
    },
    nullable=("tool", "reasoning", "action", "reward_answer_correctness", "passed", "draw", "discarded"),
)


def append_rollouts(run_id: str, step: int, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Store the completions of one step as a new attempt.

    Args:
        run_id: The stage run they belong to.
        step: Optimizer step.
        rows: One mapping per completion with exactly the columns of ``ROLLOUT_SCHEMA`` that are not ``FILLED_IN``.

    Returns:
        The new file; it exists only once it is whole.

    Raises:
        data.parquet.RowError: No rows, a column is missing or unknown, or a value does not fit its column.
        ValueError: ``run_id`` cannot name a directory, or ``step`` is negative.
    """
    if step < 0:
        raise ValueError(f"step must not be negative, got {step}")
    directory = paths.rollouts() / check_name(run_id, "run id")
    filled: dict[str, Any] = {"run_id": run_id, "step": step, "created_at": datetime.now(UTC)}
    attempt = next_attempt(directory, step)
    while True:
        complete = [{**row, **filled, "attempt": attempt} for row in rows]
        path = directory / f"step-{step:08d}-attempt-{attempt:04d}.parquet"
        if write_new(table_of(complete, ROLLOUT_SCHEMA), path):
            return path
        attempt += 1


def next_attempt(directory: Path, step: int) -> int:
    """One more than the highest attempt of this step that was begun, finished or not; the first is 1."""
    found = [_FILE.fullmatch(path.name) for path in directory.glob("*step-*")] if directory.is_dir() else []
    return max((int(name["attempt"]) for name in found if name and int(name["step"]) == step), default=0) + 1


def conclude(run_id: str, steps: int) -> None:
    """Say that the run has ended after so many steps; what is stored of later ones does not count from here on."""
    directory = paths.rollouts() / check_name(run_id, "run id")
    if directory.is_dir():
        write_whole(directory / _ENDED, json.dumps({"steps": steps}))


def current_files(run_id: str) -> list[Path]:
    """The file of the last finished attempt of each step that the run did in the end, in order of steps."""
    directory = paths.rollouts() / check_name(run_id, "run id")
    ended = directory / _ENDED
    steps = json.loads(ended.read_text(encoding="utf-8"))["steps"] if ended.exists() else None
    last: dict[int, Path] = {}
    for path in sorted(shards(directory), key=_step_and_attempt):
        last[step_of(path)] = path
    return [path for step, path in last.items() if steps is None or step <= steps]


def read_rollouts(run_id: str) -> pandas.DataFrame:
    """Completions of a run, the last attempt of each step; empty but typed if there are none.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    return read_shards(current_files(run_id), ROLLOUT_SCHEMA).to_pandas()


def group_numbers(rollouts: pandas.DataFrame) -> pandas.Series:
    """The number of each row's group, counted from 0 in stored order: its completions are of one prompt and draw."""
    return (rollouts["completion_index"] == 0).cumsum() - 1


def in_batch(rollouts: pandas.DataFrame) -> pandas.DataFrame:
    """The rollouts whose advantages were taken: all but the discarded."""
    return rollouts[rollouts["discarded"].ne(True)].reset_index(drop=True)


def step_of(path: Path) -> int:
    """The optimizer step a rollout file belongs to."""
    return _step_and_attempt(path)[0]


def _step_and_attempt(path: Path) -> tuple[int, int]:
    name = _FILE.fullmatch(path.name)
    if name is None:
        raise ValueError(f"{path} is not a rollout file (step-N-attempt-M.parquet); move it out of {path.parent}")
    return int(name["step"]), int(name["attempt"])
