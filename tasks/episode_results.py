"""Episodes side by side: pass^k of several models on the same tasks, and why episodes failed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.evaluation.passes import MOST_TRIALS, causes, pass_interval
from models.evaluation.statistics import Interval, clustered_interval
from models.evaluation.table import exposure
from tasks.evaluation import episodes_of
from tasks.results import percent

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class EpisodeLine:
    """One model on one kind of split: pass^k by k, share of right final rows, mean turns, the commonest failure."""

    model: str
    run_id: str
    where: str
    thinking: bool
    passes: dict[int, Interval]
    state_right: Interval
    turns: float
    failure: str


def compare_episodes(evaluation_ids: Sequence[str]) -> list[EpisodeLine]:
    """Lines by kind of split, then model in the given order, over the trials that all evaluations reached."""
    frames = [frame for frame in map(episodes_of, evaluation_ids) if len(frame)]
    if len(frames) < len(evaluation_ids):
        return []
    shared = set.intersection(*(set(_trials(frame)) for frame in frames)) if frames else set()
    lines = []
    for frame in frames:
        common = frame[[trial in shared for trial in _trials(frame)]]
        told = causes(common)
        for where, part in common.groupby(common["split"].map(exposure)):
            first, why = part.iloc[0], told[told["value"] == where]
            lines.append(
                EpisodeLine(
                    model=str(first["stage"]),
                    run_id=str(first["run_id"]),
                    where=str(where),
                    thinking=bool(first["thinking"]),
                    passes={k: one for k in range(1, MOST_TRIALS + 1) if (one := pass_interval(part, k)).n},
                    state_right=clustered_interval(part["state_right"].astype(float), part["task_id"].astype(str)),
                    turns=float(part["turns"].mean()),
                    failure=f"{why.iloc[0]['cause']} ({why.iloc[0]['share']:.0%})" if len(why) else "–",
                )
            )
    return sorted(lines, key=lambda line: line.where)


def _trials(frame: pd.DataFrame) -> list[tuple[str, int]]:
    return list(zip(frame["task_id"], frame["trial"], strict=True))


def headings(lines: Sequence[EpisodeLine]) -> list[str]:
    """Columns of the table: as many k as there are."""
    ks = sorted({k for line in lines for k in line.passes})
    return ["domains", "model", "thinks", *(f"pass^{k}" for k in ks), "state right", "turns", "fails by", "tasks"]


def cells(lines: Sequence[EpisodeLine]) -> list[list[str]]:
    """The table's rows."""
    ks = sorted({k for line in lines for k in line.passes})
    return [
        [
            line.where,
            line.model,
            "yes" if line.thinking else "no",
            *(percent(line.passes[k]) if k in line.passes else "–" for k in ks),
            percent(line.state_right),
            f"{line.turns:.1f}",
            line.failure,
            str(line.passes[1].n),
        ]
        for line in lines
    ]


def episode_markdown(lines: Sequence[EpisodeLine]) -> str:
    """The table as Markdown; empty without lines."""
    if not lines:
        return ""
    names = headings(lines)
    return "\n".join("| " + " | ".join(row) + " |" for row in [names, ["---"] * len(names), *cells(lines)])


def print_episodes(evaluation_ids: Sequence[str]) -> list[EpisodeLine]:
    """Print the table, if all of the evaluations played episodes; returns its lines."""
    from rich.console import Console
    from rich.table import Table

    lines = compare_episodes(evaluation_ids)
    if not lines:
        return []
    title = "Whole episodes with simulated users, with 95 % intervals over tasks"
    table = Table(*headings(lines), title=title, title_justify="left")
    for before, (line, row) in zip([None, *lines], zip(lines, cells(lines), strict=True), strict=False):
        if before is not None and before.where != line.where:
            table.add_section()
        table.add_row(*row)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    console.print()
    console.print(table)
    return lines
