"""Equality of values and calls, and what a text conveys and asks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Fact, ToolCall, ToolSpec
from models.equality import (
    argument_verdicts,
    asks,
    conveys,
    exact_matches,
    normalise,
    same_call,
    same_calls,
    same_value,
)
from models.wording import is_answer, is_dump

OPEN = {
    "type": "object",
    "properties": {
        "a": {"type": "integer"},
        "b": {"type": ["integer", "null"]},
        "c": {"type": "integer", "default": 5},
    },
    "required": ["a"],
}
TOOL = ToolSpec(
    name="FindRoom",
    parameters={
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "guests": {"type": "integer", "default": 2},
            "view": {"type": "string", "default": "dontcare"},
        },
        "required": ["city"],
    },
)


def call(name: str = "FindRoom", **arguments: object) -> ToolCall:
    return ToolCall(id="x", name=name, arguments=arguments, arguments_raw=json.dumps(arguments))


@pytest.mark.parametrize(
    ("expected", "predicted"),
    [
        ("San Jose", "san  jose"),
        ("Café", "CAFÉ"),
        ("Café", "Cafe\u0301"),
        ("O'Neill’s", "O’Neill's"),
        ("Oslo", " Oslo. "),
        ("Straße", "STRASSE"),
        ("ﬁve", "five"),
        (2, 2.0),
        (True, True),
        (None, None),
        ([1, "a"], [1.0, "A"]),
        ({"a": [1]}, {"a": [1]}),
        ("?", "?"),
    ],
)
def test_same(expected, predicted):
    assert same_value(expected, predicted, None)
    assert same_value(predicted, expected, None)


@pytest.mark.parametrize(
    ("expected", "predicted"),
    [
        (1, True),
        (0, False),
        (1.0, True),
        ("1", 1),
        ("True", True),
        (None, "None"),
        (None, False),
        ("Oslo", "Bergen"),
        ("17:30", "5:30 pm"),
        ("?", "!"),
        ("", "?"),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": True}),
        ([], {}),
        (10**400, 1.5),
    ],
)
def test_not_same(expected, predicted):
    assert not same_value(expected, predicted, None)
    assert not same_value(predicted, expected, None)


def test_number_and_its_spelling_are_same_only_where_the_schema_takes_both():
    assert same_value("1", 1, {"type": ["string", "integer"]})
    assert not same_value("1", 2, {"type": ["string", "integer"]})
    assert not same_value("1", 1, {"type": "string"})
    assert not same_value("1", 1, {"type": "integer"})
    assert not same_value("1", 1, {"type": ["string", "null"]})
    assert not same_value("True", True, {"type": ["string", "boolean"]})
    nested = {"type": "array", "items": {"type": ["string", "number"]}}
    assert same_value(["1.5"], [1.5], nested)


@pytest.mark.parametrize(
    ("schema", "expected", "predicted", "same"),
    [
        ({"type": "string", "format": "time"}, "17:30", "17:30:00", True),
        ({"type": "string", "format": "time"}, "17:30", "18:30", False),
        ({"type": "string", "format": "time"}, "17:30", "5:30 pm", False),
        ({"type": "string", "format": "date-time"}, "2019-03-01T17:30:00Z", "2019-03-01t17:30:00+00:00", True),
        ({"type": "string", "format": "date-time"}, "2019-03-01T17:30:00Z", "2019-03-01T18:30:00+01:00", True),
        ({"type": "string", "format": "date-time"}, "2019-03-01T17:30:00Z", "2019-03-01T17:30:00", False),
        ({"type": "string", "format": "date"}, "2019-03-01", " 2019-03-01", True),
        ({"type": "string", "format": "date"}, "2019-03-01", "2019-03-10", False),
        ({"type": "string", "format": "date"}, "tomorrow", "Tomorrow", True),
        ({"type": "string"}, "17:30", "17:30:00", False),
        ({"type": "string", "enum": ["m", "M"]}, "m", "M", False),
        ({"type": "string", "enum": ["mild", "hot"]}, "mild", "Mild", True),
        ({"type": "array", "uniqueItems": True}, ["a", "b"], ["B", "A"], True),
        ({"type": "array", "uniqueItems": True}, ["a", "b"], ["a", "a"], False),
        ({"type": "array", "items": {"type": "string", "format": "time"}}, ["17:30"], ["17:30:00"], True),
        ({"anyOf": [{"type": "string", "format": "time"}, {"type": "null"}]}, "17:30", "17:30:00", True),
        ({"oneOf": [{"type": ["string", "integer"]}]}, "1", 1, True),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "1", 1, False),
        ({"anyOf": []}, 1, 1.0, True),
        ({"anyOf": [{"type": "string", "enum": ["m", "M"]}, {"type": "null"}]}, "m", "M", False),
        ({"anyOf": [{"enum": ["m", "M"]}, {"type": "null"}]}, "m", "M", False),
        ({"anyOf": [{"type": "string", "enum": ["m", "M"]}, {"type": "null"}]}, None, None, True),
        ({"anyOf": [{"type": "string", "enum": ["m", "M"]}, {"type": "null"}]}, "m", None, False),
        (OPEN, {"a": 1}, {"a": 1, "c": 5}, True),
        (OPEN, {"a": 1}, {"a": 1, "b": None}, True),
        (OPEN, {"a": 1}, {"a": 1, "c": 6}, False),
        (OPEN, {"a": 1}, {}, False),
        ({"type": "array", "items": OPEN}, [{"a": 1}], [{"a": 1, "c": 5}], True),
    ],
)
def test_the_schema_says_which_forms_are_the_same(schema, expected, predicted, same):
    assert same_value(expected, predicted, schema) is same
    assert same_value(predicted, expected, schema) is same


def test_any_accepted_value_will_do_and_none_means_it_may_be_left_out():
    wanted = call(city="Oslo", view="sea").model_copy(
        update={"accepted": {"city": ("Oslo", "Kristiania"), "view": ("sea", None), "guests": (None, 4)}}
    )
    for right in (call(city="oslo"), call(city="Kristiania", view="Sea"), call(city="Oslo", guests=4)):
        assert same_call(wanted, right, TOOL)
    for wrong in (call(city="Bergen"), call(view="sea"), call(city="Oslo", guests=3), call(city="Oslo", stars=4)):
        assert not same_call(wanted, wrong, TOOL)


def test_an_accepted_default_may_be_left_out():
    wanted = call(city="Oslo", guests=3).model_copy(update={"accepted": {"guests": (3, 2)}})
    assert same_call(wanted, call(city="Oslo"), TOOL)
    assert same_call(wanted, call(city="Oslo", guests=2), TOOL)
    assert not same_call(wanted, call(city="Oslo", guests=4), TOOL)


def test_null_is_the_same_as_not_saying_it_where_the_schema_takes_null():
    optional = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}}}
    tool = ToolSpec(name="FindRoom", parameters={**optional, "required": ["a"]})
    assert same_call(call(a="x"), call(a="x", b=None), tool)
    assert same_call(call(a="x", b=None), call(a="x"), tool)
    assert not same_call(call(a="x"), call(a="x", b=None), TOOL)
    assert not same_call(call(a="x", b="y"), call(a="x", b=None), tool)


def test_each_argument_gets_a_verdict():
    verdicts = argument_verdicts(call(city="Oslo", guests=3, view="sea"), call(city="Oslo", guests=4, stars=1), TOOL)
    assert verdicts == {"city": "right", "guests": "wrong", "view": "missing", "stars": "invented"}


def test_exact_matches_find_the_greatest_pairing():
    either = call(city="Oslo").model_copy(update={"accepted": {"city": ("Oslo", "Bergen")}})
    only = call(city="Oslo")
    made = [call(city="Oslo"), call(city="Bergen")]
    assert exact_matches([either, only], made, [TOOL]) == exact_matches([only, either], made, [TOOL]) == 2
    assert same_calls([either, only], made, [TOOL])
    assert not same_calls([either], made, [TOOL])
    assert exact_matches([only, only], made, [TOOL]) == 1
    assert exact_matches([], made, [TOOL]) == 0


def test_leaving_out_an_optional_argument_means_its_default():
    assert same_call(call(city="Oslo"), call(city="oslo", guests=2, view="DontCare"), TOOL)
    assert same_call(call(city="Oslo", guests=2.0), call(city="Oslo"), TOOL)
    assert not same_call(call(city="Oslo"), call(city="Oslo", guests=3), TOOL)
    assert not same_call(call(city="Oslo"), call(city="Oslo", guests=2), None)
    required = TOOL.model_copy(update={"parameters": {**TOOL.parameters, "required": ["city", "guests"]}})
    assert not same_call(call(city="Oslo"), call(city="Oslo", guests=2), required)


def test_calls_differ_by_name_argument_names_and_values():
    assert not same_call(call(city="Oslo"), call("BookRoom", city="Oslo"), TOOL)
    assert not same_call(call(city="Oslo"), call(City="Oslo"), TOOL)
    assert not same_call(call(city="Oslo"), call(city="Oslo", stars=3), TOOL)
    assert not same_call(call(city="Oslo"), call(), TOOL)
    assert same_call(call(a=1, b=2), call(b=2, a=1), None)


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalise(normalise(text)) == normalise(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON)
def test_sameness_is_reflexive_and_symmetric(left, right):
    assert same_value(left, left, None)
    assert same_value(left, right, None) == same_value(right, left, None)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("4", "There are 4 of them."),
        ("4", "A 4-star hotel."),
        ("four", "There are 4."),
        ("1", "I found one hotel."),
        ("$45", "It costs 45 dollars."),
        ("45", "It costs $45.00."),
        ("1,200", "That is $1200 in all."),
        ("17:30", "at 5:30 pm."),
        ("17:30", "at 5:30 P.M. sharp"),
        ("5:30 pm", "at 17:30"),
        ("00:15", "12:15 am"),
        ("5 pm", "5:00pm"),
        ("Anchor & Hope", "I booked anchor & hope!"),
        ("+1 408-555-0100", "Call +1 408-555-0100."),
        ("4.5", "rated 4.5."),
        ("O’Neill", "O'Neill , right ?"),
        ("Yellow!", "It is Yellow!"),
    ],
)
def test_value_is_conveyed(form, text):
    assert conveys(Fact(name="slot", kind="value", forms=("not this one", form)), text)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("4", "42 rooms"),
        ("4", "room 14"),
        ("4", "rated 4.5"),
        ("4", "at 4:30"),
        ("4", "4,500 metres"),
        ("17:30", "5:30 am"),
        ("5", "15:5"),
        ("Rom", "Romsdal"),
        ("Oslo", ""),
        ("", "anything"),
        (" . ", "anything. "),
        ("12", "13:12 pm"),
    ],
)
def test_value_is_not_conveyed(form, text):
    assert not conveys(Fact(name="slot", kind="value", forms=(form,)), text)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("refundable", False, "The ticket is non-refundable."),
        ("refundable", False, "It can't be refunded."),
        ("refundable", False, "This fare is non refundable"),
        ("refundable", True, "Yes, and you will be refunded in full."),
        ("furnished", False, "The flat is unfurnished."),
        ("furnished", True, "Sorry, pets are not allowed but it does come furnished."),
        ("pets_allowed", False, "Sorry, pets are not allowed but it does come furnished."),
        ("has_live_music", False, "Unfortunately they do not."),
        ("has_live_music", True, "Yes, they do."),
        ("subtitles", False, "So you want it without subtitles?"),
        ("subtitles", True, "Playing it with subtitles, is that right?"),
        ("shared_ride", True, "You don't mind sharing a cab, right?"),
        ("is_nonstop", True, "It is a nonstop flight."),
        ("is_nonstop", True, "It is a direct flight."),
        ("is_nonstop", False, "A connecting flight leaves at 7 am."),
        ("in_unit_laundry", True, "There is in-unit laundry."),
        ("hasPool", False, "There is no pool."),
    ],
)
def test_polarity(name, value, text):
    assert conveys(Fact(name=name, kind="boolean", forms=(str(value),)), text)
    assert not conveys(Fact(name=name, kind="boolean", forms=(str(not value),)), text)


@pytest.mark.parametrize("text", ["", "Hello.", "asdf qwer", "The number is 555-0100."])
def test_silence_about_a_boolean_conveys_neither(text):
    for value in ("True", "False"):
        assert not conveys(Fact(name="pets_allowed", kind="boolean", forms=(value,)), text)


@pytest.mark.parametrize(
    "text",
    [
        "Which city?",
        "Please tell me the date.",
        "Let me know your city",
        "In which area",
        "City please.",
        "Anything else",
    ],
)
def test_asking(text):
    assert asks(text)


@pytest.mark.parametrize(
    "text", ["Your room is booked.", "Have a nice day!", "Do have a nice day.", "Please enjoy your stay.", ""]
)
def test_not_asking(text):
    assert not asks(text)


def test_dumps_and_answers():
    assert is_dump('{"city": "Oslo"}')
    assert is_dump("Here: [{'city': 'Oslo'}]")
    assert not is_dump("I found it: the room costs 45.")
    assert is_answer("$45")
    assert not is_answer("?!")
    assert not is_answer("Hello", least_words=2)


@given(st.text(), st.text(min_size=1), st.sampled_from(["value", "boolean"]))
def test_readings_never_raise(text, form, kind):
    conveys(Fact(name=form, kind=kind, forms=(form,)), text)
    asks(text)


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1).filter(normalise))
def test_a_form_in_its_own_sentence_is_conveyed(form):
    assert conveys(Fact(name="slot", kind="value", forms=(form,)), f"It is {form}, I think.")
