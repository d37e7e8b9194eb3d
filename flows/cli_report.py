"""``apprentice report``: the week on one page, for somebody who reads no curves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.complaints import plain_errors
from flows.options import writable


def report(
    output: Annotated[
        Path | None, typer.Option(help="Write it to this file.", show_default=False, callback=writable)
    ] = None,
) -> None:
    """The newest model on one self-contained HTML page: results, conversations, data, cost, promotion.

    `apprentice run` leaves one under var/reports by itself; this makes it again from what is stored.

        apprentice report --output report.html
    """
    with plain_errors():
        from tasks.weekly.report import write_report

        typer.echo(str(write_report(output)))
