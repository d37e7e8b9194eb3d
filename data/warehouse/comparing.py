"""How one published version differs from another, counted from their Parquet; the warehouse is not opened."""

from __future__ import annotations

from typing import NamedTuple

from data.warehouse.opening import MEMORY, quote


class Changes(NamedTuple):
    """Conversations of one dataset version against another, by id and stored record."""

    new: int
    changed: int
    removed: int
    unchanged: int


def changes(before: str, after: str) -> Changes:
    """How many conversations one published version has that another has not, or has otherwise.

    Raises:
        data.snapshot.SnapshotDamaged: A file is missing or not what was published.
    """
    import duckdb

    from data.snapshot import checked_file

    old, new = (quote(str(checked_file(version, "conversations.parquet"))) for version in (before, after))
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"SET memory_limit = {quote(MEMORY)}")
        found = connection.execute(
            "SELECT count(*) FILTER (o.id IS NULL), count(*) FILTER (o.record <> n.record), "
            "count(*) FILTER (n.id IS NULL), count(*) FILTER (o.record = n.record) "
            f"FROM (SELECT conversation_id AS id, hash(record) AS record FROM read_parquet({old})) o FULL JOIN "
            f"(SELECT conversation_id AS id, hash(record) AS record FROM read_parquet({new})) n USING (id)"
        ).fetchone()
    assert found is not None
    return Changes(*found)
