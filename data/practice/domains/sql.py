"""What the tools of all practice domains are made of: queries as rows, references, and JSON Schemas of arguments.

References of new rows are computed from what the row is about rather than counted up, so that the same changes leave
the same rows in whatever order they were made.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from typing import Any

from data.practice.declarations import Row, Tool
from data.schema import ToolSpec

TEXT: Row = {"type": "string"}
DATE: Row = {"type": "string", "format": "date"}
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


def count(highest: int, lowest: int = 1) -> Row:
    """JSON Schema of a whole number within bounds."""
    return {"type": "integer", "minimum": lowest, "maximum": highest}


def one_of(*values: str) -> Row:
    """JSON Schema of one of these words."""
    return {"type": "string", "enum": [*values]}


def rows(connection: sqlite3.Connection, sql: str, arguments: Row) -> list[Row]:
    """All rows of a query."""
    return [dict(row) for row in connection.execute(sql, arguments)]


def row(connection: sqlite3.Connection, sql: str, arguments: Row) -> Row | None:
    """The first row of a query."""
    found = connection.execute(sql, arguments).fetchone()
    return dict(found) if found else None


def reference(*parts: object) -> str:
    """Two letters and four digits that follow from ``parts``: a number for the row they describe."""
    hashed = zlib.crc32("|".join(map(str, parts)).encode("utf-8", "surrogatepass"))
    first, second = hashed % len(_LETTERS), hashed // 29 % len(_LETTERS)
    return f"{_LETTERS[first]}{_LETTERS[second]}{1000 + hashed // 1021 % 9000}"


def tool(
    domain: str,
    run: Callable[[sqlite3.Connection, Row], list[Row] | Row],
    description: str,
    properties: dict[str, Any],
    *,
    optional: tuple[str, ...] = (),
    is_write: bool = False,
) -> Tool:
    """A tool that is called as its function is named; what is not ``optional`` is required."""
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    spec = ToolSpec(name=run.__name__, description=description, parameters=parameters, is_write=is_write)
    return Tool(spec=spec, domain=domain, run=run)
