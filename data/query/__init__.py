"""SQL over everything published: datasets, rollouts and evaluations, also while training or an ingestion runs.

An in-memory DuckDB gets one view per table over explicit lists of finished Parquet files (``data.query.views``); the
warehouse is never opened. The connection reads under four directories of ``var/``, accepts
one SELECT, and its configuration is locked.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from data import paths
from data.parquet import damage
from data.query.views import VIEWS, create_typed, select, view_of
from data.warehouse import interruptible, quote

if TYPE_CHECKING:
    import duckdb
    import pandas
    import pyarrow as pa

T = TypeVar("T")

TIMEOUT_SECONDS = 60.0
#: Nodes of DuckDB's parse tree that do something else than read.
_CHANGES = re.compile(r'"type":\s*"([A-Z_]+)_QUERY_NODE"')
_MAY_CHANGE = re.compile(r"(?i)\b(?:copy|insert|update|delete|merge|create|drop|alter|attach|export|import)\b")
MEMORY_LIMIT = "2GB"


class QueryError(RuntimeError):
    """A query cannot be answered; the message says why and what to do."""


def run_query(
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    memory_limit: str = MEMORY_LIMIT,
) -> pandas.DataFrame:
    """Answer one SELECT (or FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE) over the ``VIEWS``.

    ``conversations`` to ``quarantine`` show the newest dataset version of each source, ``dataset_versions`` all of
    them, ``rollouts`` the last attempt of each step, ``evaluations`` the newest row per run, decision point and
    thinking, ``validations`` the newest per step of a training and decision point, ``episodes`` the newest row of each
    episode, ``runs`` every run of a stage. Times are UTC. ``parameters`` are bound to ``$name`` in the statement.

    Raises:
        QueryError: Not one SELECT, an unknown table or column, a file that cannot be read, out of time or memory.
    """
    return _answer(sql, parameters, timeout_seconds, memory_limit, lambda connection: connection.df())


def run_query_arrow(
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    memory_limit: str = MEMORY_LIMIT,
) -> pa.Table:
    """As ``run_query``, with the types that SQL gave the columns: for Parquet.

    Raises:
        QueryError: As ``run_query``.
    """
    return _answer(sql, parameters, timeout_seconds, memory_limit, _arrow)


def _arrow(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises con.sql(), which cannot bind parameters to every statement
        return connection.to_arrow_table()


def _answer(
    sql: str,
    parameters: Mapping[str, Any] | None,
    timeout_seconds: float,
    memory_limit: str,
    fetch: Callable[[duckdb.DuckDBPyConnection], T],
) -> T:
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        _configure(connection, memory_limit)
        _refuse_all_but_one_select(connection, sql)
        files = _create_views(connection, _mentioned(sql))
        _lock(connection)

        def execute() -> T:
            return fetch(connection.execute(sql, dict(parameters) if parameters else None))

        with _time_limit(connection, timeout_seconds), interruptible(), ThreadPoolExecutor(1) as worker:
            # In a thread of its own, because Ctrl-C is heard between Python's instructions, not inside a query.
            running = worker.submit(_complain, execute, files, timeout_seconds)
            try:
                return running.result()
            except KeyboardInterrupt:
                connection.interrupt()
                raise
    finally:
        connection.close()


def describe() -> str:
    """The views with their columns and types, one view per paragraph, for help texts."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        create_typed(connection)
        return "\n".join(f"{view}({_columns(connection, view)})" for view in VIEWS)


def _columns(connection: duckdb.DuckDBPyConnection, view: str) -> str:
    hidden = "record" if view == "conversations" else ""
    found = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() "
        "WHERE schema_name = 'typed' AND table_name = ? AND column_name <> ? ORDER BY column_index",
        [view, hidden],
    ).fetchall()
    return ", ".join(f"{name} {kind.replace('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ')}" for name, kind in found)


def _configure(connection: duckdb.DuckDBPyConnection, memory_limit: str) -> None:
    import duckdb

    connection.execute("SET TimeZone = 'UTC'")
    try:
        connection.execute(f"SET memory_limit = {quote(memory_limit)}")
    except duckdb.Error as error:
        raise QueryError(f"{memory_limit!r} is no amount of memory; write it as 500MB or 2GB") from error
    connection.execute("SET temp_directory = ''")  # otherwise a big sort leaves .tmp where the user stands
    connection.execute("SET enable_progress_bar = false")


