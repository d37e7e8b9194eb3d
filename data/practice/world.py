"""The world of one practice conversation: an in-memory SQLite database in which tools really execute."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import date
from random import Random
from typing import Any

from data.practice.declarations import Domain, Row


class World:
    """A seeded database of one domain. Two worlds built from equal seeds hold equal rows."""

    def __init__(self, domain: Domain, rng: Random, today: date) -> None:
        """Build the database; ``today`` anchors existing bookings in time."""
        self.domain = domain
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.row_factory = sqlite3.Row
        self.place = domain.build(self.connection, rng, today)

    def execute(self, tool: str, arguments: Row, max_rows: int) -> Row:
        """Run a tool: ``{"results": [...], "total": n}`` for a look-up, else its status or error.

        Args:
            tool: Name of a tool of the domain.
            arguments: Arguments that satisfy the tool's JSON Schema.
            max_rows: Rows of a look-up to return; ``total`` counts them all.

        Raises:
            KeyError: The domain has no such tool.
        """
        outcome = self.domain.tools[tool].run(self.connection, arguments)
        if isinstance(outcome, list):
            return {"results": outcome[:max_rows], "total": len(outcome)}
        return outcome

    def rows(self, sql: str, **parameters: Any) -> list[Row]:
        """Rows of a query as dictionaries, for tests and goal checks."""
        return [dict(row) for row in self.connection.execute(sql, parameters)]

    def digest(self) -> str:
        """Hash of all rows, equal for equal states."""
        return hashlib.sha256("\n".join(self.connection.iterdump()).encode()).hexdigest()

    def close(self) -> None:
        """Give the database's memory back."""
        self.connection.close()
