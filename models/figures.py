"""Curves of a run as pictures, drawn from its metric log: what a person looks at first.

Thin lines are the numbers as they came, thick ones their running mean, since the reward of one step is the mean of a
few dozen completions and jumps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.metric_log import MetricLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REWARD = "train/reward"


def curves(log: MetricLog) -> dict[str, Figure]:
    """The figures this run has numbers for, by file name: ``loss.png``, ``reward.png``."""
    keys = set(log.names())
    figures = {}
    if REWARD in keys:
        parts = sorted(key for key in keys if key.startswith(f"{REWARD}_") and not key.endswith("_std"))
        figures["reward.png"] = _figure(log, [REWARD, *parts], "reward")
    if "train/loss" in keys:
        figures["loss.png"] = _figure(log, ["train/loss"], "loss")
    return figures


def _figure(log: MetricLog, keys: list[str], label: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, key in enumerate(keys):
        _draw(axes, *log.curve(key), name=key.removeprefix("train/"), colour=f"C{number}")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _draw(axes: Axes, steps: list[int], values: list[float], *, name: str, colour: str) -> None:
    window = max(1, len(values) // 10)
    smooth = [
        sum(part) / len(part) for end in range(1, len(values) + 1) if (part := values[max(0, end - window) : end])
    ]
    axes.plot(steps, values, color=colour, alpha=0.3, linewidth=0.8, marker="." if len(steps) < 3 else None)
    axes.plot(steps, smooth, color=colour, linewidth=1.8, label=name)
