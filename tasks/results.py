"""Results side by side: several models on the same decision points, as a table for a terminal and for Prefect."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.evaluation.statistics import Interval, clustered_interval
from models.evaluation.table import METRICS, exposure
from tasks.judged import SideBySide, judged_now, side_by_side

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

#: What the table shows, headline first.
SHOWN = {"turn_success": "turn success", "exact_call": "exact call", "no_call_right": "answered when due"}
#: What one model's table shows, headline first.
ALL_SHOWN = {
    "turn_success": "turn success",
    "decision_correct": "decision (call or answer)",
    "call_right": "  … called when due",
    "no_call_right": "  … answered when due",
    "tool_name_correct": "tool name (call turns)",
    "argument_names_correct": "argument names",
    "argument_values": "argument values right",
    "exact_call": "exact call",
    "facts": "facts conveyed (answers)",
    "format_ok": "format",
}


@dataclass(frozen=True)
class Line:
    """One model on one kind of split."""

    model: str
    """Its stage, with the beginning of its run where an earlier model is of the same one: ``grpo 1a2b``."""
    run_id: str
    where: str
    """``seen`` or ``unseen`` services, …"""
    thinking: bool
    intervals: dict[str, Interval]
    """Per metric of ``SHOWN``."""

    @property
    def n(self) -> int:
        """Decision points compared."""
        return self.intervals["turn_success"].n


def compare(found: SideBySide) -> list[Line]:
    """Lines by split, then model in the given order, over the decision points that all evaluations reached."""
    lines = []
    for frame in found.frames:
        for where, part in frame.groupby(frame["split"].map(exposure)):
            first = part.iloc[0]
            intervals = {metric: _interval(part, metric) for metric in SHOWN}
            run = str(first["run_id"])
            lines.append(Line(found.names[run], run, str(where), bool(first["thinking"]), intervals))
    return sorted(lines, key=lambda line: line.where)


def left_out(found: SideBySide) -> str | None:
    """A sentence about models that are not in the table; None where all are."""
    if not found.left_out:
        return None
    return (
        f"Left out: {', '.join(found.left_out)}, judged on another dataset version than the newest model, and one of "
        "the two was removed: whether both met the same turns is not known any more."
    )


def _interval(part: pd.DataFrame, metric: str) -> Interval:
    column, kind = METRICS[metric]
    rows = part if kind is None else part[part["kind"] == kind]
    values = rows[column].astype("Float64").to_numpy(dtype=float, na_value=float("nan"))
    return clustered_interval(values, rows["conversation_id"].to_numpy(dtype=str))


def percent(interval: Interval) -> str:
    """``43 % [35, 51]``, or a dash where nothing applied."""
    if not interval.n:
        return "–"
    return f"{100 * interval.mean:.0f} % [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def _cells(lines: Sequence[Line]) -> list[list[str]]:
    return [
        [
            line.where,
            line.model,
            "yes" if line.thinking else "no",
            *(percent(line.intervals[metric]) for metric in SHOWN),
            str(line.n),
        ]
        for line in lines
    ]


HEADINGS = ["domains", "model", "thinks", *SHOWN.values(), "n"]


def terminal_table(lines: Sequence[Line]) -> Table:
    """The results as a rich table."""
    from rich.table import Table

    table = Table(*HEADINGS, title="Results, with 95 % intervals clustered by conversation", title_justify="left")
    for before, (line, cells) in zip([None, *lines], zip(lines, _cells(lines), strict=True), strict=False):
        if before is not None and before.where != line.where:
            table.add_section()
        table.add_row(*cells)
    return table


def markdown_table(lines: Sequence[Line]) -> str:
    """The results as Markdown, for Prefect's artifact and MLflow's description."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *_cells(lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def caution(lines: Sequence[Line]) -> str | None:
    """A sentence where intervals are too wide to tell the models apart; None where they are not."""
    widest = max(
        (line.intervals["turn_success"].high - line.intervals["turn_success"].low for line in lines), default=0
    )
    if widest < 0.1:
        return None
    return (
        f"Intervals are up to {100 * widest:.0f} points wide; more decision points (--profile night) narrow them. "
        "Whether one model is better than another, turn by turn: `apprentice promote`."
    )


def print_model(evaluation_id: str) -> None:
    """Print every metric of one model by kind of split, with intervals and n."""
    from rich.console import Console
    from rich.table import Table

    frame = judged_now(evaluation_id)
    parts = dict(sorted((str(where), part) for where, part in frame.groupby(frame["split"].map(exposure))))
    first = frame.iloc[0]
    thinks = "thinking" if first["thinking"] else "no thinking"
    table = Table("metric", *parts, title=f"{first['stage']}, {thinks}, with 95 % intervals", title_justify="left")
    for metric, name in ALL_SHOWN.items():
        intervals = [_interval(part, metric) for part in parts.values()]
        table.add_row(name, *(f"{percent(one)}  n={one.n}" if one.n else "–" for one in intervals))
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print()
    console.print(table)


def print_results(evaluation_ids: Sequence[str]) -> list[Line]:
    """Print the table and its caution; returns the lines."""
    from rich.console import Console

    found = side_by_side(evaluation_ids)
    lines = compare(found)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    console.print()
    console.print(terminal_table(lines))
    for text in filter(None, (left_out(found), caution(lines))):
        console.print(text)
    return lines
