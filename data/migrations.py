"""Warehouse layouts between code versions: explicit, numbered, one SQL file each, applied in order.

``data/sql/schema.sql`` is the newest layout; ``data/sql/migrations/NNNN_what.sql`` leads from layout NNNN - 1 to NNNN.
A change of the schema is one more file here and the same change there; a test compares the two roads. All steps of one
warehouse run inside the transaction that opens it, so an old warehouse is either brought up to date or left as it was.
Published snapshots are never rewritten: readers take a column they lack as null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

MIGRATIONS_SQL = Path(__file__).with_name("sql") / "migrations"
#: The layout of the first warehouses; nothing leads there.
FIRST = 1
_NAME = re.compile(r"(?P<layout>\d{4})_\w+\.sql")


class Connection(Protocol):
    """What a migration needs of DuckDB's connection; only the stores import the library itself."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any:
        """Run one or several statements."""


class NewerLayout(RuntimeError):
    """The warehouse was written by newer code; the message says what to do."""


@lru_cache
def steps(directory: Path = MIGRATIONS_SQL) -> Mapping[int, Path]:
    """Layout → the file that leads to it from the one before, in order.

    Raises:
        ValueError: A file is not named ``NNNN_what.sql``, or the numbers have a gap or a double.
    """
    found: list[tuple[int, Path]] = []
    for path in sorted(directory.glob("*")):
        name = _NAME.fullmatch(path.name)
        if name is None:
            raise ValueError(f"{path} is no migration; name it NNNN_what.sql")
        found.append((int(name["layout"]), path))
    if [layout for layout, _ in found] != list(range(FIRST + 1, FIRST + 1 + len(found))):
        numbers = ", ".join(f"{layout:04d}" for layout, _ in found)
        raise ValueError(f"migrations in {directory} must be numbered from {FIRST + 1:04d} without gaps, not {numbers}")
    return dict(found)


def newest() -> int:
    """The layout this code writes."""
    return max(steps(), default=FIRST)


def migrate(connection: Connection, layout: int, where: Path) -> list[int]:
    """Lead an open warehouse from ``layout`` to the newest one, inside the caller's transaction.

    Returns:
        The layouts it went through; empty where it was up to date.

    Raises:
        NewerLayout: ``layout`` is from the future of this code; nothing is changed.
    """
    if layout > newest():
        raise NewerLayout(
            f"{where} has layout {layout}, this code knows up to {newest()}; update the code, or set "
            "APPRENTICE_VAR to another directory"
        )
    taken = [number for number in steps() if number > layout]
    for number in taken:
        connection.execute(steps()[number].read_text(encoding="utf-8"))
        connection.execute("UPDATE schema_version SET version = ?", [number])
    return taken
