"""Stored evaluations as the judge sees them today."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from data import snapshot
from data.evaluations import read_evaluations

if TYPE_CHECKING:
    import pandas as pd

    from data.schema import DecisionPoint


def judged_now(evaluation_id: str) -> pd.DataFrame:
    """The rows of an evaluation by the judge as it is, so that whatever stands beside each other has one judge,
    whenever it was decoded. Where the dataset that holds the turns is gone the verdicts are those of their time."""
    from models.evaluation.rejudge import judged_again

    rows = read_evaluations(evaluation_id)
    found: dict[str, DecisionPoint] = {}
    for version, part in rows.groupby("dataset_version"):
        with suppress(snapshot.SnapshotMissing):
            found |= snapshot.read_points_by_id(str(version), set(part["decision_point_id"]))
    return judged_again(rows, found)
