"""A plan on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.plan import Step


def print_plan(steps: Sequence[Step]) -> None:
    """A line for each stage, and what is to be done in all."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tasks.reporting import duration

    table = Table("stage", "", "why", "last time")
    for step in steps:
        colour = {"reused": "green", "given": "green", "runs": "yellow", "resumes": "cyan"}[step.does]
        took = duration(step.seconds) if step.seconds is not None else ""
        table.add_row(step.stage, Text(step.does, style=colour), Text(step.why), took)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table)
    to_do = [step for step in steps if step.does in ("runs", "resumes")]
    known = sum(step.seconds or 0.0 for step in to_do)
    estimate = f"; by earlier runs about {duration(known)}" if known else ""
    console.print(f"{len(to_do)} of {len(steps)} to do{estimate}" if to_do else "nothing to do: everything is reused")
