"""BFCL by its own rules and under its own names: is a set of calls right, and if not, what is its first error called?

After the leaderboard's AST checker (Patil et al., ICML 2025; gorilla@a6da28e, eval_checker/ast_eval), written anew over
our calls: functions by count and name, required arguments there, unexpected ones wrong, each value among the accepted
ones, types checked one level deep, strings compared without case and the signs ``,./-_*^``, parallel calls in any
order. An optional argument may be left out or empty: ``""``, or a list of nothing.
Three things differ. Upstream lets models write Java and JavaScript values as source text and converts it; here values
are JSON of the schema's type. An object's accepted values are multiplied out beforehand (data/sources/bfcl/accepted),
so an optional member may be left out of it, but not be ``""``. And where upstream accepts ``""``, null or both and no
other value, our data say null for all three, so all three are right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data.schema import DecisionPoint, ToolCall, ToolSpec
from models.equality import argument_schemas, required_arguments
from models.speech.parsing import Parsed, parse_completion

if TYPE_CHECKING:
    import pandas as pd

_IGNORED_SIGNS = re.compile(r"[ \,\.\/\-\_\*\^]")
_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "array": list,
    "object": dict,
}
#: Upstream's groups: non-live is the plain mean of its parts (simple that of three languages), live is by count.
NON_LIVE = (("simple_python", "simple_java", "simple_javascript"), ("multiple",), ("parallel",), ("parallel_multiple",))
LIVE = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")
IRRELEVANCE = ("irrelevance", "live_irrelevance")


def error_of(point: DecisionPoint, parsed: Parsed, category: str) -> str | None:
    """The name of the first error of a completion, or None if BFCL would pass it.

    Args:
        point: The question; its expected calls know all accepted values.
        parsed: The completion.
        category: BFCL's category, which decides the rule: ``irrelevance`` passes if nothing was called.
    """
    readable = bool(parsed.calls) and not parsed.lost_call
    if "irrelevance" in category:
        return "irrelevance_error:decoder_success" if readable else None
    if "relevance" in category:
        return None if readable else "relevance_error:decoder_failed"
    if not readable:
        return "ast_decoder:decoder_failed"
    return calls_error(point.expected.tool_calls, parsed.calls, point.tools, category)


def calls_error(
    expected: Sequence[ToolCall], made: Sequence[ToolCall], tools: Sequence[ToolSpec], category: str
) -> str | None:
    """The first error of the calls made; ``category`` chooses upstream's parallel, multiple or simple checker."""
    checker = "parallel" if "parallel" in category else "multiple" if "multiple" in category else "simple"
    if len(expected) != len(made):
        order = "_no_order" if checker == "parallel" else ""
        return f"{checker}_function_checker{order}:wrong_count"
    specs = {tool.name: tool for tool in tools}
    if checker != "parallel":
        return call_error(expected[0], made[0], specs.get(expected[0].name), source_text="java" in category)
    left = list(made)
    for wanted in expected:  # as upstream: the first that fits is taken, in the order of what is expected
        match = next((one for one in left if call_error(wanted, one, specs.get(wanted.name)) is None), None)
        if match is None:
            return "parallel_function_checker_no_order:cannot_find_match"
        left.remove(match)
    return None


def call_error(expected: ToolCall, made: ToolCall, tool: ToolSpec | None, *, source_text: bool = False) -> str | None:
    """The first error of one call; ``source_text`` where upstream reads values from Java's or JavaScript's."""
    if made.name != expected.name:
        return "simple_function_checker:wrong_func_name"
    if any(name not in made.arguments for name in sorted(required_arguments(tool))):
        return "simple_function_checker:missing_required"
    schemas, accepted = argument_schemas(tool), _accepted(expected)
    for name, value in made.arguments.items():
        if name not in schemas or name not in accepted:
            return "simple_function_checker:unexpected_param"
        if (error := value_error(value, accepted[name], schemas[name], source_text=source_text)) is not None:
            return error
    if any(name not in made.arguments and None not in values for name, values in accepted.items()):
        return "simple_function_checker:missing_optional"
    return None


def _accepted(expected: ToolCall) -> dict[str, tuple[Any, ...]]:
    return {**{name: (value,) for name, value in expected.arguments.items()}, **expected.accepted}


def value_error(
    value: Any, accepted: Sequence[Any], schema: Mapping[str, Any], *, source_text: bool = False
) -> str | None:
    """The error of one value, by type and then by value; ``None`` in ``accepted`` stands for upstream's ``""``.

    That says that the argument may be left out, and is at the same time a value like the others.
    """
    listed = [one for one in accepted if one is not None]
    if value is None and accepted and not listed:
        return None
    known = [*listed, ""] if None in accepted else listed
    wanted, answered = _type(schema.get("type")), _first_type(known)
    inner = _item_type(schema) if wanted is list else None
    if wanted is float:
        value = _as_float(value)
    elif inner is float and source_text and isinstance(value, list):  # upstream converts no list of Python's
        value = [_as_float(item) for item in value]
    # A value of another type than the schema's is right where the accepted ones are of it too (upstream: a variable).
    if type(value) not in (wanted, answered):
        return "type_error:simple"
    if inner is not None and isinstance(value, list) and not _nested_fits(value, known, inner):
        return "type_error:nested"
    if answered not in (None, wanted):
        return None if value in known else "value_error:others"
    return _same_type_error(value, known, inner)


