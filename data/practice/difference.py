"""What a change did to a database: the rows that came, went or became others, for people to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.practice.world import World

Rows = Mapping[str, Sequence[tuple[tuple[str, Any], ...]]]
"""Rows by table, each as pairs of column and value."""


@dataclass(frozen=True)
class RowChange:
    """One row before and after; None where there was or is none."""

    table: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def changed(self) -> dict[str, tuple[Any, Any]]:
        """Columns whose value differs: before and after."""
        before, after = self.before or {}, self.after or {}
        columns = dict.fromkeys([*before, *after])
        return {name: (before.get(name), after.get(name)) for name in columns if before.get(name) != after.get(name)}


def rows_of(world: World) -> Rows:
    """All rows as they are now, the store of unused codes left out."""
    return {table: [tuple(row.items()) for row in world.rows(f'SELECT * FROM "{table}"')] for table in world.tables()}


def difference(before: Rows, after: Rows) -> list[RowChange]:
    """What has changed between two states, by table.

    A row that went and one that came with the same first column (a table's key) are one row that changed.
    """
    return [change for table in dict.fromkeys([*before, *after]) for change in _changes(table, before, after)]


def _changes(table: str, before: Rows, after: Rows) -> list[RowChange]:
    was, now = Counter(before.get(table, ())), Counter(after.get(table, ()))
    came = [dict(row) for row in (now - was).elements()]
    found = []
    for row in map(dict, (was - now).elements()):
        key = next(iter(row.values()))
        successor = next((one for one in came if next(iter(one.values())) == key), None)
        if successor is not None:
            came.remove(successor)
        found.append(RowChange(table, row, successor))
    return found + [RowChange(table, None, row) for row in came]
