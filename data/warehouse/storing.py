"""Whole dataset versions into the warehouse, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data import rows
from data.content import content_hash, words_of
from data.schema import Conversation, DecisionPoint, Quarantined
from data.versions import DatasetVersion
from data.warehouse.layout import TABLES, arrow_schemas
from data.warehouse.opening import WAIT_SECONDS, connect, transaction
from data.warehouse.statements import count_rows, delete, insert, insert_files, select_versions

if TYPE_CHECKING:
    import duckdb


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
            insert(connection, name, table, version.version)

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
                insert_files(connection, table, version.version, list(files), out if table != "quarantine" else [])
        _refuse_repeated(connection, version.version)

    return _replace(version, fill, wait_seconds)


def stored_versions(*, wait_seconds: float = WAIT_SECONDS) -> list[DatasetVersion]:
    """All stored dataset versions, oldest first."""
    with connect(wait_seconds) as connection:
        return select_versions(connection)


def _replace(
    version: DatasetVersion, fill: Callable[[duckdb.DuckDBPyConnection], None], wait_seconds: float
) -> DatasetVersion:
    with connect(wait_seconds) as connection, transaction(connection):
        created = _first_created(connection, version)
        delete(connection, version.version)
        fill(connection)
        counts = {**version.counts, **count_rows(connection, version.version)}
        stored = version.model_copy(update={"counts": counts, "created_at": created})
        insert(connection, "dataset_versions", rows.version_table([stored]))
    return stored


def _refuse_repeated(connection: duckdb.DuckDBPyConnection, version: str) -> None:
    twice = connection.execute(
        "SELECT conversation_id FROM conversations WHERE dataset_version = ? GROUP BY ALL HAVING count(*) > 1 LIMIT 1",
        [version],
    ).fetchone()
    if twice:
        raise rows.Unstorable(f"conversation id {twice[0]!r} occurs more than once")


def _first_created(connection: duckdb.DuckDBPyConnection, version: DatasetVersion) -> str:
    stored = (old.created_at for old in select_versions(connection) if old.version == version.version)
    return next(stored, version.created_at)
