"""BFCL's rules by hand-made cases, one for each of its error types, and its groups of categories."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from data.schema import DecisionPoint, Message, ToolCall, ToolSpec
from models.evaluation.bfcl import calls_error, error_of, standardised, summary, value_error
from models.speech.parsing import parse_completion

BREW = ToolSpec(
    name="brew",
    parameters={
        "type": "object",
        "properties": {
            "bean": {"type": "string"},
            "cups": {"type": "integer"},
            "heat": {"type": "number"},
            "iced": {"type": "boolean"},
            "extras": {"type": "array", "items": {"type": "string"}},
            "milk": {"type": "object"},
            "layers": {"type": "array", "items": {"type": "object"}},
            "hours": {"type": "array", "items": {"type": "number"}},
            "note": {"type": "string"},
            "label": {},
        },
        "required": ["bean"],
    },
)
WASH = ToolSpec(name="wash", parameters={"type": "object", "properties": {}, "required": []})
ACCEPTED: dict[str, tuple[Any, ...]] = {
    "bean": ("Santos-Blend", "santos"),
    "cups": (2, 3),
    "heat": (90.5, 90, None),
    "iced": (True, None),
    "extras": (["Oat Milk", "sugar"], None),
    "milk": ({"kind": "oat", "share": 0.2}, None),
    "layers": ([{"name": "foam"}, {"name": "milk"}], None),
    "hours": ([1.0, 3.0], [2, 4], None),
    "note": (None,),
    "label": ("my_data", None),
}


def call(name: str = "brew", accepted: dict[str, tuple[Any, ...]] | None = None, **arguments: Any) -> ToolCall:
    raw = json.dumps(arguments)
    return ToolCall(id="c", name=name, arguments=arguments, arguments_raw=raw, accepted=accepted or {})


EXPECTED = call(accepted=ACCEPTED, bean="Santos-Blend", cups=2)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (call(bean="santos blend", cups=3), None),
        (call(bean="SANTOS", cups=2, heat=90, iced=True, extras=["oatmilk", "Sugar"]), None),
        (call(bean="santos", cups=2, milk={"kind": "Oat", "share": 0.2}), None),
        (call(bean="santos", cups=2, layers=[{"name": "Foam"}, {"name": "milk"}]), None),
        (call(bean="santos", cups=2, extras=[], layers=[], hours=[], note="", label=""), None),
        (call(bean="santos", cups=2, hours=[1, 3], note=None, label="MY_DATA"), None),
        (call("wash"), "simple_function_checker:wrong_func_name"),
        (call(cups=2), "simple_function_checker:missing_required"),
        (call(bean="santos", cups=2, sugar=1), "simple_function_checker:unexpected_param"),
        (call(bean="santos"), "simple_function_checker:missing_optional"),
        (call(bean="santos", cups="2"), "type_error:simple"),
        (call(bean="santos", cups=True), "type_error:simple"),
        (call(bean="santos", cups=2.0), "type_error:simple"),
        (call(bean="santos", cups=2, heat=""), "type_error:simple"),
        (call(bean="santos", cups=2, extras=""), "type_error:simple"),
        (call(bean="santos", cups=2, label=None), "type_error:simple"),
        (call(bean="robusta", cups=2), "value_error:string"),
        (call(bean="", cups=2), "value_error:string"),
        (call(bean="santos", cups=2, note="hot"), "value_error:string"),
        (call(bean="santos", cups=2, label="your_data"), "value_error:string"),
        (call(bean="santos", cups=4), "value_error:others"),
        (call(bean="santos", cups=2, iced=False), "value_error:others"),
        (call(bean="santos", cups=2, extras=["sugar", "oat milk"]), "value_error:list/tuple"),
        (call(bean="santos", cups=2, extras=["oat milk", 7]), "value_error:list/tuple"),
        (call(bean="santos", cups=2, milk={"kind": "soy", "share": 0.2}), "value_error:dict_value"),
        (call(bean="santos", cups=2, milk={"sort": "oat"}), "value_error:dict_key"),
        (call(bean="santos", cups=2, layers=[{"name": "foam"}]), "value_error:list_dict_count"),
        (call(bean="santos", cups=2, layers=[{"name": "foam"}, {"name": "ice"}]), "value_error:dict_value"),
    ],
)
def test_each_error_has_upstreams_name(made: ToolCall, error: str | None) -> None:
    assert calls_error([EXPECTED], [made], [BREW, WASH], "simple_python") == error


def test_calls_are_counted_by_the_checker_of_the_category() -> None:
    right = call(bean="santos", cups=2)
    assert calls_error([EXPECTED], [right, right], [BREW], "simple_java") == "simple_function_checker:wrong_count"
    assert calls_error([EXPECTED], [], [BREW], "live_multiple") == "multiple_function_checker:wrong_count"
    two = [EXPECTED, call("wash")]
    assert calls_error(two, [right], [BREW, WASH], "parallel") == "parallel_function_checker_no_order:wrong_count"
    assert calls_error(two, [call("wash"), right], [BREW, WASH], "parallel_multiple") is None
    unmatched = calls_error(two, [right, right], [BREW, WASH], "live_parallel")
    assert unmatched == "parallel_function_checker_no_order:cannot_find_match"


def test_a_value_of_the_accepted_ones_type_is_right_though_the_schema_has_another() -> None:
    """Upstream calls it a variable: where the answers are texts, a text is compared as it stands."""
    assert value_error("user.count", ["user.count"], {"type": "integer"}) is None
    assert value_error("User.Count", ["user.count"], {"type": "integer"}) == "value_error:others"


@pytest.mark.parametrize(
    ("value", "accepted", "error"),
    [
        ([1.0, 3.0], ([1.0, 3.0],), None),
        ([1, 3], ([1.0, 3.0],), "type_error:nested"),
        ([1, 3], ([1.0, 3.0], None), None),
        ([1, 3], ([1, 3],), None),
        ([1.0, 3.0], ([1, 3],), None),
        ([], ([1.0, 3.0],), "value_error:list/tuple"),
        ([1.0, "3"], ([1.0, 3.0],), "type_error:nested"),
    ],
)
def test_whole_numbers_in_a_list_of_floats_are_floats_only_where_the_answers_are_whole(
    value: list[Any], accepted: tuple[Any, ...], error: str | None
) -> None:
    """Upstream converts no list; but of an optional argument it asks no types of items, and 1 equals 1.0."""
    assert value_error(value, accepted, {"type": "array", "items": {"type": "number"}}) == error


def test_source_text_says_no_difference_between_whole_numbers_and_floats_in_a_list() -> None:
    """Upstream reads ``[1, 3]`` of Java and JavaScript as floats where the schema has them."""
    tool = ToolSpec(
        name="turn",
        parameters={"type": "object", "properties": {"at": {"type": "array", "items": {"type": "number"}}}},
    )
    expected, made = call("turn", {"at": ([1.0, 3.0],)}), call("turn", at=[1, 3])
    assert calls_error([expected], [made], [tool], "simple_javascript") is None
    assert calls_error([expected], [made], [tool], "simple_python") == "type_error:nested"


def test_empty_is_right_only_where_an_argument_may_be_left_out() -> None:
    assert value_error("", ("units", None), {"type": "string"}) is None
    assert value_error("", ("units",), {"type": "string"}) == "value_error:string"
    assert value_error([], (["a"], None), {"type": "array", "items": {"type": "string"}}) is None
    assert value_error([], (["a"],), {"type": "array", "items": {"type": "string"}}) == "value_error:list/tuple"
    assert (
        value_error([], ([{"a": 1}],), {"type": "array", "items": {"type": "object"}}) == "value_error:list_dict_count"
    )
    assert value_error("", ("x.count", None), {"type": "integer"}) is None
    assert value_error({}, ({"a": 1}, None), {"type": "object"}) == "value_error:dict_key"


def test_null_is_right_where_no_other_value_is() -> None:
    """Upstream lists null beside ``""`` for many arguments without a value; our data do not tell these from others."""
    assert value_error(None, (None,), {"type": "string"}) is None
    assert value_error(None, ("units", None), {"type": "string"}) == "type_error:simple"


def test_an_argument_of_any_type_is_text() -> None:
    assert value_error("MY_DATA", ["my_data"], {}) is None
    assert value_error(3, ["my_data"], {}) == "type_error:simple"
    assert value_error(3, [3, 4], {}) is None
    mixed = {"type": "array", "items": {}}  # text in upstream's Java; here it may hold what the answers hold
    assert value_error(["A b", 42, True], [["ab", 42, True]], mixed) is None


def test_strings_are_compared_without_case_and_signs() -> None:
    assert standardised("April 1, 2024") == standardised("april 1,2024") == "april12024"
    assert standardised(["It's_X", {"a": "B c"}, 3]) == ['it"sx', {"a": "bc"}, 3]
    assert standardised({"a": "It's_X"}) == {"a": 'it"sx'}


def test_deeper_strings_are_compared_as_they_are() -> None:
    """As upstream's list and dict checkers: they know the signs of a string, of a list's and of an object's."""
    assert value_error({"tags": ["new-york"]}, [{"tags": ["New York"]}], {"type": "object"}) == "value_error:dict_value"
    nested = {"type": "array", "items": {"type": "array"}}
    assert value_error([["new york"]], [[["New York"]]], nested) is not None
    assert value_error([["New York"]], [[["New York"]]], nested) is None


