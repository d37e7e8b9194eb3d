"""A domain's tables as JSON rows, under a layer of what one task has changed.

A table has thousands of rows and a task changes a handful, so tasks share the rows as they were read and keep copies
only of those they touch. The state of a task is therefore the rows that differ, however they came to differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

Row = dict[str, Any]
Tables = Mapping[str, Mapping[str, Row]]


class Database:
    """One task's view of the tables; rows that are read must not be changed, rows from ``edit`` may be."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        """As they were at the start."""
        self._changed: dict[str, dict[str, Row]] = {name: {} for name in tables}

    def get(self, table: str, key: str) -> Row | None:
        """The row of this key as it stands, or None."""
        return self._changed[table].get(key) or self.tables[table].get(key)

    def rows(self, table: str) -> Iterator[Row]:
        """All rows as they stand, first those there were from the start, in their order."""
        changed, original = self._changed[table], self.tables[table]
        yield from (changed.get(key, row) for key, row in original.items())
        yield from (row for key, row in changed.items() if key not in original)

    def edit(self, table: str, key: str) -> Row:
        """The row of this key, to be changed in place; later reads see the changes."""
        changed = self._changed[table]
        if key not in changed:
            changed[key] = deepcopy(self.tables[table][key])
        return changed[key]

    def add(self, table: str, key: str, row: Row) -> None:
        """A new row."""
        self._changed[table][key] = row

    def state_hash(self) -> str:
        """SHA-256 (hex) of the rows that differ from what they were: equal states have equal hashes, by any path."""
        changed = [
            [table, key, row]
            for table, rows in sorted(self._changed.items())
            for key, row in sorted(rows.items())
            if canonical(row) != canonical(self.tables[table].get(key))
        ]
        return digest(changed)


def digest(value: Any) -> str:
    """SHA-256 (hex) of ``canonical``."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys in which ``5.0`` is ``5`` and members that are null are left out."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
