"""A dataset version out of the warehouse as Parquet, sorted part by part, so that memory stays flat whatever its size.

DuckDB holds on to the long texts of an ordered ``COPY`` and spills too few of them: ten copies of SGD did not fit into
what it may hold. So the conversations are cut, in their order, into parts of some megabytes, and every table is read,
sorted and written one part after the other. The rows and their order are those of one sort of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from data.parquet import COMPRESSION
from data.versions import DatasetVersion
from data.warehouse.layout import TABLES, arrow_schemas
from data.warehouse.opening import WAIT_SECONDS, WarehouseError, connect, quote
from data.warehouse.statements import select_versions

if TYPE_CHECKING:
    import duckdb

#: Bytes of records sorted at a time. Sorting takes a few times as much, all of it within what DuckDB may hold.
PART_BYTES = 100_000_000
#: Rows of one Parquet row group: what a writer and a reader hold at a time.
_ROW_GROUP = 8192


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
        for table, order in TABLES.items():
            conditions = parts if order[0] == "conversation_id" else ["true"]
            _write(connection, table, version, conditions, directory / f"{table}.parquet")
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


def _write(
    connection: duckdb.DuckDBPyConnection, table: str, version: str, conditions: Sequence[str], target: Path
) -> None:
    """The rows of one table that meet each condition, in order. Without Arrow's schema: JSON reads back as text."""
    import pyarrow.parquet as pq

    order = ", ".join(TABLES[table])
    with pq.ParquetWriter(target, arrow_schemas()[table], compression=COMPRESSION, store_schema=False) as writer:
        for condition in conditions:
            selected = connection.sql(
                f"SELECT * FROM {table} WHERE dataset_version = {quote(version)} AND {condition} ORDER BY {order}"
            )
            for batch in selected.to_arrow_reader(_ROW_GROUP):
                writer.write_batch(batch)
