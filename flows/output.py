"""The result of a query on stdout: a table for people, pure CSV or JSON for programs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

WIDEST_CELL = 60


def write_frame(frame: pd.DataFrame, form: Literal["table", "csv", "json"]) -> None:
    """Write the rows: ``json`` is one list of records with ISO dates, ``csv`` has a header line."""
    if form == "csv":
        frame.to_csv(sys.stdout, index=False)
    elif form == "json":
        sys.stdout.write(frame.to_json(orient="records", date_format="iso", force_ascii=False) + "\n")
    else:
        _table(frame)


def _table(frame: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(str(column) for column in frame.columns))
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)
    console.print(f"{len(frame)} row{'' if len(frame) == 1 else 's'}", style="dim")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    text = "" if value is None else str(value)
    return text if len(text) <= WIDEST_CELL else text[: WIDEST_CELL - 1] + "…"
