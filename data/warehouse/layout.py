"""What the warehouse holds: its tables, their order when published, and what is counted of each version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_SQL = Path(__file__).parent.parent / "sql" / "schema.sql"
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


def arrow_schemas() -> dict[str, pa.Schema]:
    """Columns and types of ``TABLES`` as Arrow schemas: data/sql/schema.sql is their one home."""
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute(SCHEMA_SQL.read_text(encoding="utf-8"))
        return {table: connection.sql(f"SELECT * FROM {table}").to_arrow_table().schema for table in TABLES}
