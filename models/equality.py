"""When two argument values, or two calls, mean the same: the one judgement that rewards and metrics share.

A value must have the JSON type the recorded one has, so ``"1"`` is not ``1`` unless the tool's JSON Schema takes both
types, and ``true`` is never ``1``. Within a type spelling is forgiven: case, Unicode form, white space, punctuation at
the edges of strings, ``2.0`` for ``2``. Leaving out an optional argument means its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data.schema import ToolCall, ToolSpec
from models.wording import asks, conveys, normalise

__all__ = [
    "argument_schemas",
    "asks",
    "conveys",
    "exact_matches",
    "normalise",
    "required_arguments",
    "same_call",
    "same_calls",
    "same_value",
    "stated_arguments",
]

_MISSING = object()


def same_value(expected: Any, predicted: Any, schema: dict[str, Any] | None) -> bool:
    """Whether ``predicted`` means what ``expected`` means; ``schema`` is the argument's JSON Schema if known.

    Strings are compared normalised, numbers by value, arrays in order, objects member by member.
    """
    schema = schema or {}
    if isinstance(expected, dict) and isinstance(predicted, dict):
        return _same_objects(expected, predicted, schema)
    if isinstance(expected, list) and isinstance(predicted, list):
        return _same_lists(expected, predicted, schema)
    if _json_type(expected) != _json_type(predicted):
        return _either_type(expected, predicted, schema)
    if isinstance(expected, str):
        return _same_text(expected, predicted)
    return bool(expected == predicted)


def same_call(expected: ToolCall, predicted: ToolCall, tool: ToolSpec | None) -> bool:
    """Whether two calls ask for the same: name, argument names and every value, optional defaults left aside."""
    if expected.name != predicted.name:
        return False
    left, right = stated_arguments(expected, tool), stated_arguments(predicted, tool)
    schemas = argument_schemas(tool)
    return left.keys() == right.keys() and all(same_value(left[key], right[key], schemas.get(key)) for key in left)


def same_calls(expected: Sequence[ToolCall], predicted: Sequence[ToolCall], tools: Sequence[ToolSpec]) -> bool:
    """Whether the calls are the same in any order, none missing and none more."""
    return len(expected) == len(predicted) == exact_matches(expected, predicted, tools)


def exact_matches(expected: Sequence[ToolCall], predicted: Sequence[ToolCall], tools: Sequence[ToolSpec]) -> int:
    """How many expected calls can be paired with a same predicted call of their own (a greatest matching).

    A first-come pairing would not do: an expected call with several accepted values can take the one predicted call
    that another needs.
    """
    specs = {tool.name: tool for tool in tools}
    same = [
        [column for column, call in enumerate(predicted) if same_call(wanted, call, specs.get(wanted.name))]
        for wanted in expected
    ]
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column in same[row]:
            if column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(expected)))


def stated_arguments(call: ToolCall, tool: ToolSpec | None) -> dict[str, Any]:
    """A call's arguments without the optional ones that only repeat the schema's default."""
    schemas, required = argument_schemas(tool), required_arguments(tool)
    return {
        name: value
        for name, value in call.arguments.items()
        if name in required or not _is_default(value, schemas.get(name))
    }


def argument_schemas(tool: ToolSpec | None) -> dict[str, Any]:
    """Argument name → its JSON Schema; empty without a tool."""
    properties = tool.parameters.get("properties") if tool else None
    return {name: sub for name, sub in (properties or {}).items() if isinstance(sub, dict)}


def required_arguments(tool: ToolSpec | None) -> frozenset[str]:
    """Names of the arguments the schema requires; empty without a tool."""
    return frozenset(tool.parameters.get("required") or ()) if tool else frozenset()


def _is_default(value: Any, schema: dict[str, Any] | None) -> bool:
    default = (schema or {}).get("default", _MISSING)
    return default is not _MISSING and same_value(default, value, schema)


def _same_objects(expected: dict[str, Any], predicted: dict[str, Any], schema: dict[str, Any]) -> bool:
    properties = schema.get("properties") or {}
    return expected.keys() == predicted.keys() and all(
        same_value(value, predicted[key], properties.get(key)) for key, value in expected.items()
    )


def _same_lists(expected: list[Any], predicted: list[Any], schema: dict[str, Any]) -> bool:
    items = schema.get("items")
    items = items if isinstance(items, dict) else None
    return len(expected) == len(predicted) and all(
        same_value(left, right, items) for left, right in zip(expected, predicted, strict=True)
    )


def _json_type(value: Any) -> str:
    """JSON's own types: ``number`` covers integers and floats, a boolean is no number."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _same_text(expected: str, predicted: str) -> bool:
    left, right = normalise(expected), normalise(predicted)
    return left == right if left or right else expected.strip() == predicted.strip()


def _either_type(expected: Any, predicted: Any, schema: dict[str, Any]) -> bool:
    """Whether the schema itself takes both JSON types (``["string", "number"]``) and both are spelled alike."""
    named = schema.get("type")
    types = {_json_type(expected), _json_type(predicted)}
    if types != {"string", "number"} or not isinstance(named, list):
        return False
    allowed = {"number" if name == "integer" else name for name in named}
    return types <= allowed and normalise(str(expected)) == normalise(str(predicted))
