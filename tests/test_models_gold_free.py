"""What can be told of an action without gold: each reading by hand-written cases, and none raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Message, ToolCall, ToolSpec
from models.rewards.gold_free import GoldFree, gold_free
from models.speech.parsing import parse_completion


def _tool(name: str, *arguments: str, is_write: bool = False) -> ToolSpec:
    properties = {one: {"type": "string"} for one in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments), "additionalProperties": False}
    return ToolSpec(name=name, parameters=schema, is_write=is_write)


TOOLS = (_tool("find_boats", "harbour"), _tool("rent_boat", "name", "day", is_write=True))


def _said(text: str) -> Message:
    return Message(role="user", content=text)


def _called(tool: str, **arguments: Any) -> Message:
    call = ToolCall(id="call_1", name=tool, arguments=arguments, arguments_raw=json.dumps(arguments))
    return Message(role="assistant", tool_calls=(call,))


def _returned(value: Any) -> Message:
    return Message(role="tool", tool_call_id="call_1", content=json.dumps(value))


ASKED = (_said("Which boats lie in Whitby? I need one for March 8th."),)
FOUND = (*ASKED, _called("find_boats", harbour="Whitby"), _returned({"boats": ["Petrel", "Sea Otter"]}))
NOTHING = (*ASKED, _called("find_boats", harbour="Whitby"), _returned({"boats": "empty"}))


def _read(history: tuple[Message, ...], text: str) -> GoldFree:
    return gold_free(history, TOOLS, parse_completion(text, thinking=False, tools=TOOLS))


def _call(tool: str, **arguments: Any) -> str:
    return f"<tool_call>\n{json.dumps({'name': tool, 'arguments': arguments})}\n</tool_call>"


def test_a_right_call_and_a_right_answer_reach_the_maximum() -> None:
    assert _read(ASKED, _call("find_boats", harbour="Whitby")).score == 1.0
    assert _read(FOUND, "There are two: Petrel and Sea Otter. Which one?").score == 1.0
    assert _read(FOUND, _call("rent_boat", name="Sea Otter", day="2019-03-08")).score == 1.0


@pytest.mark.parametrize(
    "text",
    [
        _call("find_boats"),
        _call("find_boats", harbour=3),
        _call("find_boats", harbour="Whitby", colour="red"),
        _call("sink_boat", name="Petrel"),
        "<tool_call>\n{not json}\n</tool_call>",
        '{"boats": ["Petrel"]}',
        "",
    ],
)
def test_what_breaks_the_schema_or_is_no_answer_scores_nothing(text: str) -> None:
    assert _read(ASKED, text).score == 0.0


def test_arguments_nobody_mentioned_cost_by_how_many_there_are() -> None:
    seen = _read(FOUND, _call("rent_boat", name="Petrel", day="March 8th")).grounded
    half = _read(FOUND, _call("rent_boat", name="Petrel", day="2019-05-30")).grounded
    none = _read(FOUND, _call("rent_boat", name="Gannet", day="2019-05-30")).grounded
    assert seen == 1.0
    assert half == pytest.approx(0.5)
    assert none == 0.0


def test_what_the_agent_once_invented_in_a_call_is_no_evidence() -> None:
    history = (*ASKED, _called("find_boats", harbour="Padstow"), _returned({"boats": "empty"}))
    assert _read(history, _call("find_boats", harbour="Padstow")).grounded == 0.0


def test_doing_or_saying_the_same_again_costs() -> None:
    assert _read(FOUND, _call("find_boats", harbour="Whitby")).fresh < 1.0
    twice = _call("find_boats", harbour="Whitby") + "\n" + _call("find_boats", harbour="Whitby")
    assert _read(ASKED, twice).fresh < 1.0
    asked = (*ASKED, Message(role="assistant", content="For which day?"), _said("Guess."))
    assert _read(asked, "For which day?").fresh < 1.0
    assert _read(asked, "Which boat?").fresh == 1.0


def test_calls_nobody_asked_for_cost() -> None:
    assert _read(FOUND, _call("find_boats", harbour="March")).asked < 1.0
    assert _read(FOUND, _call("rent_boat", name="Petrel", day="March 8th")).asked == 1.0
    gone = (*FOUND, Message(role="assistant", content="Petrel and Sea Otter."), _said("Thanks, that is all. Bye!"))
    assert _read(gone, _call("rent_boat", name="Petrel", day="March 8th")).asked < 0.5
    agreed = (*gone[:-1], _said("Yes, that's it, rent Petrel."))
    assert _read(agreed, _call("rent_boat", name="Petrel", day="March 8th")).asked == 1.0


def test_an_answer_is_worth_what_it_makes_of_the_result() -> None:
    delivers = _read(FOUND, "You can have the Petrel.").useful
    ignores = _read(FOUND, "Boats are a fine thing to have.").useful
    honest = _read(NOTHING, "Sorry, there are no boats in Whitby.").useful
    claims = _read(NOTHING, "The boat is waiting for you.").useful
    assert delivers > ignores
    assert delivers > honest > claims


def test_values_out_of_thin_air_cost_each() -> None:
    one = _read(FOUND, "The Petrel costs 45 dollars.").grounded
    two = _read(FOUND, "The Petrel costs 45 dollars and leaves at 6:15 pm.").grounded
    assert 1.0 > one > two > 0.0


@given(st.text(max_size=300))
def test_any_completion_after_any_words_has_a_score(text: str) -> None:
    for history in ((), (_said(text), _returned(text)), FOUND):
        for completion in (text, f"<tool_call>{text}</tool_call>", _call("rent_boat", name=text, day=text)):
            assert 0.0 <= _read(history, completion).score <= 1.0
