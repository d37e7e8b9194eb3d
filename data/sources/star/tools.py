"""STAR's API files as tools, and the wizards' constraints as arguments.

A constraint is a value or an operator over values (``api.is_at_least(4)``), written as a Python literal that is read,
never executed. ``is_equal_to`` says no more than the value itself; other operators become an object with one member,
``{"is_at_least": 4}``, which the tool's schema knows. Text arguments stay text even where a wizard typed a number.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data.mapping.plain_json import NotJson, parse
from data.schema import ToolSpec
from data.sources.base import SourceError, Unusable

_OPERATOR = re.compile(r"\s*api\.(\w+)\((.*)\)\s*", re.DOTALL)
_NUMERIC = ("is_at_least", "is_at_most", "is_less_than", "is_greater_than", "is_not")
_LISTED = ("is_one_of", "is_not_one_of")
_WRITING = frozenset({"bank_fraud_report", "hotel_service_request", "meeting_schedule", "party_rsvp", "ride_change"})


def read_tools(folder: Path) -> dict[str, ToolSpec]:
    """Tools by API name.

    Raises:
        SourceError: A file is no API description.
    """
    found: dict[str, ToolSpec] = {}
    for file in sorted(folder.glob("*.json")):
        try:
            found[file.stem] = _tool(file.stem, parse(file.read_bytes()))
        except (OSError, NotJson, KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"{file} is no API description of STAR ({error!r}); restore it") from error
    if not found:
        raise SourceError(f"{folder} holds no API descriptions; give --path, the folder of a whole STAR copy")
    return found


def domain_of(api: str) -> str:
    """``hotel`` of ``hotel_book``."""
    return api.split("_")[0]


def _tool(name: str, api: dict[str, Any]) -> ToolSpec:
    inputs: list[dict[str, Any]] = api["input"]
    books = any(argument["Type"] == "RequestType" for argument in inputs)
    hint = " RequestType Check looks whether it can be done, Book does it." if books else ""
    return ToolSpec(
        name=name,
        description=f"{name.replace('_', ' ').capitalize()}.{hint}",
        parameters={
            "type": "object",
            "properties": {argument["Name"]: _property(argument) for argument in inputs},
            "required": [name for name in api["required"] if name in {argument["Name"] for argument in inputs}],
        },
        is_write=books or name in _WRITING,
    )


def _property(argument: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": argument["ReadableName"]}
    plain: dict[str, Any]
    operators: dict[str, Any]
    match argument["Type"]:
        case "Integer":
            plain, operators = {"type": "integer"}, {name: {"type": "integer"} for name in _NUMERIC}
        case "Categorical" | "CategoricalMultiple":
            plain = {"type": "string", "enum": list(argument["Categories"])}
            operators = {name: {"type": "array", "items": {"type": "string"}} for name in _LISTED}
            operators["is_not"] = {"type": "string"}
            if argument["Type"] == "CategoricalMultiple":
                operators |= {name: {"type": "string"} for name in ("contains", "contains_not")}
        case "RequestType":
            return {**described, "type": "string", "enum": list(argument["Categories"])}
        case "Boolean":
            return {**described, "type": "boolean"}
        case _:
            return {**described, "type": "string"}
    return {**described, "anyOf": [plain, _operators(operators)]}


def _operators(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "additionalProperties": False, "minProperties": 1}


def arguments_of(constraints: Iterable[Any], tool: ToolSpec) -> dict[str, Any]:
    """The arguments of a query; a constraint that is null says nothing and is left out.

    Raises:
        Unusable: A constraint is no name with a text.
    """
    properties: Mapping[str, dict[str, Any]] = tool.parameters["properties"]
    found: dict[str, Any] = {}
    for constraint in constraints:
        if not isinstance(constraint, dict) or not all(isinstance(text, str) for text in constraint.values()):
            raise Unusable("malformed_call", f"a constraint of {tool.name} is no name with a text")
        for name, text in constraint.items():
            if text.strip() not in ("null", ""):
                found[name] = _value(text, properties.get(name, {}))
    return found


def _value(text: str, schema: Mapping[str, Any]) -> Any:
    if match := _OPERATOR.fullmatch(text):
        inner = _literal(match[2])
        return inner if match[1] == "is_equal_to" else {match[1]: inner}
    value = _literal(text)
    is_text = schema.get("type") == "string"
    return text.strip() if is_text and not isinstance(value, str) else value


def _literal(text: str) -> Any:
    """The value of a Python literal with a JSON form; any other text stands for itself (``0314``)."""
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text.strip()
    return value if isinstance(value, str | int | float | bool | list) else text.strip()
