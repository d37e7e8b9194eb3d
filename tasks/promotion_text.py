"""A decision about the champion in words: Markdown for MLflow and Prefect, a table of all decisions for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def describe(row: Row) -> str:
    """A stored decision in Markdown: the word, why, and the figures behind it."""
    if row["outcome"] == "rolled back":
        return f"**{row['name']}: rolled back** to version {row['to']['version']}. {row['reason']}".strip()
    lines = [f"**{row['name']}: {row['outcome']}**, version {row['challenger']['version']}", ""]
    lines += [f"- {reason}" for reason in row["decision"]["reasons"]]
    lines += ["", *_table(row["decision"]), ""]
    decision = row["decision"]
    if decision.get("gain_on") == "seen tools":
        lines.append("No domain is held out of training here, so the gain is asked for on seen tools (docs/data.md).")
    if decision.get("headline") and "policy" not in decision["guards"] and not row.get("policy_due"):
        lines.append("Policy is not guarded here: the two played no episodes in common.")
    lines.append(
        f"Judged on {', '.join(row['splits'])} of dataset {row['dataset_version']}, "
        f"{row['frozen_conversations']:,} conversations of the frozen evaluation set."
    )
    return "\n".join(lines)


def said(row: Row) -> str:
    """Who is champion after a decision, in one sentence."""
    mine, theirs = row["challenger"]["version"], (row["champion"] or {}).get("version")
    return {
        "first": f"version {mine} is the first champion of {row['name']}",
        "promoted": f"version {mine} is champion of {row['name']} now, instead of version {theirs}",
        "kept": f"version {theirs} stays champion of {row['name']}",
    }[row["outcome"]]


def _table(decision: Row) -> list[str]:
    mine = decision["scores"]["challenger"]
    theirs = decision["scores"].get("champion", {})
    compared = {decision.get("gain_on", "unseen tools"): decision.get("headline"), **decision.get("guards", {})}
    lines = ["| slice | champion | challenger | difference, points | n |", "| --- | --- | --- | --- | --- |"]
    for name in dict.fromkeys([*mine, *compared]):
        one = compared.get(name)
        n = one["difference"]["n"] if one else mine[name]["n"]
        difference = points(one["difference"]) if one else "–"
        lines.append(f"| {name} | {share(theirs.get(name))} | {share(mine.get(name))} | {difference} | {n} |")
    return lines


def share(one: Row | None) -> str:
    """``43.1 % [35.0, 51.2]``, or a dash where nothing applied."""
    if not one or one["mean"] is None:
        return "–"
    return f"{100 * one['mean']:.1f} % [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"


def points(one: Row) -> str:
    """``+4.1 [+1.2, +7.0]``."""
    if one["mean"] is None:
        return "–"
    return f"{100 * one['mean']:+.1f} [{100 * one['low']:+.1f}, {100 * one['high']:+.1f}]"


HEADINGS = (
    "when",
    "outcome",
    "champion",
    "run",
    "dataset",
    "unseen tools",
    "gain, points",
    "seen tools",
    "no-call turns",
)


def trend(rows: Iterable[Row]) -> list[list[str]]:
    """One line a decision, oldest first: who was champion after it, and how that model did on the data of that week."""
    return [_line(row) for row in rows]


def _line(row: Row) -> list[str]:
    when = row["at"][:16].replace("T", " ")
    if row["outcome"] == "rolled back":
        return [when, row["outcome"], row["to"]["version"], row["to"]["run_id"][:8], "", "", "", "", ""]
    who = "champion" if row["outcome"] == "kept" else "challenger"
    decision, model = row["decision"], row[who]
    scores = decision["scores"].get(who, {})
    gain = points(decision["headline"]["difference"]) if decision.get("headline") else "–"
    return [
        when,
        row["outcome"],
        model["version"],
        model["run_id"][:8],
        row["dataset_version"],
        share(scores.get("unseen tools")),
        gain,
        share(scores.get("seen tools")),
        share(scores.get("no-call turns")),
    ]


def print_trend(rows: Iterable[Row]) -> None:
    """The champions week by week, on a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        *HEADINGS, title="Champions, each on the dataset of its week, with 95 % intervals", title_justify="left"
    )
    for line in trend(rows):
        table.add_row(*line)
    console = Console() if sys.stdout.isatty() else Console(width=180)
    console.print(table)
