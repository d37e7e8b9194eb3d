"""``apprentice doctor``: what is wrong with machine and house, each with its cure."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from flows.complaints import plain_errors
from flows.environment import prepare


def doctor(
    close: Annotated[bool, typer.Option("--close", help="End runs that say they are running and are not.")] = False,
) -> None:
    """Look over environment, disk, memory, arithmetic, locks, dead runs, stored data and the registry.

        apprentice doctor

    After a crash, to have no run left as running that nobody will resume:

        apprentice doctor --close

    Leaves with exit code 1 if something is bad.
    """
    with plain_errors():
        prepare(quiet=True)
        from rich.console import Console

        from tasks.doctor import check_up, close_dead_runs

        console = Console(highlight=False) if sys.stdout.isatty() else Console(width=200, highlight=False)
        for closed in close_dead_runs() if close else []:
            console.print(f"closed {closed}", markup=False)
        worst = 0
        for finding in check_up():
            mark = {"good": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]BAD [/]"}[finding.state]
            console.print(f"{mark} {finding.check:<11}", end=" ")
            console.print(finding.says, markup=False)
            if finding.cure:
                console.print(f"                 → {finding.cure}", markup=False)
            worst = max(worst, finding.state == "bad")
        raise typer.Exit(worst)
