"""One decision point per assistant message, with its history and its domain."""

from __future__ import annotations

from data.decision_points import decision_points
from data.schema import Conversation, Message, ToolCall, ToolSpec


def calls(*names: str) -> Message:
    made = tuple(ToolCall(id=name, name=name, arguments={}, arguments_raw="{}") for name in names)
    return Message(role="assistant", tool_calls=made)


def result(name: str) -> Message:
    return Message(role="tool", tool_call_id=name, content="{}")


USER = Message(role="user", content="Hello.")
ANSWER = Message(role="assistant", content="Hello to you.")


def conversation(*messages: Message, domains: tuple[str, ...] = ("Hotels", "Hotels_2", "Cafes_1")) -> Conversation:
    tool = ToolSpec(name="Hotels_2_Find", parameters={"type": "object", "properties": {}})
    return Conversation(
        id="s/x/7", source="s", record_id="x/7", split="train", domains=domains, tools=(tool,), messages=messages
    )


def test_one_point_per_assistant_message_with_all_that_precedes_it() -> None:
    whole = conversation(USER, calls("Hotels_2_Find", "Cafes_1_Find"), result("Hotels_2_Find"), ANSWER, USER, ANSWER)
    points = decision_points(whole)
    assert [point.id for point in points] == ["s/x/7#1", "s/x/7#3", "s/x/7#5"]
    assert [point.kind for point in points] == ["call", "answer", "answer"]
    assert [point.tool for point in points] == ["Hotels_2_Find", None, None]
    for point in points:
        assert point.history == whole.messages[: point.message_index]
        assert point.expected is whole.messages[point.message_index]
        assert (point.conversation_id, point.source, point.split) == (whole.id, whole.source, whole.split)
        assert point.tools == whole.tools


def test_the_domain_is_that_of_the_call_then_of_the_latest_call() -> None:
    points = decision_points(
        conversation(
            USER,
            ANSWER,
            USER,
            calls("Cafes_1_Find"),
            result("Cafes_1_Find"),
            ANSWER,
            USER,
            calls("Hotels_2_Find"),
            result("Hotels_2_Find"),
            ANSWER,
        )
    )
    assert [point.domain for point in points] == ["Hotels", "Cafes_1", "Cafes_1", "Hotels_2", "Hotels_2"]


def test_tools_named_without_their_domain_belong_to_the_first() -> None:
    assert [p.domain for p in decision_points(conversation(USER, calls("search"), domains=("desk",)))] == ["desk"]
    assert [p.domain for p in decision_points(conversation(USER, ANSWER, domains=()))] == ["s"]


def test_a_conversation_without_assistant_has_none() -> None:
    assert decision_points(conversation(USER)) == []


def test_a_greeting_before_the_user_speaks_is_no_decision() -> None:
    points = decision_points(conversation(ANSWER, USER, ANSWER))
    assert [point.message_index for point in points] == [2]
