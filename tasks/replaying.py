"""A replay's result as people and programs read it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from models.training.replay import Replayed

#: Tools shown, the least agreement first.
MOST_TOOLS = 12
LONGEST = 70


def told_as_json(replayed: Replayed) -> str:
    """One JSON object: the figures, every tool, and the completions whose push would turn most."""
    from models.training.comparison import by_tool, compare, largest_flips

    told = {
        "run_id": replayed.run_id,
        "reward": replayed.reward,
        **compare(replayed).as_row(),
        "by_tool": json.loads(by_tool(replayed).to_json(orient="records")),
        "largest_flips": json.loads(largest_flips(replayed).to_json(orient="records")),
    }
    return json.dumps(told, ensure_ascii=False)


def told_to_people(replayed: Replayed) -> None:
    """The same as tables on stdout."""
    from rich.console import Console

    from models.training.comparison import by_tool, compare, largest_flips

    found = compare(replayed)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=160)
    console.print(
        f"run {replayed.run_id} under {replayed.reward}, {replayed.after.aggregation}: "
        f"{found.completions:,} completions in {found.groups:,} groups"
    )
    rows = [
        (
            "rank agreement in groups (Kendall's tau-b)",
            _number(found.rank_agreement, f"{found.compared_groups} groups"),
        ),
        ("groups without variance", f"{found.zero_variance_before:.1%} → {found.zero_variance_after:.1%}"),
        ("advantages of the opposite sign", f"{found.sign_flips:.1%}"),
        ("pushed only now / no longer", f"{found.awakened:.1%} / {found.silenced:.1%}"),
        ("rewards / advantages exactly as stored", f"{found.rewards_equal:.1%} / {found.advantages_equal:.1%}"),
    ]
    console.print(_table(["", ""], rows))
    tools = by_tool(replayed)
    console.print(_table([str(name) for name in tools.columns], _cells(tools.head(MOST_TOOLS))))
    if len(tools) > MOST_TOOLS:
        console.print(f"{len(tools) - MOST_TOOLS} tools with more agreement are left out; --format json has them all")
    for turned in largest_flips(replayed).to_dict("records"):
        push = f"advantage {turned['advantage']:+.2f} → {turned['new_advantage']:+.2f}"
        reward = f"reward {turned['reward']:.2f} → {turned['new_reward']:.2f}"
        console.print(f"{push}, {reward}, {turned['decision_point_id']}: {_cell(turned['action'])}", markup=False)


def _number(value: float | None, of: str) -> str:
    return "none to compare" if value is None else f"{value:.3f} ({of})"


def _table(names: list[str], rows: Sequence[tuple[str, ...]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(*names, show_header=any(names))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _cells(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return [tuple(map(_cell, row)) for row in frame.itertuples(index=False, name=None)]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.3f}"
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
