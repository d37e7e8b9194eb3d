"""What leaves the warehouse: a conversation that has to be forgotten, and versions nobody needs; bytes and all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from data import paths, rows
from data.parquet import sync_directory, sync_file
from data.schema import Split
from data.warehouse.layout import TABLES
from data.warehouse.opening import WAIT_SECONDS, connect, log_of, quote, transaction
from data.warehouse.statements import count_rows, delete, insert, select_versions

if TYPE_CHECKING:
    import duckdb


def forget(conversation_id: str, *, wait_seconds: float = WAIT_SECONDS) -> int:
    """Delete a conversation from every version, with what was quarantined of it; how many rows that were.

    The file is then written anew, because DuckDB leaves the bytes of deleted rows in place until it needs the room:
    also where there was no row, since an earlier call may have been killed between the two.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    file = paths.warehouse()
    if not file.exists():
        return 0
    with connect(wait_seconds) as connection:
        with transaction(connection):
            deleted = sum(_delete_conversation(connection, table, conversation_id) for table in TABLES)
            if deleted:
                _recount(connection)
        _write_anew(connection, file)
    return deleted


def versions_holding(conversation_id: str, *, wait_seconds: float = WAIT_SECONDS) -> dict[str, Split | None]:
    """Stored versions with any row of a conversation → the split it is in there; None where it was only quarantined.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    if not paths.warehouse().exists():
        return {}
    holding = " UNION ".join(f"SELECT dataset_version FROM {table} WHERE {_key(table)} = $id" for table in TABLES)
    with connect(wait_seconds) as connection:
        found = connection.execute(
            f"SELECT dataset_version, split FROM ({holding}) "
            "LEFT JOIN (SELECT dataset_version, split FROM conversations WHERE conversation_id = $id) "
            "USING (dataset_version)",
            {"id": conversation_id},
        ).fetchall()
    return dict(found)


def drop_versions(versions: Collection[str], *, wait_seconds: float = WAIT_SECONDS) -> None:
    """Delete all rows of some dataset versions; the file is written anew, which gives their room back.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    if versions and paths.warehouse().exists():
        with connect(wait_seconds) as connection:
            with transaction(connection):
                for version in versions:
                    delete(connection, version)
            _write_anew(connection, paths.warehouse())


def _key(table: str) -> str:
    """What names a row's conversation."""
    return "source || '/' || record_id" if table == "quarantine" else "conversation_id"


def _delete_conversation(connection: duckdb.DuckDBPyConnection, table: str, conversation_id: str) -> int:
    key = _key(table)
    found = connection.execute(f"SELECT count(*) FROM {table} WHERE {key} = ?", [conversation_id]).fetchone()
    connection.execute(f"DELETE FROM {table} WHERE {key} = ?", [conversation_id])
    return int(found[0]) if found else 0


def _recount(connection: duckdb.DuckDBPyConnection) -> None:
    """Bring the counts of all versions in line with their rows."""
    for version in select_versions(connection):
        counts = {**version.counts, **count_rows(connection, version.version)}
        connection.execute("DELETE FROM dataset_versions WHERE version = ?", [version.version])
        updated = version.model_copy(update={"counts": counts})
        insert(connection, "dataset_versions", rows.version_table([updated]))


def _write_anew(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Copy what is there into a new file that takes the old one's place; the connection must not be used after.

    DuckDB refuses a file beside the log of another, so what the old file's log holds goes into the old file first: when
    the new one takes its place there is no log, neither after a kill nor, hence the directory is flushed, after a power
    cut.
    """
    connection.execute("CHECKPOINT")
    fresh = file.with_name(f".{file.name}.writing")
    for left_by_a_killed_call in (fresh, log_of(fresh)):
        left_by_a_killed_call.unlink(missing_ok=True)
    own = connection.execute("SELECT current_database()").fetchone()
    assert own is not None
    connection.execute(f"ATTACH {quote(str(fresh))} AS fresh")
    connection.execute(f'COPY FROM DATABASE "{own[0]}" TO fresh')
    connection.execute("DETACH fresh")
    sync_file(fresh)
    log_of(file).unlink(missing_ok=True)  # empty since the checkpoint, if it is there at all
    sync_directory(file.parent)
    fresh.replace(file)
    sync_directory(file.parent)
