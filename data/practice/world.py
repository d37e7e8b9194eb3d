"""The world of one practice conversation: an in-memory SQLite database in which tools really execute.

States are compared by rows, whatever path led there: codes that changes hand out (``fresh_codes``) are replaced by the
content of the row they name, so that two changes made in the other order leave an equal state.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from datetime import date
from random import Random
from typing import Any

from data.practice.calls import sound_arguments
from data.practice.declarations import Domain, Row


class CodesUsedUp(Exception):
    """No code is left for another change; the change is refused as a busy system would refuse it."""


def fresh_code(connection: sqlite3.Connection) -> str:
    """The next code that a change hands out; it is used up. The row it names has it in its first column.

    Raises:
        CodesUsedUp: More changes were made than the domain's ``build`` prepared codes for.
    """
    row = connection.execute("SELECT code FROM fresh_codes ORDER BY rowid LIMIT 1").fetchone()
    if row is None:
        raise CodesUsedUp
    connection.execute("DELETE FROM fresh_codes WHERE code = ?", (row["code"],))
    return str(row["code"])


class World:
    """A seeded database of one domain. Two worlds built from equal seeds hold equal rows."""

    def __init__(self, domain: Domain, rng: Random, today: date) -> None:
        """Build the database; ``today`` anchors existing bookings in time."""
        self.domain = domain
        self.connection = _connect()
        self.place = domain.build(self.connection, rng, today)
        self._fresh = self._codes()

    @classmethod
    def from_image(cls, domain: Domain, image: bytes, place: str) -> World:
        """A world of its own with the rows that ``image`` of another one holds."""
        world = cls.__new__(cls)
        world.domain, world.place = domain, place
        world.connection = _connect()
        world.connection.deserialize(image)
        world._fresh = world._codes()
        return world

    def image(self) -> bytes:
        """The database as bytes, for ``from_image``."""
        return self.connection.serialize()

    def execute(self, tool: str, arguments: Row, max_rows: int) -> Row:
        """Run a tool: ``{"results": [...], "total": n}`` for a look-up, else its status or error.

        Arguments that do not satisfy the tool's schema give an error, and a change happens whole or not at all.

        Args:
            tool: Name of a tool of the domain.
            arguments: Whatever the caller wrote.
            max_rows: Rows of a look-up to return; ``total`` counts them all.

        Raises:
            KeyError: The domain has no such tool.
        """
        declared = self.domain.tools[tool]
        sound = sound_arguments(arguments, declared.spec)
        if isinstance(sound, str):
            return {"error": sound}
        if not declared.spec.is_write:
            return _shortened(declared.run(self.connection, sound), max_rows)
        self.connection.execute("BEGIN")
        try:
            outcome = declared.run(self.connection, sound)
        except CodesUsedUp:
            outcome = {"error": "too many changes in one conversation; nothing was changed"}
        self.connection.execute("ROLLBACK" if "error" in outcome else "COMMIT")
        return _shortened(outcome, max_rows)

    def rows(self, sql: str, **parameters: Any) -> list[Row]:
        """Rows of a query as dictionaries, for tests and goal checks."""
        return [dict(row) for row in self.connection.execute(sql, parameters)]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows by table, the store of unused codes left out."""
        names = [row[0] for row in self.connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name: [tuple(row) for row in self.connection.execute(f'SELECT * FROM "{name}"')]
            for name in sorted(names)
            if name != "fresh_codes"
        }

    def digest(self) -> str:
        """Hash of all rows, equal for equal states whatever path led there."""
        tables = self.tables()
        labels = {
            row[0]: f"{name}:{_text([_masked(value, self._fresh) for value in row])}"
            for name, rows in tables.items()
            for row in rows
            if row[0] in self._fresh
        }
        canonical = {
            name: sorted(_text([labels.get(value, value) for value in row]) for row in rows)
            for name, rows in tables.items()
        }
        return hashlib.sha256(_text(canonical).encode()).hexdigest()

    def close(self) -> None:
        """Give the database's memory back."""
        self.connection.close()

    def _codes(self) -> frozenset[str]:
        try:
            return frozenset(row["code"] for row in self.connection.execute("SELECT code FROM fresh_codes"))
        except sqlite3.OperationalError:  # a domain whose changes hand out no codes
            return frozenset()


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _shortened(outcome: list[Row] | Row, max_rows: int) -> Row:
    if isinstance(outcome, list):
        return {"results": outcome[:max_rows], "total": len(outcome)}
    return outcome


def _masked(value: Any, fresh: frozenset[str]) -> Any:
    return "*" if value in fresh else value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True)
