"""Whether a call may run at all: the tool is on offer and its arguments satisfy the schema, formats included.

What does not is answered with an error a desk's system would give, never with an exception: models call with anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

from data.json_text import parameters_json
from data.practice.declarations import Row
from data.schema import ToolSpec

#: SQLite stores 64 bits, JSON readers agree on 53; no desk counts that far.
_LARGEST = 2**53
_LONGEST = 500
_MOST = 50


def sound_arguments(arguments: Mapping[str, Any], spec: ToolSpec) -> Row | str:
    """The arguments as a tool may take them, or what is wrong with them, in a sentence.

    A whole number written ``2.0`` is the integer 2, as JSON Schema has it.
    """
    for name, value in arguments.items():
        if not _encodable(name):
            return "invalid arguments: the name of one is not valid text"
        if problem := _unstorable(value):
            return f"invalid arguments: {name} {problem}"
    validator = _validator(parameters_json(spec))
    if validator.is_valid(arguments):
        return {name: int(value) if _whole(value) else value for name, value in arguments.items()}
    error = next(validator.iter_errors(arguments))
    where = ".".join(str(part) for part in error.instance_path)
    return f"invalid arguments: {where}{': ' if where else ''}{error.message}"[:300]


def _unstorable(value: Any) -> str | None:
    if isinstance(value, str):
        if len(value) > _LONGEST:
            return f"is longer than {_LONGEST} characters"
        return None if _encodable(value) else "is not valid text"
    if isinstance(value, dict):
        return "must not be an object"
    if isinstance(value, (list, tuple)):
        return _unstorable_list(value)
    if isinstance(value, (int, float)) and not -_LARGEST < value < _LARGEST:
        return "is out of range"
    return None


def _unstorable_list(values: list[Any] | tuple[Any, ...]) -> str | None:
    if len(values) > _MOST or any(isinstance(value, (list, tuple, dict)) for value in values):
        return f"must be a list of at most {_MOST} single values"
    return next((problem for problem in map(_unstorable, values) if problem), None)


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


@lru_cache(maxsize=1024)
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """The schema compiled and closed, with formats such as dates checked."""
    parsed = orjson.loads(schema)
    return jsonschema_rs.Draft202012Validator(
        {"additionalProperties": False, **parsed}, validate_formats=True, offline=True
    )
