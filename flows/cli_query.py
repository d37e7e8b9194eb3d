"""``apprentice query``: one SELECT over everything published, or a saved one by its name."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.complaints import plain_errors
from flows.options import writable

if TYPE_CHECKING:
    import pandas as pd

    from data.saved_queries import SavedQuery

Form = Literal["table", "csv", "json", "parquet"]


def _some_time(seconds: float) -> float:
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise typer.BadParameter(f"{seconds:g} seconds are no limit: give a number, a day has 86400")
    return seconds


def query(
    sql: Annotated[
        str | None, typer.Argument(help="One SELECT, or the name of a saved query.", show_default=False)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="The saved queries and what they answer.")] = False,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="NAME=VALUE", help="A parameter of a saved query.", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--sql", help="Print the saved query's statement instead.")] = False,
    form: Annotated[Form, typer.Option("--format", help="Form of the result.")] = "table",
    output: Annotated[
        Path | None, typer.Option(help="Write it to this file.", show_default=False, callback=writable)
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Give up after so long.", callback=_some_time)] = 60.0,
    memory: Annotated[str, typer.Option(help="Memory the query may take.")] = "2GB",
) -> None:
    """Ask the data in SQL (DuckDB), also while training runs. Read-only.

    Tables: conversations, messages, tools, calls, decision_points, quarantine, flags, dataset_versions, rollouts,
    evaluations, validations, pass_rates, episodes, runs. Verdicts in `evaluations` are of the time of judging; tables
    that `evaluate` and `run` print judge the stored texts anew.

        apprentice query "SELECT stage, split, avg(turn_success::int) FROM evaluations GROUP BY ALL"

    Questions of every week are saved:

        apprentice query --list

        apprentice query changed --with before=3f2a --with after=9c01 --format parquet --output changed.parquet
    """
    with plain_errors():
        from data.query import QueryError, run_query, run_query_arrow
        from data.saved_queries import find, looks_like_a_name
        from flows import output as out

        if list_:
            _write_catalogue(form, output)
            return
        if sql is None:
            raise QueryError('ask something: apprentice query "SELECT …", or a name from apprentice query --list')
        saved = find(sql.strip())
        if saved is None and (looks_like_a_name(sql) or show):
            raise QueryError(f"no saved query is called {sql.strip()}; apprentice query --list names them")
        if show:
            assert saved is not None
            typer.echo(saved.sql, nl=False)
            return
        _refuse_bytes_on_a_terminal(form, output)
        statement, parameters = saved.sql if saved else sql, _bound(saved, with_ or [])
        if saved:
            saved.require_runs(parameters or {})
        if form == "parquet":
            found = run_query_arrow(statement, parameters, timeout_seconds=seconds, memory_limit=memory)
            out.write_parquet(found, output)
        else:
            rows = run_query(statement, parameters, timeout_seconds=seconds, memory_limit=memory)
            out.write_frame(rows, form, output)


def _refuse_bytes_on_a_terminal(form: Form, output: Path | None) -> None:
    from data.query import QueryError

    if form == "parquet" and output is None and sys.stdout.isatty():
        raise QueryError("Parquet is no text: add --output FILE, or send it into a pipe")


def _bound(saved: SavedQuery | None, assignments: list[str]) -> dict[str, str | None] | None:
    from data.query import QueryError

    given: dict[str, str | None] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise QueryError(f"--with takes NAME=VALUE, got {assignment!r}")
        given[name] = value
    return saved.bind(given) if saved else given or None


def _write_catalogue(form: Form, output: Path | None) -> None:
    import pyarrow as pa

    from flows import output as out

    _refuse_bytes_on_a_terminal(form, output)
    if form == "parquet":
        out.write_parquet(pa.Table.from_pandas(_catalogue(), preserve_index=False), output)
    else:
        out.write_frame(_catalogue(), form, output, widest=None)


def _catalogue() -> pd.DataFrame:
    import pandas as pd

    from data.saved_queries import saved_queries

    rows = [(query.name, query.about, _parameters(query)) for query in saved_queries()]
    return pd.DataFrame(rows, columns=["name", "answers", "parameters"])


def _parameters(query: SavedQuery) -> str:
    return "\n".join(f"{name}: {meaning}" for name, meaning in query.parameters.items())
