"""A dataset version out of the warehouse as Parquet, sorted part by part, so that memory stays flat whatever its size.

DuckDB holds on to the long texts of an ordered ``COPY`` and spills too few of them: ten copies of SGD did not fit into
what it may hold. So the conversations are cut, in their order, into parts of some megabytes, and every table is read,
sorted and written one part after the other. The rows and their order are those of one sort of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from data.parquet import COMPRESSION
from data.versions import DatasetVersion
from data.warehouse.layout import TABLES
from data.warehouse.opening import WAIT_SECONDS, WarehouseError, connect, quote
from data.warehouse.statements import select_versions

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Bytes of records sorted at a time. Sorting takes a few times as much, all of it within what DuckDB may hold.
PART_BYTES = 100_000_000
#: Rows of one Parquet row group: what a writer and a reader hold at a time.
_ROW_GROUP = 8192
#: Tables written at a time: one is encoded while DuckDB sorts a part of another.
_THREADS = 2


def export(version: str, directory: Path, *, wait_seconds: float = WAIT_SECONDS) -> DatasetVersion:
    """Write each of ``TABLES`` of one version to ``directory/<table>.parquet``, typed even when empty.

    Raises:
        WarehouseError: The version was never stored.
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
    """
    with connect(wait_seconds) as connection:
        found = next((stored for stored in select_versions(connection) if stored.version == version), None)
        if found is None:
            raise WarehouseError(f"the warehouse has no dataset version {version!r}; run `apprentice ingest`")
        parts = list(_parts(connection, version))
        with closing(_Writing(connection, version, directory)) as writing, ThreadPoolExecutor(_THREADS) as threads:
            try:
                for _ in threads.map(writing.write, TABLES, [_conditions(table, parts) for table in TABLES]):
                    pass
            except BaseException:  # Ctrl-C too must not wait until all the rest is written
                threads.shutdown(wait=False, cancel_futures=True)
                writing.stop()
                raise
        return found


def _parts(connection: duckdb.DuckDBPyConnection, version: str) -> Iterator[str]:
    """Conditions on ``conversation_id`` that hold for one part each, in order; together they hold for every row."""
    for start, end in pairwise([None, *_bounds(connection, version), None]):
        after = "true" if start is None else f"conversation_id >= {quote(start)}"
        before = "true" if end is None else f"conversation_id < {quote(end)}"
        yield f"{after} AND {before}"


def _bounds(connection: duckdb.DuckDBPyConnection, version: str) -> Iterator[str]:
    """The first conversation of every part but the first."""
    sizes = connection.execute(
        "SELECT conversation_id, strlen(record) FROM conversations WHERE dataset_version = ? ORDER BY ALL", [version]
    )
    gathered = 0
    while some := sizes.fetchmany(_ROW_GROUP):
        for name, size in some:
            if gathered and gathered + size > PART_BYTES:
                yield name
                gathered = 0
            gathered += size


def _conditions(table: str, parts: Sequence[str]) -> Sequence[str]:
    return parts if TABLES[table][0] == "conversation_id" else ["true"]


class _Writing:
    """Tables of one version on their way into files; each is written by one thread, through a cursor of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, version: str, directory: Path) -> None:
        self._version = version
        self._directory = directory
        self._stopped = False
        self._cursors = {table: connection.cursor() for table in TABLES}

    def write(self, table: str, conditions: Sequence[str]) -> None:
        """The rows that meet each condition, in order."""
        import pyarrow.parquet as pq

        cursor, order = self._cursors[table], ", ".join(TABLES[table])
        schema, target = _schema(cursor, table), self._directory / f"{table}.parquet"
        with pq.ParquetWriter(target, schema, compression=COMPRESSION, store_schema=False) as writer:
            for condition in conditions:
                if self._stopped:
                    return
                rows = f"FROM {table} WHERE dataset_version = {quote(self._version)} AND {condition} ORDER BY {order}"
                for batch in cursor.sql(rows).to_arrow_reader(_ROW_GROUP):
                    writer.write_batch(batch.cast(schema))

    def stop(self) -> None:
        """Let whoever still writes give up."""
        self._stopped = True
        for cursor in self._cursors.values():
            cursor.interrupt()

    def close(self) -> None:
        """Let go of the file, which an open cursor would hold."""
        for cursor in self._cursors.values():
            cursor.close()


def _schema(connection: duckdb.DuckDBPyConnection, table: str) -> pa.Schema:
    """The table's columns as they are published: JSON says that it is JSON, what is never null says so."""
    import pyarrow as pa

    types = connection.sql(f"FROM {table} LIMIT 0").to_arrow_table().schema
    described = connection.execute(f"DESCRIBE {table}").fetchall()
    return pa.schema(
        [
            pa.field(name, pa.json_() if kind == "JSON" else types.field(name).type, nullable=null == "YES")
            for name, kind, null, *_ in described
        ]
    )
