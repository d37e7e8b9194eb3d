"""JSON Schema out of what tool lists write in its place: ``dict``, ``float``, ``List[int]``, ``str, optional``.

Only names of types are translated and what is no schema is dropped; nothing is added that upstream does not say. A
type that has no JSON counterpart (``any``, ``Callable``) leaves the argument free.
"""

from __future__ import annotations

import re
from typing import Any

_NAMES: dict[str, str] = {
    **dict.fromkeys(("string", "str", "char", "character", "date", "datetime"), "string"),
    **dict.fromkeys(("integer", "int", "long", "short", "byte", "bigint"), "integer"),
    **dict.fromkeys(("number", "float", "double", "decimal"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "tuple", "set", "arraylist", "vector"), "array"),
    **dict.fromkeys(("object", "dict", "hashmap", "map", "hashtable", "json"), "object"),
    **dict.fromkeys(("null", "none"), "null"),
}
_GENERIC = re.compile(r"(\w+)\s*[\[<](.*)[\]>]")
_KEPT = ("description", "enum", "format", "minimum", "maximum", "minItems", "maxItems", "pattern")


def schema_of_type(written: Any) -> dict[str, Any]:
    """The JSON Schema of a type's name: ``List[int]`` is an array of integers; ``{}`` where it has no counterpart."""
    if isinstance(written, list):
        names = [_NAMES.get(str(name).lower()) for name in written]
        known = [name for name in names if name is not None]
        return {"type": known} if names and len(known) == len(names) else {}
    name = re.sub(r",?\s*optional\s*$", "", str(written).strip(), flags=re.IGNORECASE)
    if name.startswith("["):
        return schema_of_type(re.findall(r"\w+", name))
    generic = _GENERIC.fullmatch(name)
    outer = _NAMES.get((generic[1] if generic else name).lower())
    if outer is None:
        return {}
    inner = _inner(generic[2]) if generic and outer == "array" else {}
    return {"type": outer, "items": inner} if inner else {"type": outer}


def _inner(written: str) -> dict[str, Any]:
    """Schema of what a list holds: ``float, float`` of a tuple is a number; a mixture is left free."""
    parts = [written] if "[" in written or "<" in written else [part.strip() for part in written.split(",")]
    schemas = [schema_of_type(part) for part in parts]
    return schemas[0] if all(schema == schemas[0] for schema in schemas) else {}


def repaired(schema: Any) -> dict[str, Any]:
    """A schema with every type named as JSON Schema names it, at all depths.

    Unknown keywords go, a default outside its own schema too; ``required`` keeps the names there are properties for.
    """
    if not isinstance(schema, dict):
        return {}
    found = schema_of_type(schema.get("type", ""))
    kept = {name: schema[name] for name in _KEPT if schema.get(name) is not None}
    if not isinstance(kept.get("enum", []), list) or kept.get("enum") == []:
        del kept["enum"]
    found |= kept
    if "default" in schema and schema["default"] is not None:
        found["default"] = schema["default"]
    if isinstance(properties := schema.get("properties"), dict):
        found["properties"] = {name: repaired(inner) for name, inner in properties.items()}
        required = schema.get("required")
        if isinstance(required, list):
            found["required"] = [name for name in dict.fromkeys(map(str, required)) if name in properties]
    if found.get("type") == "array":
        _repair_array(found, schema)
    return found


def _repair_array(found: dict[str, Any], schema: dict[str, Any]) -> None:
    """An enum beside ``type: array`` that lists no arrays means the items."""
    if "items" in schema:
        found["items"] = repaired(schema["items"])
    if "enum" in found and not any(isinstance(value, list) for value in found["enum"]):
        found["items"] = {**found.get("items", {}), "enum": found.pop("enum")}


def object_schema(schema: Any) -> dict[str, Any]:
    """``repaired`` for the arguments of a tool, which are always an object."""
    found = repaired(schema)
    return {**found, "type": "object", "properties": found.get("properties", {})}
