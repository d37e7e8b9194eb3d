"""JSON as we store it, and what cannot be stored so: NaN, foreign types, nesting without end."""

from __future__ import annotations

import json
from typing import Any

from data.schema import ToolSpec

#: Objects and lists inside each other; real schemas and arguments stay below ten.
MAX_DEPTH = 64
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
#: Tool by identity, held so that its identity stays its own, with the JSON of its parameters.
_PARAMETERS: dict[int, tuple[ToolSpec, str]] = {}
_KEPT_TOOLS = 4096


def to_json(value: Any) -> str:
    """``value`` as JSON text.

    Raises:
        ValueError: A number is not finite.
        TypeError: Something in it has no JSON form.
        RecursionError: It is nested without end.
    """
    return "{}" if value == {} else _ENCODER.encode(value)  # most metadata and accepted values are empty


def parameters_json(tool: ToolSpec) -> str:
    """JSON of a tool's parameters; raises as ``to_json``.

    Sources hand out the same few tools again and again, so the last ones are remembered.
    """
    known = _PARAMETERS.get(id(tool))
    if known is not None and known[0] is tool:
        return known[1]
    text = to_json(tool.parameters)
    if len(_PARAMETERS) >= _KEPT_TOOLS:
        _PARAMETERS.clear()
    _PARAMETERS[id(tool)] = (tool, text)
    return text


def is_deep(value: Any, text: str) -> bool:
    """Whether ``value``, of which ``text`` is the JSON, is nested deeper than ``MAX_DEPTH``."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def _inside(value: Any) -> list[Any]:
    """Objects and lists directly in ``value``, itself excluded."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [inner for inner in values if isinstance(inner, dict | list | tuple)]
