"""Answers that state what nobody could know are flagged; what history tells, in whatever order or spelling, is not."""

from __future__ import annotations

import pytest

from data.flags import Flag, contains, flags_of
from data.schema import Conversation, Fact, Message, ToolCall, ToolSpec

FIND = ToolSpec(
    name="find",
    parameters={
        "type": "object",
        "properties": {"town": {"type": "string"}, "stars": {"type": "string", "default": "four"}},
    },
)


def flagged(*facts: Fact) -> list[Flag]:
    """Flags of an answer with these facts after a question, a call and its result."""
    call = ToolCall(id="1", name="find", arguments={"town": "Ely"}, arguments_raw='{"town": "Ely"}')
    messages = (
        Message(role="user", content="A room for two from the Seventh of March, please."),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="1", content='{"hotel": "The Old Mill", "price": 1200, "parking": false}'),
        Message(role="assistant", content="…", facts=facts),
        Message(role="user", content="The Swan was full, I suppose."),
    )
    return list(
        flags_of(
            Conversation(
                id="s/1", source="s", record_id="1", split="train", domains=(), tools=(FIND,), messages=messages
            )
        )
    )


def value(*forms: str) -> Fact:
    return Fact(name="fact", kind="value", forms=forms)


def boolean(name: str) -> Fact:
    return Fact(name=name, kind="boolean", forms=("True",))


@pytest.mark.parametrize(
    "fact",
    [
        value("the old mill"),
        value("Mill, the Old"),
        value("nowhere", "1200"),
        value("Ely"),
        value("2"),
        value("March 7th", "2019-03-07"),
        value("4"),
        boolean("parking"),
        boolean("town"),
    ],
)
def test_what_history_tells_is_not_flagged(fact: Fact) -> None:
    assert flagged(fact) == []


@pytest.mark.parametrize("fact", [value("The Swan"), value("120"), value("Elya"), value("…"), boolean("breakfast")])
def test_what_it_does_not_tell_is(fact: Fact) -> None:
    assert flagged(value("Ely"), fact) == [Flag(3, "ungrounded_fact", f"{fact.name}: {fact.forms[0]}")]


def test_whole_words_only() -> None:
    assert contains("in 2019 or 19", "19")
    assert not contains("in 2019", "19")
    assert contains("at 5:30 pm", "5:30")
