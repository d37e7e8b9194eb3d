"""Renamed tools: consistent everywhere in a conversation, sound, worth full reward, and only where they should be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import snapshot
from data.decision_points import decision_points
from data.ingest import ingest
from data.quality import check
from data.renaming import renamed, with_other_names
from data.reporting import Silent
from data.schema import Conversation, Message, Quarantined, ToolCall, ToolSpec
from data.settings import DataSettings, RewardWeights
from data.sources.simulated import Simulated
from data.versions import compute_version
from models.rewards.gold import audit
from models.rewards.variants import load_reward

PRACTICE = [Simulated().conversation(number, DataSettings()) for number in range(150)]
TRAINING = [one for one in PRACTICE if one.split == "train"]


def _conversation(tool: ToolSpec, call: ToolCall, *, domains: tuple[str, ...] = (), system: str = "") -> Conversation:
    said = [Message(role="system", content=system)] if system else []
    return Conversation(
        id="own/1",
        source="own",
        record_id="1",
        split="train",
        domains=domains,
        tools=(tool,),
        messages=(
            *said,
            Message(role="user", content="My order_id is 7."),
            Message(role="assistant", tool_calls=(call,), rationale=f"{tool.name} needs order_id 7."),
            Message(role="tool", content='{"order_id": "7", "state": "sent"}', tool_call_id=call.id),
            Message(role="assistant", content="It is sent."),
        ),
    )


def test_domains_that_are_tools_go_by_the_names_that_are_called() -> None:
    call = ToolCall(id="c", name="find_order", arguments={"order_id": "7"}, arguments_raw='{"order_id": "7"}')
    other = with_other_names(
        _conversation(ToolSpec(name="find_order", parameters=_schema()), call, domains=("find_order", "shop"))
    )
    assert other.domains == (other.tools[0].name, "shop")
    assert other.messages[1].tool_calls[0].name == other.domains[0]


def _schema(**more: object) -> dict[str, object]:
    return {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"], **more}


def _call(name: str, raw: str = '{"order_id": "7"}', arguments: dict[str, object] | None = None) -> ToolCall:
    return ToolCall(id="1", name=name, arguments=arguments or {"order_id": "7"}, arguments_raw=raw)


def test_renamed_conversations_pass_every_check_and_their_gold_earns_all_there_is() -> None:
    others = [with_other_names(one) for one in PRACTICE]
    assert [check(one) for one in others] == [None] * len(others)
    report = audit([point for one in others for point in decision_points(one)], load_reward("graded", RewardWeights()))
    assert not report.barred


def test_what_people_said_and_every_value_stay() -> None:
    for before in PRACTICE:
        after = with_other_names(before)
        assert [(m.role, m.content) for m in before.messages if m.role in ("user", "assistant")] == [
            (m.role, m.content) for m in after.messages if m.role in ("user", "assistant")
        ]
        for one, other in zip(before.messages, after.messages, strict=True):
            assert (one.facts, one.acts, one.requested) == (other.facts, other.acts, other.requested)
            assert [list(call.arguments.values()) for call in one.tool_calls] == [
                list(call.arguments.values()) for call in other.tool_calls
            ]


def test_most_tools_get_another_name_and_two_conversations_different_ones() -> None:
    pairs = [
        (tool.name, other.name)
        for one in TRAINING
        for tool, other in zip(one.tools, with_other_names(one).tools, strict=True)
    ]
    assert sum(before != after for before, after in pairs) > 0.8 * len(pairs)
    assert len({after for before, after in pairs if before == "verify_customer"}) > 5


def test_names_in_the_system_message_the_result_and_the_rationale_follow() -> None:
    tool = ToolSpec(name="track_order", description="Uses the order_id.", parameters=_schema())
    after = with_other_names(_conversation(tool, _call("track_order"), system="Never call track_order twice."))
    name, argument = after.tools[0].name, next(iter(after.tools[0].parameters["properties"]))
    system, user, call, result, _ = after.messages
    assert name != "track_order"
    assert after.tools[0].parameters["required"] == [argument]
    assert system.content == f"Never call {name} twice."
    assert call.tool_calls[0].name == name
    assert call.rationale == f"{name} needs {argument} 7."
    assert json.loads(call.tool_calls[0].arguments_raw) == call.tool_calls[0].arguments == {argument: "7"}
    assert json.loads(result.content or "") == {argument: "7", "state": "sent"}
    assert after.tools[0].description == f"Uses the {argument}."
    assert user.content == "My order_id is 7."  # people speak as they speak


def _described_house(number: int) -> Conversation:
    """A conversation whose arguments are ordinary words and described; every number is another house."""
    properties = {
        "city": {"type": "string", "description": "City in which the journey originates (e.g. Paris)"},
        "type": {"type": "string", "description": "The type of it"},
        "alcohol": {"type": "string", "description": "Boolean flag indicating if the restaurant serves alcohol"},
        "plain": {"type": "string"},
    }
    tool = ToolSpec(name="find_place", parameters={**_schema(properties=properties), "required": ["city", "type"]})
    thought = "It needs city=Paris, type=?, plain=1. type is missing, so I ask; alcohol, plain are missing. The city!"
    call = _call("find_place", '{"city": "Paris"}', {"city": "Paris"})
    base = _conversation(tool, call)
    asked = Message(role="assistant", content="The city?", rationale="The user asks for alcohol, which results tell.")
    result = Message(role="tool", content='{"city": "a city", "type" : "city", "other": 1}', tool_call_id=call.id)
    thinking = base.messages[1].model_copy(update={"rationale": thought})
    return base.model_copy(
        update={"record_id": str(number), "messages": (base.messages[0], thinking, result, asked)},
    )


def test_every_second_house_names_arguments_by_what_is_said_of_them() -> None:
    houses = [
        list(with_other_names(_described_house(number)).tools[0].parameters["properties"]) for number in range(60)
    ]
    words = [["".join(c for c in name.lower() if c.isalpha()) for name in house] for house in houses]
    described = [one for one in words if one == ["cityjourneyoriginates", "type", "restaurantservesalcohol", "plain"]]
    assert len(described) + sum(one == ["city", "type", "alcohol", "plain"] for one in words) == 60
    assert 20 <= len(described) <= 40


def test_ordinary_words_follow_where_they_name_an_argument_and_only_there() -> None:
    after = next(
        after
        for number in range(60)
        if "city" not in (after := with_other_names(_described_house(number))).tools[0].parameters["properties"]
        and "alcohol" not in after.tools[0].parameters["properties"]
    )
    city, kind, alcohol, plain = after.tools[0].parameters["properties"]
    _, call, result, asked = after.messages
    assert call.rationale == (
        f"It needs {city}=Paris, {kind}=?, {plain}=1. {kind} is missing, so I ask; {alcohol}, {plain} are missing. "
        "The city!"
    )
    assert asked.rationale == f"The user asks for {alcohol}, which results tell."
    assert json.loads(result.content or "") == {city: "a city", kind: "city", "other": 1}
    assert call.tool_calls[0].arguments == {city: "Paris"}
    assert asked.content == "The city?"


def test_a_schema_that_names_its_arguments_elsewhere_keeps_them() -> None:
    tool = ToolSpec(name="track_order", parameters=_schema(anyOf=[{"required": ["order_id"]}]))
    after = with_other_names(_conversation(tool, _call("track_order")))
    assert after.tools[0].parameters == tool.parameters
    assert after.tools[0].name != "track_order"
    assert check(after) is None


def test_what_tells_the_domain_stays() -> None:
    tool = ToolSpec(name="Hotels_2_FindHouse", parameters=_schema())
    after = with_other_names(_conversation(tool, _call("Hotels_2_FindHouse"), domains=("Travel", "Hotels_2")))
    assert {point.domain for point in decision_points(after)} == {"Hotels_2"}
    assert after.tools[0].name != "Hotels_2_FindHouse"


@pytest.mark.parametrize("raw", ['{"order_id": NaN}', "{", "[1]", '"order_id"', "[" * 5000])
def test_raw_arguments_that_are_no_json_object_are_left_to_the_checks(raw: str) -> None:
    tool = ToolSpec(name="track_order", parameters=_schema())
    (after,) = renamed([_conversation(tool, _call("track_order", raw))], 1.0)
    assert isinstance(after, Conversation)
    assert after.messages[1].tool_calls[0].arguments_raw == raw
    assert isinstance(check(after), Quarantined)


@pytest.mark.parametrize(
    "schema",
    [
        _schema(required=[["order_id"]]),
        _schema(required="order_id"),
        _schema(properties=["order_id"]),
        {"type": "object", "properties": {"a_b": {"type": "string"}, "order_id": {"$ref": "#/properties/a_b"}}},
    ],
)
def test_what_is_unsound_or_would_become_so_passes_as_it_is(schema: dict[str, object]) -> None:
    before = _conversation(ToolSpec(name="track_order", parameters=schema), _call("track_order"))
    assert list(renamed([before], 1.0)) == [before]


def test_a_hyphenated_word_in_running_text_is_no_identifier() -> None:
    schema = {"type": "object", "properties": {"check-in": {"type": "string"}, "order_id": {"type": "string"}}}
    tool = ToolSpec(name="track_order", description="Ask for check-in first.", parameters=schema)
    after = with_other_names(_conversation(tool, _call("track_order"), system="The check-in opens at three."))
    assert after.messages[0].content == "The check-in opens at three."
    assert after.tools[0].description == tool.description


@settings(max_examples=200, deadline=None)
@given(
    names=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=6, unique=True),
    arguments=st.lists(st.text(max_size=10), max_size=5, unique=True),
)
def test_no_two_names_fall_together(names: list[str], arguments: list[str]) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in arguments}, "required": arguments}
    base = _conversation(ToolSpec(name="x", parameters=_schema()), _call("x"))
    tools = tuple(ToolSpec(name=name, parameters=schema) for name in names)
    after = with_other_names(base.model_copy(update={"tools": tools, "messages": base.messages[:1]}))
    assert len({tool.name for tool in after.tools}) == len(names)
    assert all(len(tool.parameters["properties"]) == len(arguments) for tool in after.tools)


def test_the_share_is_met_and_only_training_conversations_change() -> None:
    many = [Simulated().conversation(number, DataSettings()) for number in range(400)]
    after = list(renamed(many, 0.5))
    changed = [one.split for one, other in zip(many, after, strict=True) if one != other]
    training = sum(one.split == "train" for one in many)
    assert set(changed) == {"train"}
    assert 0.4 * training < len(changed) < 0.6 * training
    assert next(iter(renamed(many, 1.0))) != many[0]


def test_renaming_is_part_of_the_version_and_leaves_other_versions_alone() -> None:
    plain = compute_version("s", "f", DataSettings())
    assert plain == compute_version("s", "f", DataSettings(rename_tools=0.0))
    shares = {compute_version("s", "f", DataSettings(rename_tools=share)) for share in (0.0, 0.5, 1.0)}
    assert len(shares) == 3


def test_an_ingested_dataset_holds_the_other_names() -> None:
    version = ingest(DataSettings(conversations=20, rename_tools=1.0), Silent()).dataset_version
    for conversation in snapshot.read_conversations(version):
        original = Simulated().conversation(int(conversation.record_id), DataSettings())
        wanted = with_other_names(original) if original.split == "train" else original
        assert conversation == wanted
