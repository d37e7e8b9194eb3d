"""Plots of a comparison: what a reader looks at before any table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from models.evaluation.document import ArmRows, interval, seeds_of, sliced, unlike_seeds
from models.evaluation.slices import HISTORY_EDGES, messages_before

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_REWARD = "train/reward"
#: Steps of the running mean: a step's eight prompts or so say more of the prompts than of the policy.
_SMOOTHED = 10


def draw(arms: Sequence[ArmRows], rewards: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures by name; those without anything to show are left out."""
    figures = {
        "turn-success": _by_arm(arms),
        "history-length": _by_history(arms),
        "cost": _by_cost(arms),
        "rewards": _rewards(rewards),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _named(arms: Sequence[ArmRows]) -> list[str]:
    """Titles, with the seeds behind each point where arms differ in them."""
    if not unlike_seeds(arms):
        return [arm.title for arm in arms]
    return [f"{arm.title} (seed {seeds_of(arm)})" if arm.trained else arm.title for arm in arms]


def _new(height: float = 4.5) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes


def _by_arm(arms: Sequence[ArmRows]) -> Figure:
    figure, axes = _new(0.5 * len(arms) + 1.5)
    for shift, where in ((-0.12, "seen"), (0.12, "unseen")):
        found = [interval(sliced(arm, where)) for arm in arms]
        there = [(place, one) for place, one in enumerate(found) if one.n]
        spread = [[one.mean - one.low for _, one in there], [one.high - one.mean for _, one in there]]
        axes.errorbar(
            [one.mean for _, one in there], [place + shift for place, _ in there], xerr=spread, fmt="o", label=where
        )
    axes.set_yticks(range(len(arms)), _named(arms))
    axes.invert_yaxis()
    axes.set_xlabel("turn success, 95 % interval")
    axes.legend()
    return figure


def _by_history(arms: Sequence[ArmRows]) -> Figure:
    figure, axes = _new()
    bins = list(pairwise(HISTORY_EDGES))
    for arm, title in zip(arms, _named(arms), strict=True):
        cut = [
            {
                seed: frame[(messages_before(frame) >= low) & (messages_before(frame) < high)]
                for seed, frame in arm.frames.items()
            }
            for low, high in bins
        ]
        found = [interval(one) for one in cut]
        there = [(place, one.mean) for place, one in enumerate(found) if one.n]
        axes.plot([place for place, _ in there], [mean for _, mean in there], marker="o", label=title)
    axes.set_xticks(range(len(bins)), [f"{low}–{high - 1}" if high < 1000 else f"{low}+" for low, high in bins])
    axes.set_xlabel("messages before the turn")
    axes.set_ylabel("turn success")
    axes.legend(fontsize="small")
    return figure


def _by_cost(arms: Sequence[ArmRows]) -> Figure | None:
    named = zip(arms, _named(arms), strict=True)
    there = [(arm, title) for arm, title in named if arm.cost.get("minutes_in_all") is not None]
    if not there:
        return None
    figure, axes = _new()
    for arm, title in there:
        # Names stand in a legend: beside points that lie close they would lie over each other.
        axes.plot(arm.cost["minutes_in_all"], interval(sliced(arm, None)).mean, "o", label=title)
    axes.legend(fontsize="small")
    axes.set_xlabel("minutes of training, all before it included")
    axes.set_ylabel("turn success")
    return figure


def _rewards(logs: Mapping[str, Any]) -> Figure | None:
    curves = {title: log.curve(_REWARD) for title, log in logs.items() if _REWARD in log.names()}
    if not curves:
        return None
    import pandas as pd

    figure, axes = _new()
    for title, (steps, values) in curves.items():
        smooth = pd.Series(values).rolling(_SMOOTHED, min_periods=1).mean()
        (line,) = axes.plot(steps, smooth, label=title)
        axes.plot(steps, values, alpha=0.25, color=line.get_color())
    axes.set_xlabel("optimizer step, first seed")
    axes.set_ylabel(f"reward, mean of {_SMOOTHED} steps")
    axes.legend()
    return figure
