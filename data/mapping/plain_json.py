"""Strict JSON from strangers: no NaN, and nested no deeper than a conversation can reasonably be."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

MAX_DEPTH = 64
#: What orjson reads as a whole number; a longer one becomes a float, of which the last digits are gone.
_LARGEST, _LEAST = 2**64 - 1, -(2**63)
_LONG, _LONG_BYTES = re.compile(r"\d{19}"), re.compile(rb"\d{19}")


class NotJson(ValueError):
    """A text is not JSON, nested beyond ``MAX_DEPTH``, or has a whole number beyond 64 bits."""


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        NotJson: It has none we accept; says why.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotJson(str(error)) from error
    brackets = (text.count("[") + text.count("{")) if isinstance(text, str) else (text.count(b"[") + text.count(b"{"))
    if brackets > MAX_DEPTH and _too_deep(value):
        raise NotJson(f"nested more than {MAX_DEPTH} levels deep")
    if _LONG_BYTES.search(text) if isinstance(text, bytes) else _LONG.search(text):
        json.loads(text, parse_int=_whole)
    return value


def _whole(digits: str) -> int:
    if len(digits) > len(str(_LARGEST)) + 1 or not _LEAST <= int(digits) <= _LARGEST:
        raise NotJson(f"the whole number {digits[:24]} is beyond 64 bits; write it as text")
    return int(digits)


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def of_columns(row: dict[str, Any]) -> Any:
    """A Parquet row as the JSON it stands for: times and bytes become text, fields without a value are absent.

    Columns make every struct carry every field any row has, so a null there says no more than that it is not stated.

    Raises:
        NotJson: It has no JSON form.
    """
    try:
        return without_nulls(parse(orjson.dumps(row, default=str)))
    except TypeError as error:
        raise NotJson(str(error)) from error


def without_nulls(value: Any) -> Any:
    """The value without object members that are null, at all depths."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
