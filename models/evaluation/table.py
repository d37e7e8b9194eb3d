"""Rows of judged completions → a table of numbers with intervals, and the flat names under which they are tracked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.evaluation.statistics import Interval, clustered_interval

if TYPE_CHECKING:
    import pandas as pd

#: Metric → the column it averages and the kind of turn it is restricted to.
METRICS: dict[str, tuple[str, str | None]] = {
    "turn_success": ("turn_success", None),
    "call_success": ("turn_success", "call"),
    "answer_success": ("turn_success", "answer"),
    "decision_correct": ("decision_correct", None),
    "call_right": ("decision_correct", "call"),
    "no_call_right": ("decision_correct", "answer"),
    "tool_name_correct": ("tool_name_correct", None),
    "argument_names_correct": ("argument_names_correct", None),
    "argument_values": ("argument_values", None),
    "exact_call": ("exact_call", None),
    "facts": ("facts", None),
    "format_ok": ("format_ok", None),
}
SUMMARY_COLUMNS = ("group", "value", "metric", "mean", "low", "high", "n", "clusters")
#: ``exposure`` joins ``validation_seen`` and ``test_seen`` as ``seen``, and so on.
GROUPS = ("all", "exposure", "split", "kind", "domain", "tool")


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Every metric in every group, with a 95 % interval clustered by conversation.

    Args:
        frame: Rows with the columns of ``data.evaluations``, of one model; the metric columns of ``models.evaluation``
            ``.metrics.Judgement``, ``split``, ``domain``, ``tool``, ``kind`` and ``conversation_id`` are used.

    Returns:
        One row per group (``all``, ``exposure``, ``split``, ``kind``, ``domain``, ``tool``), value of the group and
        metric, with columns ``SUMMARY_COLUMNS``. A metric that applies to no row of a group has no row.
    """
    import pandas as pd

    rows = [
        (group, value, metric, interval.mean, interval.low, interval.high, interval.n, interval.clusters)
        for group, value, part in _groups(frame)
        for metric, interval in _metrics(part)
    ]
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def flat_metrics(summary: pd.DataFrame) -> dict[str, float]:
    """Means as tracked: ``eval/seen/turn_success``; ``seen``, ``unseen``, ``mixed``, ``train`` and ``all``."""
    chosen = summary[summary["group"].isin(["all", "exposure"])]
    names = "eval/" + chosen["value"] + "/" + chosen["metric"]
    return dict(zip(names.tolist(), chosen["mean"].astype(float).tolist(), strict=True))


def exposure(split: str) -> str:
    """Whether a split's domains were trained on: ``validation_seen`` → ``seen``; ``train`` stays as it is."""
    return split.removeprefix("validation_").removeprefix("test_")


def _groups(frame: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    exposed = frame.assign(all="all", exposure=frame["split"].map(exposure))
    for group in GROUPS:
        for value, part in exposed.groupby(group, sort=True):
            yield group, str(value), part


def _metrics(part: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    conversations, kinds = part["conversation_id"].to_numpy(dtype=str), part["kind"].to_numpy(dtype=str)
    columns = {column for column, _ in METRICS.values()}
    numbers = {
        column: part[column].astype("Float64").to_numpy(dtype=float, na_value=float("nan")) for column in columns
    }
    for metric, (column, kind) in METRICS.items():
        rows = slice(None) if kind is None else kinds == kind
        interval = clustered_interval(numbers[column][rows], conversations[rows])
        if interval.n:
            yield metric, interval
