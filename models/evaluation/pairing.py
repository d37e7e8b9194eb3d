"""Rows of evaluations → scores side by side: the same decision points, model by model and seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.table import METRICS
from models.evaluation.verdicts import Pairs

if TYPE_CHECKING:
    import pandas as pd

#: Frames of one arm by training seed.
Seeded = Mapping[int, "pd.DataFrame"]


def item_of(identifier: str) -> str:
    """What a decision point or conversation is called in every source that renames it: its id without the source."""
    return identifier.partition("/")[2]


def shared_items(arms: Sequence[Seeded]) -> set[str]:
    """Decision points that every arm reached under every seed."""
    each = [set(frame["decision_point_id"].map(item_of)) for frames in arms for frame in frames.values()]
    return set.intersection(*each) if each else set()


def scores(frame: pd.DataFrame, metric: str) -> pd.Series:
    """Score of each item under a metric of ``METRICS``, by item; NaN where the metric does not apply."""
    column, kind = METRICS[metric]
    rows = frame if kind is None else frame[frame["kind"] == kind]
    values = rows[column].astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
    import pandas as pd

    return pd.Series(values, index=rows["decision_point_id"].map(item_of).to_numpy(dtype=object))


def paired(before: Seeded, after: Seeded, metric: str = "turn_success") -> Pairs:
    """Scores on the items that both arms have, seed by seed, of the seeds that both were judged under.

    Two models of different seeds are never a pair: they did not start from the same weights, and the difference of one
    run to several others would count its chance once and its turns several times.

    Raises:
        ValueError: No seed in common.
    """
    common = sorted(before.keys() & after.keys())
    if not common:
        raise ValueError(f"seeds {sorted(before)} and {sorted(after)} have none in common; judge the same seeds")
    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for seed in common:
        left, right = scores(before[seed], metric), scores(after[seed], metric)
        shared = left.index.intersection(right.index)
        homes = [str(item).rpartition("#")[0] for item in shared]
        columns.append(
            (
                left.loc[shared].to_numpy(dtype=float),
                right.loc[shared].to_numpy(dtype=float),
                np.array(homes, dtype=object),
                np.full(len(shared), seed),
            )
        )
    joined = [np.concatenate(part) for part in zip(*columns, strict=True)]
    return Pairs(joined[0], joined[1], joined[2].astype(str), joined[3])


def stacked(frames: Seeded, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of an arm over all its seeds, with the conversation and the seed of each."""
    values, homes, seeds = [], [], []
    for seed, frame in sorted(frames.items()):
        found = scores(frame, metric)
        values.append(found.to_numpy(dtype=float))
        homes.append(np.array([str(item).rpartition("#")[0] for item in found.index], dtype=str))
        seeds.append(np.full(len(found), seed))
    return np.concatenate(values), np.concatenate(homes), np.concatenate(seeds)
