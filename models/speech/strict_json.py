"""JSON as the standard has it, read from the middle of a text: what Python's decoder tolerates is refused here.

Refused: NaN and Infinity, numbers beyond a float, duplicate keys, lone surrogates and nesting so deep that storing or
comparing the value would overflow the stack. Members keep their text as written beside the parsed value.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\n\r]*")
MAX_DEPTH = 64


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is beyond the range of a float")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object names a key twice")
    return members


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object)


def read_value(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins exactly at ``start`` and the position after it.

    Raises:
        ValueError: No JSON value stands there, or one that is refused.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    _check_depth(value)
    json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError, a ValueError, on a lone surrogate
    return value, end


def read_members(text: str, start: int) -> tuple[dict[str, tuple[Any, str]], int]:
    """The members of the JSON object at ``start`` (white space before it is skipped), each with its text as written.

    Returns:
        ``{key: (value, raw text of the value)}`` and the position after the closing brace.

    Raises:
        ValueError: No JSON object stands there, or one that is refused.
    """
    members: dict[str, tuple[Any, str]] = {}
    position = _expect(text, skip_space(text, start), "{")
    while not text.startswith("}", position):
        if members:
            position = _expect(text, position, ",")
        key, position = read_value(text, position)
        if not isinstance(key, str) or key in members:
            raise ValueError("keys are strings, each named once")
        begin = _expect(text, skip_space(text, position), ":")
        value, end = read_value(text, begin)
        members[key] = value, text[begin:end]
        position = skip_space(text, end)
    return members, position + 1


def skip_space(text: str, position: int) -> int:
    """Where the white space that begins at ``position`` ends."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _expect(text: str, position: int, sign: str) -> int:
    """The position of what follows ``sign`` and white space."""
    if not text.startswith(sign, position):
        raise ValueError(f"expected {sign!r} at position {position}")
    return skip_space(text, position + 1)


def _check_depth(value: Any) -> None:
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        layer = [child for parent in layer for child in _children(parent)]


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
