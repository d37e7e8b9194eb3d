"""The statements that both storing and removing need, each on an open connection."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from data.versions import DatasetVersion
from data.warehouse.layout import COUNTS, TABLES
from data.warehouse.opening import quote

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def select_versions(connection: duckdb.DuckDBPyConnection) -> list[DatasetVersion]:
    """All stored dataset versions, oldest first."""
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


def insert(connection: duckdb.DuckDBPyConnection, table: str, arrow: pa.Table, version: str | None = None) -> None:
    """Insert rows, as those of ``version`` if one is given."""
    if not arrow.num_rows:  # an empty table has no columns to name
        return
    named = f"REPLACE ({quote(version)} AS dataset_version)" if version is not None else ""
    connection.register("arrow_rows", arrow)
    connection.execute(f"INSERT INTO {table} BY NAME SELECT * {named} FROM arrow_rows")
    connection.unregister("arrow_rows")


def insert_files(
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


def count_rows(connection: duckdb.DuckDBPyConnection, version: str) -> dict[str, dict[str, int]]:
    """Rows of a version by split or reason."""
    counted = {}
    for what, (table, column) in COUNTS.items():
        found = connection.execute(
            f"SELECT {column}, count(*) FROM {table} WHERE dataset_version = ? GROUP BY ALL ORDER BY ALL", [version]
        ).fetchall()
        if found or what != "flagged":
            counted[what] = dict(found)
    return counted


def delete(connection: duckdb.DuckDBPyConnection, version: str) -> None:
    """Delete all rows of one dataset version."""
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE dataset_version = ?", [version])
    connection.execute("DELETE FROM dataset_versions WHERE version = ?", [version])
