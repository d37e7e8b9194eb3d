"""The result of a query on stdout or in a file: a table for people; CSV, JSON and Parquet for programs."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

WIDEST_CELL = 60


def write_frame(
    frame: pd.DataFrame,
    form: Literal["table", "csv", "json"],
    output: Path | None = None,
    *,
    widest: int | None = WIDEST_CELL,
) -> None:
    """Write the rows: ``json`` is one list of records with ISO dates, ``csv`` has a header line.

    Cells of a table are cut at ``widest`` characters (None: wrapped instead); a file appears only when it is whole.
    """
    if output is None:
        _write(frame, form, sys.stdout, widest)
        return
    from data.files import write_whole

    not_a_folder(output)
    text = io.StringIO()
    _write(frame, form, text, widest)
    write_whole(output, text.getvalue())


def write_parquet(table: pa.Table, output: Path | None) -> None:
    """Write a Parquet file whole, or its bytes on stdout."""
    import pyarrow.parquet as pq

    if output is None:
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        sys.stdout.buffer.write(buffer.getvalue())
        return
    not_a_folder(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    hidden = output.with_name(f".{output.name}.writing")
    try:
        pq.write_table(table, hidden, compression="zstd")
        hidden.replace(output)
    finally:
        hidden.unlink(missing_ok=True)


def not_a_folder(output: Path) -> None:
    """See to it that a file can be written there.

    Raises:
        typer.BadParameter: It is a folder, or a device or pipe, in whose place a file would be put.
    """
    if output.exists() and not output.is_file():
        import typer

        what = "a folder; name a file in it" if output.is_dir() else "no file; leave it out to write to the terminal"
        raise typer.BadParameter(f"{output} is {what}")


def _write(frame: pd.DataFrame, form: str, stream: TextIO, widest: int | None) -> None:
    if form == "csv":
        frame.to_csv(stream, index=False)
    elif form == "json":
        stream.write(frame.to_json(orient="records", date_format="iso", force_ascii=False) + "\n")
    else:
        _table(frame, stream, widest)


def _table(frame: pd.DataFrame, stream: TextIO, widest: int | None) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*(str(column) for column in frame.columns), show_lines=widest is None)
    for row in frame.itertuples(index=False):
        table.add_row(*(Text(_cell(value, widest)) for value in row))
    console = Console(file=stream) if stream.isatty() else Console(file=stream, width=200)
    console.print(table)
    console.print(f"{len(frame)} row{'' if len(frame) == 1 else 's'}", style="dim")


def _cell(value: object, widest: int | None) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    text = "" if value is None else str(value)
    return text if widest is None or len(text) <= widest else text[: widest - 1] + "…"
