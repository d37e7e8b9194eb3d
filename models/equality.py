"""When two argument values, or two calls, mean the same: the one judgement that rewards and metrics share.

A value must have the JSON type the recorded one has, so ``"1"`` is not ``1`` unless the tool's JSON Schema takes both
types, and ``true`` is never ``1``. Within a type spelling is forgiven as far as the schema lets it: case, Unicode form,
white space, punctuation at the edges of strings, ``2.0`` for ``2``; with ``format`` date, time or date-time any
spelling of the same moment; with ``uniqueItems`` any order. Leaving out an optional argument means its default, and
where a source knows several right values (``ToolCall.accepted``) any of them is right.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

from data.schema import ToolCall, ToolSpec
from models.facts import conveys
from models.wording import asks, normalise

__all__ = [
    "Verdict",
    "argument_schemas",
    "argument_verdicts",
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
_MOMENTS: dict[str, Callable[[str], Any]] = {
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "date-time": datetime.datetime.fromisoformat,
}


class Verdict(StrEnum):
    """What became of one argument."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"
    INVENTED = "invented"


def same_value(expected: Any, predicted: Any, schema: dict[str, Any] | None) -> bool:
    """Whether ``predicted`` means what ``expected`` means; ``schema`` is the argument's JSON Schema if known.

    Strings are compared normalised, numbers by value, arrays in order (unless ``uniqueItems``), objects member by
    member, optional defaults and nulls left aside as in calls; under ``anyOf`` or ``oneOf`` one of the alternatives
    that take both values has to find them the same.
    """
    schema = schema or {}
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(alternatives, list) and alternatives:
        return _same_under_any(expected, predicted, [one for one in alternatives if isinstance(one, dict)])
    if isinstance(expected, dict) and isinstance(predicted, dict):
        return _same_objects(expected, predicted, schema)
    if isinstance(expected, list) and isinstance(predicted, list):
        return _same_lists(expected, predicted, schema)
    if _json_type(expected) != _json_type(predicted):
        return _either_type(expected, predicted, schema)
    if isinstance(expected, str):
        return _same_text(expected, predicted, schema)
    return bool(expected == predicted)


def same_call(expected: ToolCall, predicted: ToolCall, tool: ToolSpec | None) -> bool:
    """Whether two calls ask for the same: name, argument names and every value, optional defaults left aside."""
    if expected.name != predicted.name:
        return False
    return all(verdict is Verdict.RIGHT for verdict in argument_verdicts(expected, predicted, tool).values())


def argument_verdicts(expected: ToolCall, predicted: ToolCall, tool: ToolSpec | None) -> dict[str, Verdict]:
    """Argument name → what became of it, for two calls of one tool; arguments neither side states are not named.

    An argument with accepted values is right with any of them, and may be left out if ``None`` or the schema's default
    is among them.
    """
    schemas = argument_schemas(tool)
    stated, made = stated_arguments(expected, tool), stated_arguments(predicted, tool)
    verdicts: dict[str, Verdict] = {}
    wanted = (name for name, values in expected.accepted.items() if None not in values)
    for name in dict.fromkeys([*stated, *made, *wanted]):
        right = accepted_values(expected, name, stated)
        if name in made:
            same = any(same_value(value, made[name], schemas.get(name)) for value in right)
            verdicts[name] = Verdict.RIGHT if same else Verdict.WRONG if right else Verdict.INVENTED
        elif right:
            spared = None in right or any(is_default(value, schemas.get(name)) for value in right)
            verdicts[name] = Verdict.RIGHT if spared else Verdict.MISSING
    return verdicts


def accepted_values(expected: ToolCall, name: str, stated: Mapping[str, Any]) -> tuple[Any, ...]:
    """What an expected call takes for an argument: its accepted values, or the one ``stated``; empty if neither."""
    return expected.accepted.get(name) or ((stated[name],) if name in stated else ())


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
    """A call's arguments without the optional ones that only repeat the schema's default, or say null where it may."""
    return _without_defaults(call.arguments, argument_schemas(tool), required_arguments(tool))


def _without_defaults(values: dict[str, Any], schemas: dict[str, Any], required: Collection[str]) -> dict[str, Any]:
    return {
        name: value
        for name, value in values.items()
        if name in required or not (is_default(value, schemas.get(name)) or _is_left_open(value, schemas.get(name)))
    }


