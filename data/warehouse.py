"""The DuckDB warehouse: the durable store of every dataset version, written by one process at a time.

While a process holds the file nobody else can open it, not even to read, so it is opened briefly: one transaction per
version, then closed. Training and queries never come here; they read the Parquet that data/snapshot.py publishes.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from data import migrations, paths, rows
from data.schema import Conversation, DecisionPoint, Quarantined
from data.versions import DatasetVersion

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SCHEMA_SQL = Path(__file__).with_name("sql") / "schema.sql"
#: Published tables and the order of their rows, which makes a snapshot's bytes reproducible.
TABLES: dict[str, tuple[str, ...]] = {
    "conversations": ("conversation_id",),
    "messages": ("conversation_id", "message_index"),
    "tools": ("conversation_id", "tool_index"),
    "calls": ("conversation_id", "message_index", "call_index"),
    "decision_points": ("conversation_id", "message_index"),
    "quarantine": ("source", "record_id", "reason", "detail"),
}
WAIT_SECONDS = 10.0
_RETRY_SECONDS = 0.2
_CHUNK = 2000
Item = TypeVar("Item")


class WarehouseError(RuntimeError):
    """The warehouse cannot do what was asked; the message says why and what to do."""


class WarehouseBusy(WarehouseError):
    """Another process holds the warehouse file."""


def store(
    version: DatasetVersion,
    conversations: Iterable[Conversation],
    points: Iterable[DecisionPoint],
    quarantined: Iterable[Quarantined],
    *,
    wait_seconds: float = WAIT_SECONDS,
) -> DatasetVersion:
    """Store one dataset version in one transaction, replacing what is stored under that name.

    Storing the same version again changes nothing, its ``created_at`` included.

    Returns:
        The version with its ``counts``.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
        data.rows.Unstorable: A record cannot be written without loss, an identifier occurs twice, or a decision point
            does not belong to a stored conversation. Nothing is stored then.
    """
    kept, chosen, rejected = list(conversations), list(points), list(quarantined)
    rows.check_references(kept, chosen)
    counted = version.model_copy(update={"counts": _counts(kept, chosen, rejected)})
    with connect(wait_seconds) as connection, _transaction(connection):
        counted = counted.model_copy(update={"created_at": _first_created(connection, counted)})
        _delete(connection, counted.version)
        for chunk in _chunks(kept):
            for name, table in rows.conversation_tables(counted.version, chunk).items():
                _insert(connection, name, table)
        for some in _chunks(chosen):
            _insert(connection, "decision_points", rows.decision_point_table(counted.version, some))
        _insert(connection, "quarantine", rows.quarantine_table(counted.version, rejected))
        _insert(connection, "dataset_versions", rows.version_table([counted]))
    return counted


def stored_versions(*, wait_seconds: float = WAIT_SECONDS) -> list[DatasetVersion]:
    """All stored dataset versions, oldest first."""
    with connect(wait_seconds) as connection:
        return _select_versions(connection)


def export(version: str, directory: Path, *, wait_seconds: float = WAIT_SECONDS) -> DatasetVersion:
    """Write each of ``TABLES`` of one version to ``directory/<table>.parquet``, typed even when empty.

    Raises:
        WarehouseError: The version was never stored.
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    with connect(wait_seconds) as connection:
        found = next((stored for stored in _select_versions(connection) if stored.version == version), None)
        if found is None:
            raise WarehouseError(f"the warehouse has no dataset version {version!r}; run `apprentice ingest`")
        for table, order in TABLES.items():
            selected = f"SELECT * FROM {table} WHERE dataset_version = {quote(version)} ORDER BY {', '.join(order)}"
            target = quote(str(directory / f"{table}.parquet"))
            connection.execute(f"COPY ({selected}) TO {target} (FORMAT parquet, COMPRESSION zstd)")
        return found


