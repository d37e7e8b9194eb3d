"""The DuckDB warehouse: the durable store of every dataset version, written by one process at a time.

While a process holds the file nobody else can open it, not even to read, so it is opened briefly: one transaction per
version, then closed. Training and queries never come here; they read the Parquet that data/snapshot.py publishes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data import migrations, paths, rows
from data.content import content_hash, words_of
from data.parquet import sync_file
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
    "flags": ("conversation_id", "message_index", "reason", "detail"),
}
#: What a version counts: name, then table and the column it is counted by.
COUNTS = {
    "conversations": ("conversations", "split"),
    "decision_points": ("decision_points", "split"),
    "quarantined": ("quarantine", "reason"),
    "flagged": ("flags", "reason"),
}
WAIT_SECONDS = 10.0
_RETRY_SECONDS = 0.2
#: Rows of one Parquet row group: what a writer and a reader hold at a time.
_ROW_GROUP = 8192
#: What DuckDB may hold; beyond it spills beside the file.
_MEMORY = "800MB"


class WarehouseError(RuntimeError):
    """The warehouse cannot do what was asked; the message says why and what to do."""


class WarehouseBusy(WarehouseError):
    """Another process holds the warehouse file."""


def arrow_schemas() -> dict[str, pa.Schema]:
    """Columns and types of ``TABLES`` as Arrow schemas: data/sql/schema.sql is their one home."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute(SCHEMA_SQL.read_text(encoding="utf-8"))
        return {table: connection.sql(f"SELECT * FROM {table}").to_arrow_table().schema for table in TABLES}


def store(
    version: DatasetVersion,
    conversations: Iterable[Conversation],
    points: Iterable[DecisionPoint],
    quarantined: Iterable[Quarantined],
    *,
    wait_seconds: float = WAIT_SECONDS,
) -> DatasetVersion:
    """Store one dataset version from objects at hand; ``store_chunks`` is for more than fit in memory.

    Storing the same version again changes nothing, its ``created_at`` included.

    Returns:
        The version with its ``counts``.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
        data.rows.Unstorable: A record cannot be written without loss, an identifier occurs twice, or a decision point
            does not belong to a stored conversation. Nothing is stored then.
    """
    kept, chosen = list(conversations), list(points)
    rows.check_references(kept, chosen)
    columns = rows.Columns(arrow_schemas())
    for conversation in kept:
        rows.add_conversation(columns, conversation, rows.record_of(conversation), content_hash(words_of(conversation)))
    for point in chosen:
        rows.add_decision_point(columns, point)
    for rejected in quarantined:
        rows.add_quarantined(columns, rejected)
    tables = columns.tables()

    def fill(connection: duckdb.DuckDBPyConnection) -> None:
        for name, table in tables.items():
            _insert(connection, name, table, version.version)

    return _replace(version, fill, wait_seconds)


def store_chunks(
    version: DatasetVersion,
    chunks: Sequence[Mapping[str, Path]],
    removed: Mapping[int, Collection[str]],
    *,
    wait_seconds: float = WAIT_SECONDS,
) -> DatasetVersion:
    """Store one dataset version from Parquet files, in one transaction, replacing what is stored under that name.

    Args:
        version: Its ``counts`` need only what cannot be counted in its rows.
        chunks: A Parquet file per table and chunk, with the rows of data/rows.py; a chunk may lack tables.
        removed: Number of a chunk to the conversations of it to leave out.
        wait_seconds: How long to wait for another process to let go of the file.

    Returns:
        The version with its ``counts``.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
        data.rows.Unstorable: A conversation occurs twice. Nothing is stored then.
    """

    def fill(connection: duckdb.DuckDBPyConnection) -> None:
        for table in TABLES:
            files = {str(chunk[table]): number for number, chunk in enumerate(chunks) if table in chunk}
            if files:
                out = [(file, name) for file, number in files.items() for name in removed.get(number, ())]
                _insert_files(connection, table, version.version, list(files), out if table != "quarantine" else [])
        _refuse_repeated(connection, version.version)

    return _replace(version, fill, wait_seconds)


def _replace(
    version: DatasetVersion, fill: Callable[[duckdb.DuckDBPyConnection], None], wait_seconds: float
) -> DatasetVersion:
    with connect(wait_seconds) as connection, _transaction(connection):
        created = _first_created(connection, version)
        _delete(connection, version.version)
        fill(connection)
        counts = {**version.counts, **_counted(connection, version.version)}
        stored = version.model_copy(update={"counts": counts, "created_at": created})
        _insert(connection, "dataset_versions", rows.version_table([stored]))
    return stored


def _insert_files(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    version: str,
    files: Sequence[str],
    removed: Sequence[tuple[str, str]],
) -> None:
    """Insert Parquet files but for the rows of ``removed`` conversations, each named with its file."""
    import pyarrow as pa

    listed = ", ".join(quote(file) for file in files)
    leave_out = ""
    if removed:
        names = pa.table({"file": [file for file, _ in removed], "name": [name for _, name in removed]})
        connection.register("left_out", names)
        leave_out = "WHERE (filename, conversation_id) NOT IN (SELECT file, name FROM left_out)"
    connection.execute(
        f"INSERT INTO {table} BY NAME "
        f"SELECT * EXCLUDE (filename) REPLACE ({quote(version)} AS dataset_version) "
        f"FROM read_parquet([{listed}], filename = true) {leave_out}"
    )
    if removed:
        connection.unregister("left_out")


