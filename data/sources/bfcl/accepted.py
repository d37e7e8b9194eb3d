"""Lists of accepted values, as BFCL writes them, as one expected call that knows all of them.

Upstream's notation: every argument has a list of values that are right; ``""`` among them means that it may be left
out; in an object every member has such a list again, in a list of objects every object. Nested alternatives are
multiplied out, so that each accepted value is a plain JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice, product
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from data.schema import ToolCall, ToolSpec
from data.sources.base import Unusable

#: Values of one argument at most; more are alternatives nobody meant to list.
MOST_VALUES = 256
_LEFT_OUT = object()


def expected_call(call_id: str, tool: ToolSpec, written: Mapping[str, Any]) -> ToolCall:
    """The call with the first accepted value of each argument that its schema takes, and all values in ``accepted``.

    Raises:
        Unusable: An argument has no list of values, or none that is a value.
    """
    properties = tool.parameters.get("properties", {})
    arguments: dict[str, Any] = {}
    accepted: dict[str, tuple[Any, ...]] = {}
    for name, values in written.items():
        if not isinstance(values, list) or not values:
            raise Unusable("malformed_answer", f"{tool.name}: {name} has no list of accepted values")
        schema = properties.get(name, {})
        optional = any(isinstance(value, str) and value == "" for value in values)
        plain = [_typed(value, schema) for value in _values(value for value in values if value != "")]
        accepted[name] = (*plain, None) if optional and None not in plain else tuple(plain)
        stated = [value for value in plain if value is not None]
        fitting = [value for value in stated if _fits(value, schema)]
        if fitting or (stated and not optional):
            arguments[name] = (fitting or stated)[0]
    return ToolCall(
        id=call_id,
        name=tool.name,
        arguments=arguments,
        arguments_raw=json.dumps(arguments, ensure_ascii=False),
        accepted=accepted,
    )


def _fits(value: Any, schema: Any) -> bool:
    """Whether the tool takes the value: upstream lists some that its own schema refuses, beside ones it takes."""
    try:
        return bool(Draft202012Validator(schema).is_valid(value))
    except (SchemaError, ValueError, TypeError, AttributeError):
        return False  # a broken schema; the quality gate says so


def _values(written: Iterator[Any]) -> list[Any]:
    return list(islice((value for entry in written for value in _expanded(entry)), MOST_VALUES))


def _expanded(value: Any) -> Iterator[Any]:
    """Every plain value that an accepted value stands for."""
    if isinstance(value, dict):
        members = [_member(inner) for inner in value.values()]
        for chosen in product(*members):
            yield {name: one for name, one in zip(value, chosen, strict=True) if one is not _LEFT_OUT}
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        yield from (list(chosen) for chosen in product(*(list(islice(_expanded(inner), 16)) for inner in value)))
    else:
        yield value


def _member(values: Any) -> list[Any]:
    """Alternatives of one member of an object; one that is not listed stands for itself."""
    if not isinstance(values, list):
        return list(_expanded(values))
    found = [one for value in values for one in ([_LEFT_OUT] if value == "" else _expanded(value))]
    return found[:MOST_VALUES] or [[]]


def _typed(value: Any, schema: Any) -> Any:
    """Whole numbers written as floats where the tool takes integers, as JSON has no difference."""
    if isinstance(value, float) and value.is_integer() and isinstance(schema, dict) and schema.get("type") == "integer":
        return int(value)
    return value