@contextmanager
def connect(wait_seconds: float = WAIT_SECONDS, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The open warehouse with its tables in place, closed at the end of the block.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
        WarehouseError: The file is damaged, not a DuckDB file, or of a newer layout than this code knows.
    """
    file = path or paths.warehouse()
    with interruptible(), _explaining_damage(file), closing(_open(file, wait_seconds)) as connection:
        _prepare(connection, file)
        yield connection


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C stays Ctrl-C: DuckDB turns it into a RuntimeError while it executes."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def quote(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _open(file: Path, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    import duckdb

    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(str(file))
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            if time.monotonic() >= deadline:
                raise WarehouseBusy(_busy_message(file, str(error), wait_seconds)) from error
            time.sleep(_RETRY_SECONDS)


@contextmanager
def _explaining_damage(file: Path) -> Iterator[None]:
    """Damage shows when the file is opened or only when it is read, as an I/O error or as DuckDB's bare ``Error``."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException | duckdb.FatalException) or type(error) is duckdb.Error:
            raise WarehouseError(
                f"{file} cannot be read or written ({error}); free the disk if it is full, else move the file away "
                f"and ingest again: published snapshots are not affected"
            ) from error
        raise


def _busy_message(file: Path, error: str, wait_seconds: float) -> str:
    holder = re.search(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", error)
    who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "another process"
    return (
        f"{file} is held by {who}, still so after {wait_seconds:g} s of waiting; close that program or let it finish, "
        f"then run the command again. Nothing was changed. To look at data meanwhile use `apprentice query`"
    )


def _prepare(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Create the tables of a new file, bring an older layout up to date, refuse one from the future."""
    with _transaction(connection):
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        found = connection.execute("SELECT max(version) FROM schema_version").fetchone()
        layout = found[0] if found else None
        if layout is None:
            connection.execute(SCHEMA_SQL.read_text(encoding="utf-8"))
            connection.execute("INSERT INTO schema_version VALUES (?)", [migrations.newest()])
            return
        try:
            migrations.migrate(connection, layout, file)
        except migrations.NewerLayout as error:
            raise WarehouseError(str(error)) from error


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:  # Ctrl-C too must leave what was stored before
        connection.rollback()
        raise
    connection.commit()


def _counts(
    conversations: Sequence[Conversation], points: Sequence[DecisionPoint], quarantined: Sequence[Quarantined]
) -> dict[str, dict[str, int]]:
    return {
        "conversations": dict(sorted(Counter(str(conversation.split) for conversation in conversations).items())),
        "decision_points": dict(sorted(Counter(str(point.split) for point in points).items())),
        "quarantined": dict(sorted(Counter(record.reason for record in quarantined).items())),
    }


def _first_created(connection: duckdb.DuckDBPyConnection, version: DatasetVersion) -> str:
    stored = (old.created_at for old in _select_versions(connection) if old.version == version.version)
    return next(stored, version.created_at)


def _select_versions(connection: duckdb.DuckDBPyConnection) -> list[DatasetVersion]:
    connection.execute("SET TimeZone = 'UTC'")
    found = connection.execute(
        "SELECT version, source, fingerprint, code_version, settings, counts, "
        "strftime(created_at, '%Y-%m-%dT%H:%M:%S.%f+00:00') FROM dataset_versions ORDER BY created_at, version"
    ).fetchall()
    return [
        DatasetVersion(
            version=version,
            source=source,
            fingerprint=fingerprint,
            code_version=code,
            settings=json.loads(settings),
            counts=json.loads(counts),
            created_at=created_at,
        )
        for version, source, fingerprint, code, settings, counts, created_at in found
    ]


def _delete(connection: duckdb.DuckDBPyConnection, version: str) -> None:
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE dataset_version = ?", [version])
    connection.execute("DELETE FROM dataset_versions WHERE version = ?", [version])


def _insert(connection: duckdb.DuckDBPyConnection, table: str, arrow: pa.Table) -> None:
    if not arrow.num_rows:  # an empty table has no columns to name
        return
    connection.register("arrow_rows", arrow)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM arrow_rows")
    connection.unregister("arrow_rows")


def _chunks(items: Sequence[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
