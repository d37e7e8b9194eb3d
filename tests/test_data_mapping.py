"""What strangers write, made canonical: files, JSON, schemas, messages, ShareGPT, facts, turns, rationales."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.mapping import files, plain_json
from data.mapping.cutting import cut
from data.mapping.facts import states, with_derived_facts
from data.mapping.files import read_records, record_files
from data.mapping.json_schema import object_schema, repaired, schema_of_type
from data.mapping.openai import messages_of, tools_of
from data.mapping.rationales import with_derived_rationales
from data.mapping.sharegpt import as_openai
from data.mapping.turns import joined
from data.schema import Act, Fact, Message, ToolCall, ToolSpec
from data.sources.base import SourceError, Unusable
from models.facts import conveys

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def answer(text: str, **changes: Any) -> Message:
    return Message(role="assistant", content=text, **changes)


def calling(name: str = "find", **arguments: Any) -> Message:
    call = ToolCall(id="1", name=name, arguments=arguments, arguments_raw=json.dumps(arguments))
    return Message(role="assistant", tool_calls=(call,))


def result(value: Any) -> Message:
    return Message(role="tool", tool_call_id="1", content=value if isinstance(value, str) else json.dumps(value))


# Files


def test_the_same_records_come_out_of_every_kind_of_file(tmp_path: Path) -> None:
    records = [{"a": 1, "text": "ü"}, {"a": 2, "text": "x"}]
    lines = "\n\n".join(json.dumps(record) for record in records).encode()
    (tmp_path / "lines.jsonl").write_bytes(b"\xef\xbb\xbf" + lines)
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "list.json").write_bytes(b"\n [" + lines.replace(b"\n\n", b",") + b"]")
    (tmp_path / "lines.json").write_bytes(lines)
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "table.parquet")
    (tmp_path / ".hidden.jsonl").write_bytes(b"{}")
    (tmp_path / "notes.txt").write_bytes(b"no records")
    found = record_files(tmp_path, "s", "records")
    assert [file.name for file in found] == [
        "lines.json",
        "lines.jsonl",
        "list.json",
        "packed.jsonl.gz",
        "table.parquet",
    ]
    for file in found:
        assert [read.record for read in read_records(file)] == records, file.name


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("part-0.jsonl", b'{"a": 1}\nnot json', "part-0.jsonl#2"),
        ("part-0.json", b"[1,", "part-0.json"),
        ("part-0.parquet", b"PAR1", "part-0.parquet"),
        ("part-0.jsonl.gz", b"\x1f\x8bnothing", "part-0.jsonl.gz"),
    ],
)
def test_files_of_one_name_are_told_apart_by_their_folders(
    tmp_path: Path, name: str, content: bytes, place: str
) -> None:
    for week in ("2026-11-16", "2026-11-23"):
        (tmp_path / week).mkdir()
        (tmp_path / week / name).write_bytes(content)
    reads = [read for file in record_files(tmp_path, "s", "records") for read in read_records(file, under=tmp_path)]
    assert [read.place for read in reads if read.reason] == [f"2026-11-16/{place}", f"2026-11-23/{place}"]
    file = tmp_path / "2026-11-16" / name
    (alone,) = (read for read in read_records(file, under=file) if read.reason)
    assert alone.place == place


def test_what_cannot_be_read_is_told_with_its_place_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    deep = "[" * 70 + "]" * 70
    file.write_text('{"a": 1}\nnot json\n{"a": NaN}\n' + deep + "\n" + json.dumps("x" * 300) + '\n{"a": 2}\n')
    reads = list(read_records(file, limit=200))
    assert [read.reason for read in reads] == [None, "not_json", "not_json", "not_json", "oversized_record", None]
    assert reads[1].place == "a.jsonl#2"
    assert "levels deep" in reads[3].detail
    assert reads[-1].record == {"a": 2}


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl.gz", b"\x1f\x8bnothing"), ("a.parquet", b"PAR1"), ("a.json", b"[1,")]
)
def test_a_broken_file_is_one_row(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert [read.reason for read in read_records(tmp_path / name)] == ["unreadable_file"]


def test_a_list_beyond_the_limit_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LIST", 10)
    (tmp_path / "a.json").write_text("[" + "1," * 20 + "1]")
    (read,) = read_records(tmp_path / "a.json")
    assert (read.reason, "JSON lines" in read.detail) == ("oversized_file", True)


def test_a_path_without_records_names_what_was_expected(tmp_path: Path) -> None:
    for path in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(SourceError, match="give --path, chats"):
            record_files(path, "openai", "chats")


def test_columns_that_no_row_states_are_absent() -> None:
    row = {"a": None, "b": [{"c": None, "d": 1}], "e": [None, 2]}
    assert plain_json.of_columns(row) == {"b": [{"d": 1}], "e": [None, 2]}


# Schemas


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("dict", {"type": "object"}),
        ("float", {"type": "number"}),
        ("str, optional", {"type": "string"}),
        ("List[int]", {"type": "array", "items": {"type": "integer"}}),
        ("List[List[float]]", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("Tuple[float, float]", {"type": "array", "items": {"type": "number"}}),
        ("List[Union[int, float]]", {"type": "array"}),
        ("Dict[str, int]", {"type": "object"}),
        ("ArrayList<String>", {"type": "array", "items": {"type": "string"}}),
        ("['string', 'null']", {"type": ["string", "null"]}),
        (["string", "integer"], {"type": ["string", "integer"]}),
        ("Callable[[float], float]", {}),
        ("any", {}),
        ("", {}),
        (7, {}),
    ],
)
def test_types_as_people_write_them(written: Any, expected: dict[str, Any]) -> None:
    assert schema_of_type(written) == expected


def test_a_loose_schema_becomes_one_at_all_depths() -> None:
    loose = {
        "type": "dict",
        "required": ["place", "nowhere", "place"],
        "optional": ["x"],
        "properties": {
            "place": {"type": "tuple", "items": {"type": "float"}, "description": "Where.", "default": None},
            "what": {"type": "dict", "properties": {"size": {"type": "String", "enum": ["s", "l"], "default": "s"}}},
        },
    }
    assert object_schema(loose) == {
        "type": "object",
        "required": ["place"],
        "properties": {
            "place": {"type": "array", "description": "Where.", "items": {"type": "number"}},
            "what": {
                "type": "object",
                "properties": {"size": {"type": "string", "enum": ["s", "l"], "default": "s"}},
            },
        },
    }
    assert object_schema(None) == {"type": "object", "properties": {}}


@given(JSON)
def test_repairing_never_raises_and_is_done_at_once(schema: Any) -> None:
    once = repaired(schema)
    assert repaired(once) == once


# Messages


def test_openai_messages_in_all_their_forms() -> None:
    messages = messages_of(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "x", "function": {"name": "f", "arguments": '{"a":  1}'}},
                    {"function": {"name": "g", "arguments": {"b": "ü"}}},
                    {"id": "z", "function": {"name": "h", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "z", "content": "3"},
            {"role": "tool", "content": "1"},
            {"role": "tool", "content": None},
            {"role": "assistant", "content": "<think>Done?</think>Yes.", "function_call": None},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "old"},
            {"role": "assistant", "content": None, "refusal": "No.", "reasoning_content": "Not allowed."},
        ]
    )
    assert [message.role for message in messages][:2] == ["system", "user"]
    assert messages[1].content == "A\nB"
    calls = messages[2].tool_calls
    assert [(call.id, call.arguments, call.arguments_raw) for call in calls] == [
        ("x", {"a": 1}, '{"a":  1}'),
        ("call_2", {"b": "ü"}, '{"b": "ü"}'),
        ("z", {}, "{}"),
    ]
    assert [(m.tool_call_id, m.content) for m in messages[3:6]] == [("z", "3"), ("x", "1"), ("call_2", "")]
    assert (messages[6].rationale, messages[6].content) == ("Done?", "Yes.")
    assert messages[9].tool_call_id == messages[8].tool_calls[0].id == "call_4"
    assert (messages[10].rationale, messages[10].content) == ("Not allowed.", "No.")


def test_a_call_id_used_twice_is_made_unique_and_its_result_follows() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "{}"}}]}
    again = messages_of([call, {"role": "tool", "tool_call_id": "x"}, call, {"role": "tool", "tool_call_id": "x"}])
    assert [again[0].tool_calls[0].id, again[1].tool_call_id] == ["x", "x"]
    assert again[2].tool_calls[0].id == again[3].tool_call_id == "x_2"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Hello", "malformed_message"),
        ({"role": "critic", "content": "x"}, "unknown_role"),
        ({"role": "user", "content": 7}, "malformed_message"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "unsupported_content"),
        ({"role": "tool", "content": "x"}, "stray_tool_message"),
        ({"role": "assistant", "tool_calls": {}}, "malformed_call"),
        ({"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}, "malformed_call"),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{'a': 1}"}}]},
            "malformed_arguments",
        ),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}, "malformed_arguments"),
    ],
)
def test_what_is_no_message_says_why(message: Any, reason: str) -> None:
    with pytest.raises(Unusable, match=r"^message 0: ") as caught:
        messages_of([message])
    assert caught.value.reason == reason


def test_tools_in_all_their_forms() -> None:
    function = {"name": "f", "description": None, "parameters": {"properties": {"a": {"type": "string"}}}}
    for written in ([{"type": "function", "function": function}], [function], json.dumps([function])):
        (tool,) = tools_of(written)
        assert tool.parameters == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert tools_of(None) == tools_of("") == tools_of("[]") == ()
    assert tools_of([{"name": "g", "is_write": True}])[0].is_write
    loose = {"name": "f", "parameters": {"type": "dict", "properties": {"a": {"type": "float"}}}}
    assert tools_of([loose], loose=True)[0].parameters["properties"] == {"a": {"type": "number"}}
    assert tools_of([loose])[0].parameters["type"] == "dict"  # left for the quality gate to reject
    for malformed in ("{", {"name": "f"}, [{"function": {}}], [3], [{"name": "f", "parameters": [1]}]):
        with pytest.raises(Unusable) as caught:
            tools_of(malformed)
        assert caught.value.reason == "malformed_tools"


@given(st.lists(JSON, max_size=4), JSON)
def test_reading_messages_and_tools_raises_nothing_but_unusable(messages: list[Any], tools: Any) -> None:
    with suppress(Unusable):
        messages_of(messages)
    with suppress(Unusable):
        tools_of(tools)


def test_sharegpt_with_tags_and_with_roles_reads_alike() -> None:
    call = '{"name": "find", "arguments": {"town": "Ely"}}'
    tagged = {
        "conversations": [
            {"from": "system", "value": f"You call functions. <tools> {json.dumps({'name': 'find'})} </tools>"},
            {"from": "human", "value": "A room in Ely."},
            {"from": "gpt", "value": f"<tool_call>\n{call}\n</tool_call>"},
            {"from": "tool", "value": "<tool_response>\n{}\n</tool_response>"},
            {"from": "gpt", "value": "None free."},
        ]
    }
    plain = {
        "tools": '[{"name": "find"}]',
        "conversations": [
            {"from": "human", "value": "A room in Ely."},
            {"from": "function_call", "value": call},
            {"from": "observation", "value": "{}"},
            {"from": "gpt", "value": "None free."},
        ],
    }
    records = [as_openai(tagged), as_openai(plain)]
    assert messages_of(records[0]["messages"]) == messages_of(records[1]["messages"])
    assert tools_of(records[0]["tools"]) == tools_of(records[1]["tools"])
    assert [m.role for m in messages_of(records[0]["messages"])] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ({"status": "shipped"}, '{"status": "shipped"}'),
        (5, "5"),
        ([{"id": 12, "text": "Printer broken"}], '[{"id": 12, "text": "Printer broken"}]'),
        (["Köln", "Kiel"], '["Köln", "Kiel"]'),
        ([], "[]"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        (None, ""),
        ("as it is", "as it is"),
    ],
)
def test_what_a_tool_returned_is_kept_whole_whatever_json_it_is(content: Any, kept: str) -> None:
    asked = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
    assert messages_of([asked, {"role": "tool", "tool_call_id": "c", "content": content}])[-1].content == kept


def test_what_its_owner_does_not_want_learned_is_refused_and_weights_of_others_are_nothing() -> None:
    kept = [{"role": "user", "content": "Hi", "weight": 0}, {"role": "assistant", "content": "Hello.", "weight": 1}]
    assert [message.content for message in messages_of(kept)] == ["Hi", "Hello."]
    rude = {"role": "assistant", "content": "Go away.", "weight": 0}
    with pytest.raises(Unusable, match=r"message 2: its weight is 0; end the record before it") as caught:
        messages_of([*kept, rude])
    assert caught.value.reason == "not_to_learn"
    shared = as_openai(
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "x", "weight": 0}]}
    )
    with pytest.raises(Unusable, match="weight"):
        messages_of(shared["messages"])


def test_sharegpt_keeps_a_system_text_text_beside_calls_and_parallel_calls() -> None:
    two = '[{"name": "f", "arguments": {}}, {"name": "g", "parameters": {"a": 1}}]'
    record = as_openai(
        {
            "system": "Be kind.",
            "conversations": [
                {"from": "human", "value": "Both."},
                {"from": "gpt", "value": f"Gladly. <tool_call>{two}</tool_call>"},
                {"from": "tool", "value": "<tool_response>1</tool_response><tool_response>2</tool_response>"},
            ],
        }
    )
    system, _, both, first, second = messages_of(record["messages"])
    assert system.content == "Be kind."
    assert (both.content, [call.name for call in both.tool_calls]) == ("Gladly.", ["f", "g"])
    assert (first.content, second.content) == ("1", "2")
    with pytest.raises(Unusable, match="turn 0: "):
        as_openai({"conversations": [{"from": "function_call", "value": "find()"}]})


def test_of_a_system_text_with_tools_only_the_format_gives_way() -> None:
    system = (
        "You are the clerk of Mill Library. Never lend to minors. You can call functions within <tools></tools> tags. "
        'Here are the available tools: <tools>[{"name": "lend"}]</tools> For each function call return a JSON object '
        'within tool_call tags:\n<tool_call>\n{"name": "…"}\n</tool_call>\nSpeak plainly.'
    )
    record = as_openai({"conversations": [{"from": "system", "value": system}, {"from": "human", "value": "Hi"}]})
    said = [(message["role"], message["content"]) for message in record["messages"]]
    own = "You are the clerk of Mill Library. Never lend to minors. Speak plainly."
    assert said == [("system", own), ("user", "Hi")]
    assert [tool.name for tool in tools_of(record["tools"])] == ["lend"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Confirm room 01 to jane.roe1@clinic-north.org or call", "Confirm room 01 to …"),
        ("Please call me back at 415-555-0100 tomorrow morning", "Please call me back at …"),
        ("jane.margaret.roe.of.the.long.name@clinic-north.org", "…"),
        ("short", "short"),
        ("x" * 40, "x" * 40),
    ],
)
def test_what_is_cut_is_cut_between_words_and_before_numbers(text: str, shown: str) -> None:
    """Of half an address nobody can tell that it is one, and no redaction takes it out."""
    assert cut(text, 40) == shown


def test_whole_numbers_beyond_64_bits_are_refused_and_not_rounded() -> None:
    assert plain_json.parse('{"a": 18446744073709551615, "b": -9223372036854775808}') == {"a": 2**64 - 1, "b": -(2**63)}
    assert plain_json.parse('{"a": "89490200001234567890"}') == {"a": "89490200001234567890"}
    assert plain_json.parse(b"[1.0000000000000000001]") == [1.0]
    for text in ('{"iccid": 89490200001234567890}', b'{"iccid": 89490200001234567890}', "[" + "9" * 40 + "]"):
        with pytest.raises(plain_json.NotJson, match="beyond 64 bits; write it as text"):
            plain_json.parse(text)


def test_files_as_editors_write_them_are_read(tmp_path: Path) -> None:
    bom, record = b"\xef\xbb\xbf", {"messages": [{"role": "user", "content": "Grüße"}]}
    whole = json.dumps(record, indent=2).encode()
    for name, content, expected in (
        ("list.json", bom + json.dumps([record, record]).encode(), 2),
        ("one.json", whole, 1),
        ("bom.json", bom + whole, 1),
        ("lines.json", json.dumps(record).encode() + b"\n" + json.dumps(record).encode(), 2),
        ("one.json.gz", gzip.compress(whole), 1),
    ):
        (tmp_path / name).write_bytes(content)
        reads = list(read_records(tmp_path / name))
        assert [read.record for read in reads] == [record] * expected, name
        assert reads[0].place == f"{name}#1"
    (tmp_path / "torn.json").write_bytes(whole[:-4])
    assert {read.reason for read in read_records(tmp_path / "torn.json")} == {"not_json"}


# Turns, facts, rationales


def test_what_one_speaker_sent_in_pieces_is_one_turn() -> None:
    turns, count = joined([user("Hi."), user("A room."), answer("One moment."), calling(), result("{}"), answer("No.")])
    assert count == 2
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant"]
    assert turns[0].content == "Hi.\nA room."
    assert turns[1].content == "One moment."
    assert turns[1].tool_calls


def facts_of(told: str, value: Any, *before: Message) -> dict[str, tuple[str, ...]]:
    messages = with_derived_facts([user("Hello"), *before, calling(place="Ely"), result(value), answer(told)])
    return {fact.name: fact.forms for fact in messages[-1].facts}


@pytest.mark.parametrize(
    ("told", "value", "expected"),
    [
        ("It is the Old Mill.", {"name": "Old Mill"}, {"name": ("Old Mill",)}),
        ("It is the OLD  MILL, £1,250.00", {"name": "Old Mill", "price": 1250}, {"name", "price"}),
        ("It costs 12.5", [{"rows": [{"price": 12.5}]}], {"price"}),
        ("In Ely it is full.", {"town": "Ely"}, {}),  # the call has said it
        ("The result is a success.", {"status": "success", "n": 3, "ok": True}, {}),
        ("Room 3 in 2019.", {"room": 3, "floor": 19}, {}),
        ("Nothing of it.", {"name": "Old Mill"}, {}),
        ("It is the Old Mill.", "Old Mill", {}),  # no JSON: what is a value nobody knows
    ],
)
def test_facts_are_values_the_answer_passes_on(told: str, value: Any, expected: Any) -> None:
    found = facts_of(told, value)
    assert found.keys() == set(expected)
    if isinstance(expected, dict):
        assert found == expected


@pytest.mark.parametrize(
    ("text", "form"),
    [("荷物は上海a区にあります", "上海"), ("上海3号仓库", "上海"), ("JR大阪駅です", "大阪"), ("大阪2号店です", "大阪")],
)
def test_values_in_scripts_without_spaces_end_anywhere(text: str, form: str) -> None:
    assert states(text.lower(), form)
    assert conveys(Fact(name="place", kind="value", forms=(form,)), text)
    assert not states("在上2海", form)


def test_what_was_said_before_is_no_news_and_earlier_results_still_count() -> None:
    assert facts_of("The Old Mill it is.", {"name": "Old Mill"}, answer("Old Mill?"), user("Yes")) == {}
    later = [
        calling(),
        result({"phone": "01353 600"}),
        answer("It is free."),
        user("Phone?"),
        answer("Call 01353 600."),
    ]
    messages = with_derived_facts([user("Hello"), *later])
    assert [fact.forms for fact in messages[-1].facts] == [("01353 600",)]
    assert messages[3].facts == ()


@pytest.mark.parametrize(
    ("told", "acts", "facts"),
    [
        ("Which town?", (Act.REQUEST,), 0),
        ("It is the Old Mill. Shall I book it?", (Act.REQUEST,), 1),
        ("Thanks, Mia. Which of them shall I change?", (Act.REQUEST,), 0),
        ("Shall I book it, or is there something else you want?", (Act.REQUEST,), 0),
        ("Fine. Anything else? Bye.", (), 0),
        ("It is booked. Would you like anything else?", (), 0),
        ("It is booked. Need anything else?", (), 0),
        ("It is booked. Will that be all?", (), 0),
        ("It is booked. What more can I do for you?", (), 0),
        ("It is booked. Do you have any other questions or concerns?", (), 0),
        ("It is full. Any other date that would suit you?", (Act.REQUEST,), 0),
        ("I find none. Is there any other name the booking could be under?", (Act.REQUEST,), 0),
        ("I see. Do you want me to change the address or something else?", (Act.REQUEST,), 0),
        ("Is there something specific you want me to change in the order?", (Act.REQUEST,), 0),
        ("Is there anything wrong with the delivered item?", (Act.REQUEST,), 0),
        ("您想改地址吗？", (Act.REQUEST,), 0),
        ("I am sorry, that cannot be changed. Is there anything else I can help you with?", (), 0),
        ("It is the Old Mill.\n\nWhat else can I do for you?", (), 1),
        ("Is there anything else I can help you with?", (Act.REQUEST_MORE,), 0),
        ("You are welcome!", (), 0),
    ],
)
def test_what_an_answer_asks_for_is_read_from_its_end_whether_it_tells_a_value_or_not(
    told: str, acts: tuple[Act, ...], facts: int
) -> None:
    place = {"name": "Old Mill", "first_name": "Mia"}
    found = with_derived_facts([user("Hello"), calling(), result(place), answer(told)])[-1]
    assert (found.acts, len(found.facts)) == (acts, facts)
    assert "I ask" in str(with_derived_rationales([found], [])[0].rationale) or Act.REQUEST not in acts


@given(st.text(max_size=30), st.text(min_size=1, max_size=8))
def test_what_states_a_value_also_conveys_it(text: str, form: str) -> None:
    """The reward has to agree with the derivation, or recorded answers would miss their own facts."""
    if form.strip().isalnum() and states(text.lower(), form.lower()):
        assert conveys(Fact(name="x", kind="value", forms=(form,)), text)


def test_rationales_say_what_is_on_record_and_leave_stated_ones_alone() -> None:
    tool = ToolSpec(name="find", description="Find a room. Slowly.", parameters={"type": "object"})
    told = answer("The Old Mill.")
    messages = with_derived_facts([user("A room"), calling(place="Ely"), result({"name": "Old Mill"}), told])
    thought = with_derived_rationales(messages, [tool])
    assert "find" in (thought[1].rationale or "")
    assert "place=Ely" in (thought[1].rationale or "")
    assert "name=Old Mill" in (thought[3].rationale or "")
    assert thought[0].rationale is thought[2].rationale is None
    assert with_derived_rationales(messages, [tool]) == thought
    own = [user("A room"), answer("Where?", rationale="Ask.")]
    assert with_derived_rationales(own, [tool]) == tuple(own)
