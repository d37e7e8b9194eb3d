"""The gate every conversation passes or not, one broken conversation per reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.quality import check
from data.schema import Conversation, Message, ToolCall, ToolSpec

FIND = ToolSpec(
    name="find",
    parameters={
        "type": "object",
        "properties": {
            "town": {"type": "string"},
            "size": {"type": "string", "enum": ["small", "large"]},
            "rooms": {"type": "integer"},
        },
        "required": ["town"],
    },
)
SYSTEM = Message(role="system", content="Help.")
USER = Message(role="user", content="A room in Oakham.")
ANSWER = Message(role="assistant", content="Here you are.")
RESULT = Message(role="tool", tool_call_id="1", content="{}")


def calling(name: str = "find", raw: str = '{"town": "Oakham"}', id: str = "1", **arguments: Any) -> ToolCall:
    return ToolCall(id=id, name=name, arguments=arguments or {"town": "Oakham"}, arguments_raw=raw)


def call(*calls: ToolCall, content: str | None = None) -> Message:
    return Message(role="assistant", tool_calls=calls or (calling(),), content=content)


def conversation(*messages: Message, tools: tuple[ToolSpec, ...] = (FIND,)) -> Conversation:
    return Conversation(
        id="s/1", source="s", record_id="1", split="train", domains=(), tools=tools, messages=tuple(messages)
    )


def reason(*messages: Message, tools: tuple[ToolSpec, ...] = (FIND,)) -> str | None:
    rejected = check(conversation(*messages, tools=tools))
    return rejected.reason if rejected else None


def called(**arguments: Any) -> str | None:
    """Reason for one call with these arguments in an otherwise sound conversation."""
    import json

    made = ToolCall(id="1", name="find", arguments=arguments, arguments_raw=json.dumps(arguments))
    return reason(SYSTEM, USER, call(made), RESULT, ANSWER)


@pytest.mark.parametrize(
    "messages",
    [
        (USER, ANSWER),
        (SYSTEM, USER, call(), RESULT, ANSWER, USER),
        (USER, call(content="Let me see."), RESULT, ANSWER),
        (USER, call(), RESULT.model_copy(update={"content": ""}), ANSWER),
        (USER, call(), RESULT.model_copy(update={"content": None}), ANSWER),
        (ANSWER, USER, ANSWER),
        (SYSTEM, ANSWER, USER, ANSWER),
        (USER, call()),
        (USER, call(), RESULT),
        (USER, call(), RESULT, call(calling(id="2")), Message(role="tool", tool_call_id="2", content="[]"), ANSWER),
        (
            USER,
            call(calling(id="a"), calling(id="b")),
            Message(role="tool", tool_call_id="b", content="2"),
            Message(role="tool", tool_call_id="a", content="1"),
            ANSWER,
        ),
    ],
)
def test_sound_conversations_pass(messages: tuple[Message, ...]) -> None:
    assert check(conversation(*messages)) is None


def test_hand_written_conversations_pass(tiny_conversations: list[Conversation]) -> None:
    assert [check(conversation) for conversation in tiny_conversations] == [None] * len(tiny_conversations)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((), "nothing_to_learn"),
        ((SYSTEM, USER), "nothing_to_learn"),
        ((USER, USER, ANSWER), "bad_role_order"),
        ((USER, ANSWER, ANSWER), "bad_role_order"),
        ((USER, SYSTEM, ANSWER), "bad_role_order"),
        ((USER, RESULT, ANSWER), "bad_role_order"),
        ((USER, call(), ANSWER), "bad_role_order"),
        ((call(), RESULT, ANSWER), "bad_role_order"),
        ((ANSWER, ANSWER, USER, ANSWER), "bad_role_order"),
        ((USER, call(), RESULT, USER, ANSWER), "bad_role_order"),
        ((USER, call(), RESULT.model_copy(update={"tool_call_id": "9"}), ANSWER), "stray_tool_message"),
        ((USER, call(), RESULT, RESULT, ANSWER), "stray_tool_message"),
        ((USER, call(calling(id="1"), calling(id="2")), RESULT, ANSWER), "unanswered_call"),
        ((USER, call(calling(), calling()), RESULT, ANSWER), "duplicate_call_id"),
        ((USER, call(), RESULT, ANSWER, USER, call(), RESULT, ANSWER), "duplicate_call_id"),
        ((Message(role="user", content=" \n"), ANSWER), "empty_message"),
        ((Message(role="user"), ANSWER), "empty_message"),
        ((USER, Message(role="assistant")), "empty_message"),
        ((USER, call(calling(id="1"), calling(id="2")), RESULT), "unanswered_call"),
        ((Message(role="user", content="x", tool_calls=(calling(),)), ANSWER), "malformed_message"),
        ((USER, ANSWER.model_copy(update={"tool_call_id": "1"})), "malformed_message"),
        ((USER, call(), Message(role="tool", content="{}"), ANSWER), "malformed_message"),
        ((USER, call(calling(name="fly")), RESULT, ANSWER), "unknown_tool"),
        ((USER, call(calling(raw='{"town": "Ely"}')), RESULT, ANSWER), "raw_arguments_differ"),
        ((USER, call(calling(raw="{")), RESULT, ANSWER), "raw_arguments_differ"),
        ((USER, Message(role="assistant", content="\ud800")), "not_storable"),
    ],
)
def test_each_fault_has_its_reason(messages: tuple[Message, ...], expected: str) -> None:
    assert reason(*messages) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"town": "Ely", "size": "small", "rooms": 2}, None),
        ({"size": "small"}, "missing_argument"),
        ({"town": "Ely", "stars": 3}, "unknown_argument"),
        ({"town": 7}, "wrong_argument_type"),
        ({"town": None}, "wrong_argument_type"),
        ({"town": "Ely", "rooms": "2"}, "wrong_argument_type"),
        ({"town": "Ely", "rooms": True}, "wrong_argument_type"),
        ({"town": "Ely", "size": "huge"}, "wrong_argument_value"),
    ],
)
def test_calls_are_checked_against_the_tools_schema(arguments: dict[str, Any], expected: str | None) -> None:
    assert called(**arguments) == expected


def test_the_detail_says_where_and_what() -> None:
    rejected = check(conversation(USER, call(calling(raw='{"town": 7}', town=7)), RESULT, ANSWER))
    assert rejected is not None
    assert rejected.model_dump() == {
        "source": "s",
        "record_id": "1",
        "reason": "wrong_argument_type",
        "detail": "message 1: find: town: 7 is not of type 'string'",
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"type": "string"},
        {"type": "object", "properties": 3},
        {"type": "object", "required": "town"},
        {"type": "object", "properties": {"town": {"type": "text"}}},
        {"type": "object", "default": {1, 2}},
        {"type": "object", "properties": {"town": {"$ref": "#/$defs/nowhere"}}},
        {"type": "object", "properties": {"town": {"$ref": "https://example.invalid/schema"}}},
        {"type": "object", "properties": {"town": {"type": "string", "pattern": "("}}},
        {"type": "object", "properties": {"town": {"$ref": "#/properties/town"}}},
    ],
)
def test_a_broken_tool_schema_is_a_fault_not_an_exception(parameters: dict[str, Any]) -> None:
    tool = ToolSpec(name="find", parameters=parameters)
    assert reason(USER, call(), RESULT, ANSWER, tools=(tool,)) == "invalid_tool_schema"


def test_a_schema_that_says_so_may_be_open_or_closed() -> None:
    parameters = {"type": "object", "properties": {}, "additionalProperties": True}
    assert reason(USER, call(), RESULT, ANSWER, tools=(ToolSpec(name="find", parameters=parameters),)) is None
    closed = ToolSpec(name="find", parameters={**parameters, "additionalProperties": False})
    assert reason(USER, call(), RESULT, ANSWER, tools=(closed,)) == "unknown_argument"


def test_two_tools_of_one_name() -> None:
    assert reason(USER, ANSWER, tools=(FIND, FIND)) == "duplicate_tool"


MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.none() | st.text(max_size=3),
    tool_calls=st.lists(
        st.builds(
            ToolCall,
            id=st.sampled_from("ab"),
            name=st.sampled_from(["find", "fly"]),
            arguments=st.dictionaries(st.sampled_from(["town", "x"]), st.none() | st.text(max_size=2), max_size=2),
            arguments_raw=st.sampled_from(["{}", '{"town": "a"}', "nonsense"]),
        ),
        max_size=2,
    ).map(tuple),
    tool_call_id=st.none() | st.sampled_from("ab"),
)


@given(messages=st.lists(MESSAGES, max_size=6))
def test_checking_never_raises(messages: list[Message]) -> None:
    rejected = check(conversation(*messages))
    assert rejected is None or rejected.reason.replace("_", "").isalpha()
