"""How often each decision point was solved, kept across runs, so that next week's prompts can be chosen by it.

One Parquet file per run (or evaluation) under ``paths.pass_rates()``, counted from its stored completions and replaced
whole when the run goes on. What a decision point is, is told by its *content* (a hash over history, tools and expected
message), not by its id alone: a source that rewrites a conversation under the same id starts that count anew, and the
same conversation in next week's dataset version keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data import paths
from data.parquet import check_name, read_shards, schema_of, shards, table_of, write_over
from data.rollouts import group_numbers
from data.schema import DecisionPoint

if TYPE_CHECKING:
    import pandas

#: ``varied_groups`` of ``groups`` had rewards that differ; ``seconds_per_group`` is the same for all rows of a run:
#: wall clock between steps over groups per step, null where it cannot be told (evaluations, runs of one step).
PASS_RATE_SCHEMA: pa.Schema = schema_of(
    {
        "origin": pa.string(),
        "kind": pa.string(),
        "dataset_version": pa.string(),
        "decision_point_id": pa.string(),
        "content": pa.string(),
        "attempts": pa.int64(),
        "passes": pa.int64(),
        "groups": pa.int64(),
        "varied_groups": pa.int64(),
        "reward_mean": pa.float64(),
        "seconds_per_group": pa.float64(),
        "last_at": pa.timestamp("us", tz="UTC"),
        "created_at": pa.timestamp("us", tz="UTC"),
    },
    nullable=("reward_mean", "seconds_per_group"),
)


@dataclass(frozen=True)
class PassRate:
    """What is known of one decision point from its newest attempts."""

    attempts: int
    passes: int
    groups: int
    varied_groups: int

    @property
    def rate(self) -> float:
        """Share of the attempts that solved it."""
        return self.passes / self.attempts

    def promise(self, group: int) -> float:
        """Estimated chance that a group of so many completions has variance, with Laplace's rule of succession.

        Counted where groups were drawn; else that neither all nor none of the group would pass.
        """
        if self.groups:
            return (self.varied_groups + 1) / (self.groups + 2)
        rate = (self.passes + 1) / (self.attempts + 2)
        return 1.0 - rate**group - (1.0 - rate) ** group


def content_digest(point: DecisionPoint) -> str:
    """16 hex characters over all that makes the decision point what it is: history, tools, expected message."""
    digest = hashlib.sha256()
    for part in (*point.history, *point.tools, point.expected):
        digest.update(part.model_dump_json().encode())
    return digest.hexdigest()[:16]


def count_rollouts(rollouts: pandas.DataFrame, contents: Mapping[str, str]) -> list[dict[str, Any]]:
    """Pass rate rows of one run's stored completions, discarded draws included; unknown ids are left out.

    Args:
        rollouts: As ``data.rollouts.read_rollouts`` gives them.
        contents: ``content_digest`` by decision point id.
    """
    if rollouts.empty:
        return []
    frame = rollouts.assign(group=group_numbers(rollouts), passed=_passed(rollouts))
    by_group = frame.groupby("group").agg(
        decision_point_id=("decision_point_id", "first"),
        spread=("reward", lambda rewards: rewards.max() - rewards.min()),
        attempts=("passed", "size"),
        passes=("passed", "sum"),
        reward=("reward", "sum"),
        at=("created_at", "max"),
    )
    seconds = seconds_per_group(frame)
    return [
        {
            "origin": frame["run_id"].iloc[0],
            "kind": "rollouts",
            "dataset_version": frame["dataset_version"].iloc[-1],
            "decision_point_id": identifier,
            "content": contents[str(identifier)],
            "attempts": int(groups["attempts"].sum()),
            "passes": int(groups["passes"].sum()),
            "groups": len(groups),
            "varied_groups": int((groups["spread"] >= 1e-6).sum()),
            "reward_mean": float(groups["reward"].sum() / groups["attempts"].sum()),
            "seconds_per_group": seconds,
            "last_at": groups["at"].max().to_pydatetime(),
        }
        for identifier, groups in by_group.groupby("decision_point_id", sort=True)
        if identifier in contents
    ]


def _passed(rollouts: pandas.DataFrame) -> pandas.Series:
    """Whether the reward reached its maximum; for files older than that column, whether every part did."""
    parts = [rollouts[name].fillna(1.0) >= 1.0 for name in rollouts if str(name).startswith("reward_")]
    full = parts[0]
    for part in parts[1:]:
        full &= part
    return rollouts["passed"].astype("boolean").fillna(full).astype(bool)


def seconds_per_group(rollouts: pandas.DataFrame) -> float | None:
    """Median wall clock between consecutive steps over the groups of a step; None for fewer than two steps."""
    steps = rollouts.groupby("step").agg(at=("created_at", "max"), groups=("group", "nunique")).sort_index()
    following = steps.index.to_series().diff() == 1
    seconds = steps["at"].diff().dt.total_seconds()[following]
    seconds = seconds[seconds > 0]
    return float(seconds.median() / steps["groups"].median()) if len(seconds) else None


def count_evaluation(evaluation: pandas.DataFrame, contents: Mapping[str, str]) -> list[dict[str, Any]]:
    """Pass rate rows of one evaluation: a greedy attempt each, passed if the turn was a success."""
    return [
        {
            "origin": row["evaluation_id"],
            "kind": "evaluation",
            "dataset_version": row["dataset_version"],
            "decision_point_id": row["decision_point_id"],
            "content": contents[row["decision_point_id"]],
            "attempts": 1,
            "passes": int(row["turn_success"]),
            "groups": 0,
            "varied_groups": 0,
            "reward_mean": None,
            "seconds_per_group": None,
            "last_at": row["created_at"].to_pydatetime(),
        }
        for row in evaluation.to_dict("records")
        if row["decision_point_id"] in contents
    ]


def store(origin: str, rows: Sequence[Mapping[str, Any]]) -> Path | None:
    """Replace what is kept of one run or evaluation; None and nothing written if there are no rows.

    Raises:
        data.parquet.RowError: A row does not fit ``PASS_RATE_SCHEMA``.
        ValueError: ``origin`` cannot name a file.
    """
    if not rows:
        return None
    now = datetime.now(UTC)
    table = table_of([{**row, "created_at": now} for row in rows], PASS_RATE_SCHEMA)
    path = paths.pass_rates() / f"{check_name(origin, 'run id')}.parquet"
    write_over(table, path)
    return path


def read_pass_rates() -> pandas.DataFrame:
    """Everything that is kept, one row per origin and decision point.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    return read_shards(shards(paths.pass_rates()), PASS_RATE_SCHEMA).to_pandas()


def known_rates(kept: pandas.DataFrame, points: Iterable[DecisionPoint], window: int) -> dict[str, PassRate]:
    """What the newest attempts say of the points, by id; points never tried are left out.

    Args:
        kept: ``read_pass_rates``.
        points: Decision points of any dataset version.
        window: Older origins are looked at only as long as a point has fewer attempts than this: models change.
    """
    newest: dict[tuple[str, str], PassRate] = {}
    for row in kept.sort_values(["last_at", "origin"], ascending=False).to_dict("records"):
        key = (row["decision_point_id"], row["content"])
        before = newest.get(key, PassRate(0, 0, 0, 0))
        if before.attempts < window:
            newest[key] = PassRate(
                before.attempts + row["attempts"],
                before.passes + row["passes"],
                before.groups + row["groups"],
                before.varied_groups + row["varied_groups"],
            )
    if not newest:
        return {}
    found = ((point.id, newest.get((point.id, content_digest(point)))) for point in points)
    return {identifier: rate for identifier, rate in found if rate is not None}
