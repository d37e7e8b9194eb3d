"""A sample of a run's rollouts for people to read: the best and the worst of its first and its last steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data import snapshot
from data.rollouts import read_rollouts
from data.schema import DecisionPoint
from models.traces import Told
from models.training.withheld import as_practised, recorded_ids
from tasks.before_after import action_text

if TYPE_CHECKING:
    import pandas as pd

#: Best and worst completions of each end of the run.
EACH = 3
PARTS = ("reward_format", "reward_tool_accuracy", "reward_answer_correctness")


def sample(run_id: str, each: int = EACH) -> list[Told]:
    """Completions of the run as traces show them; none where it has no rollouts or its snapshot is gone."""
    rollouts = read_rollouts(run_id)
    if rollouts.empty:
        return []
    rows = _chosen(rollouts, each)
    try:
        wanted = set(rows["decision_point_id"])
        recorded = snapshot.read_points_by_id(str(rows["dataset_version"].iloc[0]), recorded_ids(wanted))
    except snapshot.SnapshotMissing:
        return []
    points = as_practised(recorded, wanted)
    known = rows[rows["decision_point_id"].isin(list(points))]
    return [_told(row, points[str(row["decision_point_id"])]) for row in known.to_dict("records")]


def _chosen(rollouts: pd.DataFrame, each: int) -> pd.DataFrame:
    """Of the first and the last step the best and the worst by reward, one of each prompt."""
    import pandas as pd

    steps = dict.fromkeys([rollouts["step"].min(), rollouts["step"].max()])
    parts = []
    for step in steps:
        ranked = rollouts[rollouts["step"] == step].sort_values("reward", ascending=False, kind="stable")
        best = ranked.drop_duplicates("decision_point_id").head(each)
        worst = ranked.drop(best.index).drop_duplicates("decision_point_id", keep="last").tail(each)
        parts += [best, worst]
    return pd.concat(parts)


def _told(row: Mapping[Any, Any], point: DecisionPoint) -> Told:
    def text(name: str) -> str | None:
        return row[name] if isinstance(row[name], str) else None

    return Told(
        name=f"step {row['step']}: {text('tool') or 'answer'}, reward {row['reward']:.2f}",
        messages=[{"role": message.role, "content": action_text(message)} for message in point.history],
        expected=action_text(point.expected),
        reasoning=text("reasoning"),
        action=text("action"),
        text=row["text"],
        tags={
            "step": str(row["step"]),
            "reward": f"{row['reward']:.3f}",
            "parse_status": row["parse_status"],
            "domain": row["domain"],
            "decision_point_id": point.id,
        },
        parts={name: None if row[name] != row[name] else float(row[name]) for name in PARTS},
    )
