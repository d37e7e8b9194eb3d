"""Stored evaluations as the judge sees them today: one of them, or several on the turns that they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from data import snapshot
from data.evaluation_set import held_alike
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


@dataclass(frozen=True)
class SideBySide:
    """Evaluations of several models on the same turns, in the order that was asked for."""

    evaluations: tuple[str, ...] = ()
    frames: tuple[pd.DataFrame, ...] = ()
    """Rows of each, on the turns that all of them judged in the same wording."""
    names: dict[str, str] = field(default_factory=dict)
    """By run id what each model is called, also those left out."""
    left_out: tuple[str, ...] = ()
    """Models that were judged on another dataset version than the last one where one of the two was removed: nobody
    knows any more whether they met the same turns."""


def side_by_side(evaluation_ids: Sequence[str]) -> SideBySide:
    """Evaluations as far as they can be held against each other.

    An id says which turn of which conversation it is and not what was said: where a recording was put right, other
    words stand under the same id in a later dataset version. So models of two versions are compared on conversations
    that both hold in the same wording and the same split.
    """
    found = {one: judged_now(one) for one in evaluation_ids}
    names = _names_of(list(found.values()))
    kept = {one: _as_held_by(frame, found[evaluation_ids[-1]]) for one, frame in found.items()}
    alike = {one: frame for one, frame in kept.items() if frame is not None}
    shared = set.intersection(*(set(frame["decision_point_id"]) for frame in alike.values())) if alike else set()
    return SideBySide(
        tuple(alike),
        tuple(frame[frame["decision_point_id"].isin(shared)] for frame in alike.values()),
        names,
        tuple(names[str(found[one]["run_id"].iloc[0])] for one, frame in kept.items() if frame is None),
    )


def _as_held_by(frame: pd.DataFrame, newest: pd.DataFrame) -> pd.DataFrame | None:
    """The rows whose conversations the newest frame's dataset version holds as this one's does; None: not known."""
    if frame.empty or newest.empty:
        return frame
    versions = [str(one["dataset_version"].iloc[0]) for one in (newest, frame)]
    if versions[0] == versions[1]:
        return frame
    try:
        alike = held_alike(versions, sorted(set(newest["split"])))
    except snapshot.SnapshotMissing:
        return None
    return frame[frame["conversation_id"].isin({item.conversation_id for item in alike})]


def _names_of(frames: Sequence[pd.DataFrame]) -> dict[str, str]:
    """By run id what the model of each evaluation is called: its stage; where GRPO went on from an earlier GRPO, as it
    does from week to week, the earlier one also by the beginning of its run."""
    firsts = [frame.iloc[0] for frame in frames if len(frame)]
    stages = {str(first["run_id"]): str(first["stage"]) for first in firsts}
    newest = {stage: run for run, stage in stages.items()}
    return {run: stage if newest[stage] == run else f"{stage} {run[:4]}" for run, stage in stages.items()}