def _refuse_repeated(connection: duckdb.DuckDBPyConnection, version: str) -> None:
    twice = connection.execute(
        "SELECT conversation_id FROM conversations WHERE dataset_version = ? GROUP BY ALL HAVING count(*) > 1 LIMIT 1",
        [version],
    ).fetchone()
    if twice:
        raise rows.Unstorable(f"conversation id {twice[0]!r} occurs more than once")


def _counted(connection: duckdb.DuckDBPyConnection, version: str) -> dict[str, dict[str, int]]:
    """Rows of a version by split or reason."""
    counted = {}
    for what, (table, column) in COUNTS.items():
        found = connection.execute(
            f"SELECT {column}, count(*) FROM {table} WHERE dataset_version = ? GROUP BY ALL ORDER BY ALL", [version]
        ).fetchall()
        if found or what != "flagged":
            counted[what] = dict(found)
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
            connection.execute(
                f"COPY ({selected}) TO {target} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
            )
        return found


class Changes(NamedTuple):
    """Conversations of one dataset version against another, by id and stored record."""

    new: int
    changed: int
    removed: int
    unchanged: int


def changes(before: str, after: str) -> Changes:
    """How many conversations one published version has that another has not, or has otherwise.

    Reads Parquet, not the warehouse.

    Raises:
        data.snapshot.SnapshotDamaged: A file is missing or not what was published.
    """
    import duckdb

    from data.snapshot import checked_file

    old, new = (quote(str(checked_file(version, "conversations.parquet"))) for version in (before, after))
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = {quote(_MEMORY)}")
        found = connection.execute(
            "SELECT count(*) FILTER (o.id IS NULL), count(*) FILTER (o.record <> n.record), "
            "count(*) FILTER (n.id IS NULL), count(*) FILTER (o.record = n.record) "
            f"FROM (SELECT conversation_id AS id, hash(record) AS record FROM read_parquet({old})) o FULL JOIN "
            f"(SELECT conversation_id AS id, hash(record) AS record FROM read_parquet({new})) n USING (id)"
        ).fetchone()
    assert found is not None
    return Changes(*found)


def forget(conversation_id: str, *, wait_seconds: float = WAIT_SECONDS) -> int:
    """Delete a conversation from every version, with what was quarantined of it; how many rows that were.

    The file is then written anew, because DuckDB leaves the bytes of deleted rows in place until it needs the room.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    file = paths.warehouse()
    if not file.exists():
        return 0
    with connect(wait_seconds) as connection:
        with _transaction(connection):
            deleted = sum(_delete_conversation(connection, table, conversation_id) for table in TABLES)
            if deleted:
                _recount(connection)
        if deleted:
            _write_anew(connection, file)
    return deleted


def drop_versions(versions: Collection[str], *, wait_seconds: float = WAIT_SECONDS) -> None:
    """Delete all rows of some dataset versions; the file is written anew, which gives their room back.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    if versions and paths.warehouse().exists():
        with connect(wait_seconds) as connection:
            with _transaction(connection):
                for version in versions:
                    _delete(connection, version)
            _write_anew(connection, paths.warehouse())


@contextmanager
def connect(wait_seconds: float = WAIT_SECONDS, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The open warehouse with its tables in place, closed at the end of the block.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
        WarehouseError: The file is damaged, not a DuckDB file, or of a newer layout than this code knows.
    """
    file = path or paths.warehouse()
    with interruptible(), _explaining_damage(file), closing(_open(file, wait_seconds)) as connection:
        connection.execute(f"SET memory_limit = {quote(_MEMORY)}")
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


def _delete_conversation(connection: duckdb.DuckDBPyConnection, table: str, conversation_id: str) -> int:
    key = "source || '/' || record_id" if table == "quarantine" else "conversation_id"
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE {key} = ?", [conversation_id]).fetchone()
    connection.execute(f"DELETE FROM {table} WHERE {key} = ?", [conversation_id])
    return int(found[0]) if found else 0


def _recount(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the counts of all versions in line with their rows."""
    for version in _select_versions(connection):
        counts = {**version.counts, **_counted(connection, version.version)}
        connection.execute("DELETE FROM dataset_versions WHERE version = ?", [version.version])
        updated = version.model_copy(update={"counts": counts})
        _insert(connection, "dataset_versions", rows.version_table([updated]))


def _write_anew(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Copy what is there into a new file that takes the old one's place; the connection must not be used after."""
    fresh = file.with_name(f".{file.name}.writing")
    fresh.unlink(missing_ok=True)
    own = connection.execute("SELECT current_database()").fetchone()
    assert own is not None
    connection.execute(f"ATTACH {quote(str(fresh))} AS fresh")
    connection.execute(f'COPY FROM DATABASE "{own[0]}" TO fresh')
    connection.execute("DETACH fresh")
    sync_file(fresh)
    fresh.replace(file)
    file.with_name(f"{file.name}.wal").unlink(missing_ok=True)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, arrow: pa.Table, version: str | None = None) -> None:
    """Insert rows, as those of ``version`` if one is given."""
    if not arrow.num_rows:  # an empty table has no columns to name
        return
    named = f"REPLACE ({quote(version)} AS dataset_version)" if version is not None else ""
    connection.register("arrow_rows", arrow)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * {named} FROM arrow_rows")
    connection.unregister("arrow_rows")