def _lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on the statement is a stranger's: no file outside, no network, no settings."""
    allowed = ", ".join(quote(f"{path}/") for path in _places())
    connection.execute(f"SET allowed_directories = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _refuse_all_but_one_select(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """EXPLAIN is refused too: EXPLAIN ANALYZE COPY would write, and allowed directories allow writing."""
    import duckdb

    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(f"this is not valid SQL: {error}") from error
    if len(statements) != 1:
        raise QueryError(f"one statement at a time, got {len(statements)}; for example: SELECT count(*) FROM rollouts")
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:
        raise QueryError("this PIVOT has to look at the data first; list its values: PIVOT … ON column IN ('a', 'b') …")
    if kind != duckdb.StatementType.SELECT:
        raise QueryError(f"queries only read: use SELECT (or WITH, DESCRIBE, SHOW, SUMMARIZE), not {kind.name}")
    _refuse_what_changes(connection, sql)


def _refuse_what_changes(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """A WITH may hold statements that write (``WITH x AS (COPY … TO …)``), and be a SELECT all the same."""
    import duckdb

    try:
        (tree,) = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchone() or ("",)
        found = _CHANGES.search(tree)
        unread = json.loads(tree).get("error") and _MAY_CHANGE.search(sql)
    except (duckdb.Error, ValueError) as error:
        raise QueryError(f"this statement cannot be read: {error}") from error
    if found or unread:
        kind = found[1] if found else "a statement that changes something"
        raise QueryError(f"queries only read: use SELECT (or WITH, DESCRIBE, SHOW, SUMMARIZE), not {kind}")


def _places() -> tuple[Path, ...]:
    """Directories that queries may read."""
    return paths.datasets(), paths.rollouts(), paths.evaluations(), paths.pass_rates()


def _mentioned(sql: str) -> list[str]:
    """Views whose name occurs in the statement; all where none does (``SHOW TABLES``).

    Opening only these keeps queries fast beside thousands of rollout files, and a damaged file troubles only those
    who ask for it.
    """
    return [view for view in VIEWS if re.search(rf"\b{view}\b", sql, re.IGNORECASE)] or list(VIEWS)


def _create_views(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[Path]:
    """Create the named views; returns the files they read."""
    import duckdb

    from data.snapshot import SnapshotError

    create_typed(connection)
    files: list[Path] = []
    for name in names:
        try:
            view = view_of(connection, name)
            files += view.files
            connection.execute(f"CREATE VIEW {name} AS {select(name, view)}")
        except duckdb.Error as error:
            raise QueryError(_damage_or_message(files, error)) from error
        except (SnapshotError, ValueError) as error:
            raise QueryError(str(error)) from error
    return files


def _complain(execute: Callable[[], T], files: Sequence[Path], timeout_seconds: float) -> T:
    """Run it; what DuckDB finds wrong becomes a message that names the cure."""
    import duckdb

    try:
        return execute()
    except duckdb.InterruptException as error:
        raise QueryError(f"no answer within {timeout_seconds:g} s; narrow it with WHERE or LIMIT") from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError("the answer needs too much memory; select fewer columns, or narrow it with WHERE") from error
    except duckdb.PermissionException as error:
        raise QueryError(f"queries read only the views {', '.join(VIEWS)}: {error}") from error
    except duckdb.CatalogException as error:
        hint = f"; there are {', '.join(VIEWS)}" if "Table with name" in str(error) else ""
        raise QueryError(f"{str(error).splitlines()[0]}{hint}") from error
    except (duckdb.ParserException, duckdb.BinderException, duckdb.InvalidInputException) as error:
        raise QueryError(str(error)) from error
    except duckdb.Error as error:
        raise QueryError(_damage_or_message(files, error)) from error


@contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _damage_or_message(files: Sequence[Path], error: Exception) -> str:
    """Name the first file that cannot be read, since DuckDB does not always; else what DuckDB said."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in files:
        try:
            pq.read_table(path)
        except (pa.ArrowException, OSError) as reason:
            return f"{_cure(path)} ({reason})"
    return str(error)


def _cure(path: Path) -> str:
    if path.is_relative_to(paths.datasets()):
        return f"{path} cannot be read; remove {path.parent} and run `apprentice ingest` again"
    return damage(path)