def test_a_number_that_no_float_holds_is_an_error_and_no_crash() -> None:
    assert value_error(10**400, [5.0], {"type": "number"}) == "type_error:simple"
    assert value_error(10, [10.0], {"type": "number"}) is None


def point(*calls: ToolCall) -> DecisionPoint:
    return DecisionPoint(
        id="bfcl/q#1",
        conversation_id="bfcl/q",
        message_index=1,
        source="bfcl",
        split="test_unseen",
        domain="simple_python",
        kind="call" if calls else "answer",
        tool=calls[0].name if calls else None,
        tools=(BREW, WASH),
        history=(Message(role="user", content="Coffee!"),),
        expected=Message(role="assistant", content=None if calls else "no", tool_calls=calls),
    )


@pytest.mark.parametrize(
    ("text", "category", "error"),
    [
        ("I cannot help with that.", "irrelevance", None),
        ('<tool_call>\n{"name": "wash", "arguments": {}}\n</tool_call>', "live_irrelevance", "irrelevance_error:"),
        ("<tool_call>\n{broken\n</tool_call>", "irrelevance", None),
        ('<tool_call>\n{"name": "wash", "arguments": {}}\n</tool_call>', "live_relevance", None),
        ("Sure!", "live_relevance", "relevance_error:decoder_failed"),
        ("Sure!", "simple_python", "ast_decoder:decoder_failed"),
        ("<tool_call>\n{broken\n</tool_call>", "simple_python", "ast_decoder:decoder_failed"),
    ],
)
def test_relevance_is_whether_a_call_can_be_read(text: str, category: str, error: str | None) -> None:
    asked = point(EXPECTED)
    found = error_of(asked, parse_completion(text, thinking=False, tools=asked.tools), category)
    assert found is None if error is None else str(found).startswith(error)


def test_groups_are_formed_as_upstream_forms_them() -> None:
    """Non-live by the plain mean of its parts, simple by the mean of its languages; live by count."""
    rows = [("simple_python", True), ("simple_python", False), ("simple_java", True), ("multiple", False)]
    rows += [("live_simple", True), ("live_simple", True), ("live_simple", True), ("live_multiple", False)]
    rows += [("irrelevance", True), ("live_irrelevance", False)]
    frame = pd.DataFrame({"domain": [name for name, _ in rows]})
    errors = pd.Series([None if right else "value_error:others" for _, right in rows], dtype=object)
    found = summary(frame, errors)
    assert found["simple_python"] == (0.5, 2)
    assert found["non-live AST"] == (pytest.approx((0.75 + 0.0) / 2), 4)
    assert found["live AST"] == (pytest.approx(0.75), 4)
    assert found["irrelevance, both"] == (pytest.approx(0.5), 2)