def _as_float(value: Any) -> Any:
    """An integer as a float; one that no float is as large as stays, and is of the wrong type then."""
    try:
        return float(value) if type(value) is int else value
    except OverflowError:
        return value


def _type(named: Any) -> type:
    """The type of a schema's ``type``, of several the first that is not null; without one upstream's ``any``: text."""
    names = [one for one in (named if isinstance(named, list) else [named]) if one != "null"]
    return _TYPES.get(str(names[0]), str) if names else str


def _item_type(schema: Mapping[str, Any]) -> type | None:
    """The type of an array's items; None, which asks nothing of them, where the schema names none."""
    items = schema.get("items")
    return _type(items["type"]) if isinstance(items, dict) and items.get("type") else None


def _first_type(values: Sequence[Any]) -> type | None:
    return next((type(one) for one in values if one != ""), None)


def _nested_fits(value: list[Any], known: Sequence[Any], inner: type) -> bool:
    """Whether all items are of the schema's type, or of that of the items of one accepted list.

    Upstream asks it of lists alone: beside anything else that is accepted, the ``""`` of optional ones too, any fits.
    """
    return any(
        not isinstance(one, list) or all(type(item) in (inner, _first_type(one)) for item in value) for one in known
    )


def _same_type_error(value: Any, listed: Sequence[Any], inner: type | None) -> str | None:
    plain = standardised(value)
    known = [standardised(one) for one in listed]
    if isinstance(value, str):
        return None if plain in known else "value_error:string"
    if isinstance(value, dict):
        return _object_error(plain, known)
    if isinstance(value, list):
        known = [[] if one == "" else one for one in known]  # upstream: the list of its letters
        if inner is dict:
            return _objects_error(plain, known)
        return None if plain in known else "value_error:list/tuple"
    return None if value in listed else "value_error:others"


def _object_error(value: Any, known: Sequence[Any]) -> str | None:
    if value in known:
        return None
    same_keys = isinstance(value, dict) and any(isinstance(one, dict) and one.keys() == value.keys() for one in known)
    return "value_error:dict_value" if same_keys else "value_error:dict_key"


def _objects_error(value: list[Any], known: Sequence[Any]) -> str | None:
    if value in known:
        return None
    as_long = [one for one in known if isinstance(one, list) and len(one) == len(value)]
    if not as_long:
        return "value_error:list_dict_count"
    errors = (_object_error(item, [one[at] for one in as_long]) for at, item in enumerate(value))
    return next((error for error in errors if error), "value_error:dict_value")


def standardised(value: Any) -> Any:
    """Strings without case, white space and the signs that BFCL ignores: a string itself, those of a list or an object,
    and those of the objects of a list. Deeper ones are compared as they are, as upstream's checkers do."""
    if isinstance(value, list):
        return [_members(one) if isinstance(one, dict) else _text(one) for one in value]
    return _members(value) if isinstance(value, dict) else _text(value)


def _members(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(one) for name, one in value.items()}


def _text(value: Any) -> Any:
    return _IGNORED_SIGNS.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value


def errors_of(frame: pd.DataFrame, points: Mapping[str, DecisionPoint]) -> pd.Series:
    """The error of each row of an evaluation on BFCL, None where it passes; its ``domain`` is the category."""
    found = []
    for row in frame.to_dict("records"):
        point = points[row["decision_point_id"]]
        parsed = parse_completion(row["text"], thinking=bool(row["thinking"]), tools=point.tools)
        found.append(error_of(point, parsed, str(row["domain"])))
    import pandas as pd

    return pd.Series(found, index=frame.index, dtype=object)


#: Cause of a failure whose decision point is no longer stored.
POINT_GONE = "unknown:turn_no_longer_stored"


def summary(frame: pd.DataFrame, errors: pd.Series) -> dict[str, tuple[float, int]]:
    """Accuracy and n by category and by upstream's groups; a group lacks the categories that were not judged. Questions
    that are no longer stored are none of the n."""
    told = errors != POINT_GONE
    frame, errors = frame[told], errors[told]
    passed = errors.isna().groupby(frame["domain"])
    scored = {str(name): (float(one.mean()), len(one)) for name, one in passed}
    groups = {
        "non-live AST": _plain_mean([_plain_mean([scored.get(one) for one in part]) for part in NON_LIVE]),
        "live AST": _by_count([scored.get(one) for one in LIVE]),
        "irrelevance, both": _plain_mean([scored.get(one) for one in IRRELEVANCE]),
    }
    return scored | {name: one for name, one in groups.items() if one is not None}


Score = tuple[float, int]


def _plain_mean(parts: Sequence[Score | None]) -> Score | None:
    there = [one for one in parts if one is not None]
    return (math.fsum(one[0] for one in there) / len(there), sum(one[1] for one in there)) if there else None


def _by_count(parts: Sequence[Score | None]) -> Score | None:
    there = [one for one in parts if one is not None]
    total = sum(one[1] for one in there)
    return (math.fsum(one[0] * one[1] for one in there) / total, total) if total else None