def argument_schemas(tool: ToolSpec | None) -> dict[str, Any]:
    """Argument name → its JSON Schema; empty without a tool."""
    return _properties(tool.parameters) if tool else {}


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    named = schema.get("properties")
    return {name: sub for name, sub in named.items() if isinstance(sub, dict)} if isinstance(named, dict) else {}


def required_arguments(tool: ToolSpec | None) -> frozenset[str]:
    """Names of the arguments the schema requires; empty without a tool."""
    return frozenset(tool.parameters.get("required") or ()) if tool else frozenset()


def is_default(value: Any, schema: dict[str, Any] | None) -> bool:
    """Whether a value is the one that the argument's schema gives where nothing is said."""
    default = (schema or {}).get("default", _MISSING)
    return default is not _MISSING and same_value(default, value, schema)


def _is_left_open(value: Any, schema: dict[str, Any] | None) -> bool:
    """Whether ``value`` is null where the schema takes null and has no default: the same as not saying it."""
    return value is None and schema is not None and "default" not in schema and _takes_null(schema)


def _takes_null(schema: dict[str, Any]) -> bool:
    named = schema.get("type")
    alternatives = schema.get("anyOf") or schema.get("oneOf") or ()
    return "null" in (named if isinstance(named, list) else [named]) or any(
        isinstance(one, dict) and _takes_null(one) for one in alternatives
    )


def _same_under_any(expected: Any, predicted: Any, alternatives: Sequence[dict[str, Any]]) -> bool:
    """Whether an alternative that takes both values, by its type, finds them the same.

    ``anyOf`` of an enum and null would else let the null forgive the case that the enum tells apart.
    """
    both = {_json_type(expected), _json_type(predicted)}
    taking = [one for one in alternatives if (types := _types(one)) is None or both <= types]
    return any(same_value(expected, predicted, one) for one in taking)


def _types(schema: dict[str, Any]) -> set[str] | None:
    """The JSON types a schema takes, as ``_json_type`` names them; None if it does not say."""
    named = schema.get("type")
    if named is None:
        return {_json_type(one) for one in schema["enum"]} if isinstance(schema.get("enum"), list) else None
    names = named if isinstance(named, list) else [named]
    return {"number" if one == "integer" else str(one) for one in names}


def _same_objects(expected: dict[str, Any], predicted: dict[str, Any], schema: dict[str, Any]) -> bool:
    properties, required = _properties(schema), schema.get("required") or ()
    left, right = (_without_defaults(one, properties, required) for one in (expected, predicted))
    return left.keys() == right.keys() and all(
        same_value(value, right[key], properties.get(key)) for key, value in left.items()
    )


def _same_lists(expected: list[Any], predicted: list[Any], schema: dict[str, Any]) -> bool:
    items = schema.get("items")
    items = items if isinstance(items, dict) else None
    if len(expected) != len(predicted):
        return False
    if schema.get("uniqueItems") is True:
        return _same_in_any_order(expected, predicted, items)
    return all(same_value(left, right, items) for left, right in zip(expected, predicted, strict=True))


def _same_in_any_order(expected: list[Any], predicted: list[Any], items: dict[str, Any] | None) -> bool:
    left = list(predicted)
    for value in expected:
        found = next((index for index, other in enumerate(left) if same_value(value, other, items)), None)
        if found is None:
            return False
        left.pop(found)
    return True


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


def _same_text(expected: str, predicted: str, schema: dict[str, Any]) -> bool:
    listed = schema.get("enum") or ()
    if expected in listed and predicted in listed:
        return expected == predicted
    moments = [_moment(text, schema) for text in (expected, predicted)]
    if None not in moments:
        return bool(moments[0] == moments[1])
    left, right = normalise(expected), normalise(predicted)
    return left == right if left or right else expected.strip() == predicted.strip()


def _moment(text: str, schema: dict[str, Any]) -> Any:
    """The date or time that a text writes in the form its schema asks for; None if it asks for none, or another."""
    read = _MOMENTS.get(str(schema.get("format")))
    try:
        return read(text.strip().upper()) if read else None
    except ValueError:
        return None


def _either_type(expected: Any, predicted: Any, schema: dict[str, Any]) -> bool:
    """Whether the schema itself takes both JSON types (``["string", "number"]``) and both are spelled alike."""
    named = schema.get("type")
    types = {_json_type(expected), _json_type(predicted)}
    if types != {"string", "number"} or not isinstance(named, list):
        return False
    allowed = {"number" if name == "integer" else name for name in named}
    return types <= allowed and normalise(str(expected)) == normalise(str(predicted))
