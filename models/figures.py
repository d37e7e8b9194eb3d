"""Pictures of a run: its curves from its metric log, and what the judge found from the rows it left.

Thin lines are the numbers as they came, thick ones their running mean, since the reward of one step is the mean of a
few dozen completions and jumps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from models.metric_log import MetricLog

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REWARD = "train/reward"
#: File name → the curves it shows and the name of its axis; drawn where the run has the first of them.
CURVES: dict[str, tuple[tuple[str, ...], str]] = {
    "loss.png": (("train/loss",), "loss"),
    "length.png": (("train/completion_length",), "tokens of a completion"),
    "entropy.png": (("train/entropy", "train/kl"), "nats a token"),
}
#: Tools that the confusion matrix names; the rest are one row and column.
MOST_TOOLS = 14
ANSWERED, UNREADABLE, OTHERS = "(answer)", "(unreadable)", "(other tools)"


class Bar(NamedTuple):
    """A mean with its interval: of which model, on which kind of tools (``seen``, ``unseen``, …)."""

    model: str
    where: str
    mean: float
    low: float
    high: float


def curves(log: MetricLog) -> dict[str, Figure]:
    """The figures this run has numbers for, by file name: ``loss.png``, ``reward.png``, …"""
    keys = set(log.names())
    figures = {}
    if REWARD in keys:
        parts = sorted(key for key in keys if key.startswith(f"{REWARD}_") and not key.endswith("_std"))
        figures["reward.png"] = _figure(log, [REWARD, *parts], "reward")
    for file, (names, label) in CURVES.items():
        if names[0] in keys:
            figures[file] = _figure(log, [name for name in names if name in keys], label)
    return figures


def seen_and_unseen(bars: Sequence[Bar], label: str = "turn success") -> Figure:
    """Models side by side on each kind of tools, with their 95 % intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    models, places = list(dict.fromkeys(bar.model for bar in bars)), list(dict.fromkeys(bar.where for bar in bars))
    width = 0.8 / max(1, len(models))
    for number, model in enumerate(models):
        own = [bar for bar in bars if bar.model == model]
        at = [places.index(bar.where) + (number - (len(models) - 1) / 2) * width for bar in own]
        reach = [[bar.mean - bar.low for bar in own], [bar.high - bar.mean for bar in own]]
        heights = [bar.mean for bar in own]
        axes.bar(at, heights, width * 0.9, yerr=reach, capsize=3, label=model, color=f"C{number}")
    axes.set_xticks(range(len(places)), places)
    axes.set_ylim(0, 1)
    axes.set_ylabel(f"{label}, 95 % interval")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(ncols=min(4, max(1, len(models))))
    return figure


def confusion(frame: pd.DataFrame) -> pd.DataFrame:
    """How often each tool that was due (rows) met each tool that was called (columns), most frequent first.

    ``frame`` has the columns ``kind``, ``tool`` and ``action`` of an evaluation. An answer counts as ``(answer)``; of
    several calls the first counts.
    """
    import pandas as pd

    due = frame["tool"].where(frame["kind"] == "call", ANSWERED).fillna(ANSWERED)
    called = frame["action"].map(_called)
    often = due[due != ANSWERED].value_counts().index[:MOST_TOOLS]
    kept = {*often, ANSWERED, UNREADABLE}
    due, called = (names.where(names.isin(kept), OTHERS) for names in (due, called))
    order = [*often, OTHERS, ANSWERED, UNREADABLE]
    table = pd.crosstab(due.rename("due"), called.rename("called"))
    rows, columns = ([name for name in order if name in index] for index in (table.index, table.columns))
    return table.loc[rows, columns]


def tool_confusion(frame: pd.DataFrame) -> Figure:
    """``confusion`` as a picture: shade is the share of the row, the figure in a cell the count."""
    from matplotlib.figure import Figure

    table = confusion(frame)
    figure = Figure(figsize=(4.5 + 0.42 * len(table.columns), 3 + 0.36 * len(table)), layout="constrained")
    axes = figure.subplots()
    share = table.div(table.sum(axis=1), axis=0).to_numpy()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, counts in enumerate(table.to_numpy()):
        for column, count in enumerate(counts):
            if count:
                dark = share[row, column] > 0.5
                axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(table.columns)), table.columns, rotation=60, ha="right")
    axes.set_yticks(range(len(table)), table.index)
    axes.set_xlabel("called")
    axes.set_ylabel("due")
    return figure


def _called(action: str | None) -> str:
    """Name of the tool an action calls, from the JSON or text that evaluations store."""
    if not isinstance(action, str):
        return UNREADABLE
    try:
        calls = json.loads(action)
    except ValueError:
        return ANSWERED
    if not (isinstance(calls, list) and calls and isinstance(calls[0], Mapping) and "name" in calls[0]):
        return ANSWERED  # an answer may happen to be JSON too
    return str(calls[0]["name"])


def _figure(log: MetricLog, keys: Sequence[str], label: str) -> Figure:
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
