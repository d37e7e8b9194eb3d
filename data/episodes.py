"""Episodes: every conversation an agent model held with the practice environment, whole, as append-only Parquet.

Those of an evaluation lie beside its rows (``evaluations/<evaluation_id>/episodes/``), those of a training and of its
validations beside its rollouts (``rollouts/<run_id>/episodes/``). One row is one episode: what was said by whom, and
what came of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from data import paths
from data.parquet import append_part, check_name, read_shards, schema_of, shards, table_of

if TYPE_CHECKING:
    import pandas

Purpose = Literal["evaluation", "training", "validation"]
FOLDER = "episodes"
#: Columns that ``append_episodes`` fills in; a row brings all others.
FILLED_IN: tuple[str, ...] = ("purpose", "home", "created_at")

#: One message of a transcript. ``calls`` is a JSON list of ``{"name", "arguments"}``, ``tokens`` what the model wrote
#: (0 for what came from outside), ``fault`` what was wrong with it, if anything (a parse status, or ``truncated``).
MESSAGE_TYPE: pa.DataType = pa.struct(
    {
        "role": pa.string(),
        "content": pa.string(),
        "reasoning": pa.string(),
        "calls": pa.string(),
        "tokens": pa.int64(),
        "fault": pa.string(),
    }
)

#: Columns of an episode file. ``home`` is the id of the evaluation or of the training run. ``trial`` counts attempts
#: at one task, in training those of one group. ``ended``: ``done`` (the user left), ``turn_limit``,
#: ``truncated`` (a turn was cut at its token limit) or ``too_long`` (the whole was). ``facts`` is the share of the
#: required facts that was told, null where none was required. ``failed_turn`` counts the assistant's turns from 1.
#: ``step`` belongs to training and its validations (0: the start), ``reward`` and ``advantage`` to training alone.
EPISODE_SCHEMA: pa.Schema = schema_of(
    {
        "episode_id": pa.string(),
        "purpose": pa.string(),
        "home": pa.string(),
        "run_id": pa.string(),
        "stage": pa.string(),
        "step": pa.int64(),
        "task_id": pa.string(),
        "domain": pa.string(),
        "split": pa.string(),
        "trial": pa.int64(),
        "user_seed": pa.string(),
        "thinking": pa.bool_(),
        "keeps_reasoning": pa.bool_(),
        "temperature": pa.float64(),
        "success": pa.bool_(),
        "state_right": pa.bool_(),
        "facts": pa.float64(),
        "breaches": pa.list_(pa.string()),
        "milestones": pa.float64(),
        "ended": pa.string(),
        "failed_turn": pa.int64(),
        "cause": pa.string(),
        "turns": pa.int64(),
        "calls": pa.int64(),
        "call_errors": pa.int64(),
        "completion_tokens": pa.int64(),
        "reward": pa.float64(),
        "advantage": pa.float64(),
        "messages": pa.list_(MESSAGE_TYPE),
        "created_at": pa.timestamp("us", tz="UTC"),
    },
    nullable=("step", "facts", "milestones", "failed_turn", "cause", "reward", "advantage"),
)


class EpisodeError(RuntimeError):
    """An episode cannot be shown; the message says why and what to do."""


def episode_id(home: str, task_id: str, trial: int, step: int | None = None) -> str:
    """Twelve hex characters that name an attempt for ever: done again after a kill it is the same episode."""
    return hashlib.sha256(f"{home}\x1f{task_id}\x1f{trial}\x1f{step}".encode()).hexdigest()[:12]


def append_episodes(purpose: Purpose, home: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Store some episodes.

    Args:
        purpose: What they were played for.
        home: Id of the evaluation or of the training run.
        rows: One mapping per episode with exactly the columns of ``EPISODE_SCHEMA`` that are not ``FILLED_IN``.

    Returns:
        The new file; it exists only once it is whole.

    Raises:
        data.parquet.RowError: No rows, a column is missing or unknown, or a value does not fit its column.
        ValueError: ``home`` cannot name a directory.
    """
    filled: dict[str, Any] = {"purpose": purpose, "home": home, "created_at": datetime.now(UTC)}
    return append_part(table_of([{**row, **filled} for row in rows], EPISODE_SCHEMA), _directory(purpose, home))


def played(purpose: Purpose, home: str) -> set[str]:
    """Ids of the episodes that are stored; empty if there are none.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    table = read_shards(shards(_directory(purpose, home)), EPISODE_SCHEMA, ["episode_id", "purpose"]).to_pydict()
    return {name for name, of in zip(table["episode_id"], table["purpose"], strict=True) if of == purpose}


def read_episodes(purpose: Purpose, home: str) -> pandas.DataFrame:
    """Episodes of one evaluation or training run, the newest row of each; empty but typed if there are none.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    frame = read_shards(shards(_directory(purpose, home)), EPISODE_SCHEMA).to_pandas()
    return frame[frame["purpose"] == purpose].drop_duplicates("episode_id", keep="last").reset_index(drop=True)


def episode_files() -> list[Path]:
    """The files of all episodes."""
    return [file for root in (paths.rollouts(), paths.evaluations()) for file in sorted(root.glob(f"*/{FOLDER}/[!.]*"))]


def find_episode(beginning: str) -> dict[str, Any]:
    """The episode whose id begins so.

    Raises:
        EpisodeError: There is none, or several.
        data.parquet.DamagedFile: A file cannot be read.
    """
    found: dict[str, dict[str, Any]] = {row["episode_id"]: row for row in _rows_beginning(beginning)}
    if not found:
        raise EpisodeError(
            f"there is no episode whose id begins with {beginning!r}; "
            'apprentice query "SELECT episode_id, stage, domain, success, cause FROM episodes" lists them'
        )
    if len(found) > 1:
        raise EpisodeError(f"{len(found)} episodes begin with {beginning!r}; give more characters of the id")
    return next(iter(found.values()))


def _rows_beginning(beginning: str) -> Iterator[dict[str, Any]]:
    for file in episode_files():
        ids = read_shards([file], EPISODE_SCHEMA, ["episode_id"]).column("episode_id").to_pylist()
        wanted = [index for index, name in enumerate(ids) if name.startswith(beginning)]
        if wanted:
            yield from read_shards([file], EPISODE_SCHEMA).take(wanted).to_pylist()


def _directory(purpose: Purpose, home: str) -> Path:
    root = paths.evaluations() if purpose == "evaluation" else paths.rollouts()
    return root / check_name(home, "evaluation or run id") / FOLDER
