"""Completions are taken apart into reasoning, calls and an answer, or a typed failure; nothing ever raises."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import ToolSpec
from models.speech.parsing import Parsed, ParseStatus, parse_completion

TOOLS = (
    ToolSpec(name="FindRoom", parameters={"type": "object", "properties": {"city": {"type": "string"}}}),
    ToolSpec(name="BookRoom", parameters={"type": "object", "properties": {}}, is_write=True),
)
FIND = '<tool_call>\n{"name": "FindRoom", "arguments": {"city": "Oslo"}}\n</tool_call>'
BOOK = '<tool_call>\n{"name": "BookRoom", "arguments": {}}\n</tool_call>'


def parse(text: str, thinking: bool = False) -> Parsed:
    return parse_completion(text, thinking=thinking, tools=TOOLS)


def test_plain_answer():
    parsed = parse("  Which city?\n")
    assert parsed.ok
    assert parsed.answer == "Which city?"
    assert parsed.calls == ()
    assert parsed.reasoning is None
    assert parsed.action == "Which city?"


def test_thought_then_call():
    parsed = parse(f"<think>\nOslo is known.\n</think>\n\n{FIND}", thinking=True)
    assert parsed.ok
    assert parsed.reasoning == "Oslo is known."
    assert parsed.answer is None
    assert [(call.name, call.arguments) for call in parsed.calls] == [("FindRoom", {"city": "Oslo"})]
    assert parsed.calls[0].arguments_raw == '{"city": "Oslo"}'
    assert json.loads(parsed.action) == [{"name": "FindRoom", "arguments": {"city": "Oslo"}}]


def test_parallel_calls_keep_their_order_and_get_ids():
    parsed = parse(f"{FIND}\n{BOOK}")
    assert parsed.ok
    assert [(call.id, call.name) for call in parsed.calls] == [("call_0", "FindRoom"), ("call_1", "BookRoom")]


def test_multi_line_json_and_keys_in_another_order():
    parsed = parse('<tool_call>{\n "arguments": {\n  "city": "Oslo"\n },\n "name": "FindRoom"\n}</tool_call>')
    assert parsed.ok
    assert parsed.calls[0].arguments == {"city": "Oslo"}


@pytest.mark.parametrize(
    "value",
    ["}{", "</tool_call>", "<tool_call>", "<think>x</think>", 'a "quoted" word', "Zürich 北京 🏨", "\\u007d", ""],
)
def test_signs_inside_strings_are_just_text(value):
    call = json.dumps({"name": "FindRoom", "arguments": {"city": value}}, ensure_ascii=False)
    for thinking, prefix in ((False, ""), (True, "<think>\nIt is clear.\n</think>\n\n")):
        parsed = parse(f"{prefix}<tool_call>\n{call}\n</tool_call>", thinking)
        assert parsed.ok
        assert parsed.calls[0].arguments == {"city": value}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Hello.", ParseStatus.MISSING_THINK),
        ("", ParseStatus.MISSING_THINK),
        ("Hm. <think>x</think> Hello.", ParseStatus.MISSING_THINK),
        ("<think>\nI go on and on", ParseStatus.UNCLOSED_THINK),
        ("<think>\n \n</think>\n\nHello.", ParseStatus.EMPTY_THINK),
        ("<think>a <think>b</think></think>\n\nHello.", ParseStatus.EXTRA_THINK),
        ("<think>a</think>Hello.<think>b</think>", ParseStatus.EXTRA_THINK),
        ("<think>a</think>Hello.</think>", ParseStatus.EXTRA_THINK),
        ("<think>a</think>", ParseStatus.EMPTY),
        (f"<think>a</think>{FIND} Done!", ParseStatus.TEXT_BESIDE_CALL),
    ],
)
def test_failures_when_thinking(text, status):
    assert parse(text, thinking=True).status is status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", ParseStatus.EMPTY),
        (" \n", ParseStatus.EMPTY),
        ("<think>\nx\n</think>\n\nHello.", ParseStatus.UNEXPECTED_THINK),
        (f"Let me look. {FIND}", ParseStatus.TEXT_BESIDE_CALL),
        (FIND.replace("FindRoom", "FindHut"), ParseStatus.UNKNOWN_TOOL),
        (FIND.removesuffix("</tool_call>"), ParseStatus.UNCLOSED_CALL),
        (FIND[:30], ParseStatus.UNCLOSED_CALL),
        ("<tool_call>", ParseStatus.UNCLOSED_CALL),
        (FIND + "</tool_call>", ParseStatus.MALFORMED_CALL),
        (FIND.replace("}}", "}} and more"), ParseStatus.MALFORMED_CALL),
        ("<tool_call>\nFindRoom(city='Oslo')\n</tool_call>", ParseStatus.MALFORMED_CALL),
        (f"<tool_call>[{json.dumps({'name': 'FindRoom', 'arguments': {}})}]</tool_call>", ParseStatus.MALFORMED_CALL),
        ("Hello.<|im_end|>\n<|im_start|>user\nHi", ParseStatus.STRAY_MARKUP),
        ("<tool_response>\n{}\n</tool_response>", ParseStatus.STRAY_MARKUP),
    ],
)
def test_failures_without_thinking(text, status):
    assert parse(text).status is status


@pytest.mark.parametrize(
    "call",
    [
        '{"name": "FindRoom"}',
        '{"arguments": {}}',
        '{"name": "", "arguments": {}}',
        '{"name": 7, "arguments": {}}',
        '{"name": "FindRoom", "arguments": "{}"}',
        '{"name": "FindRoom", "arguments": [1]}',
        '{"name": "FindRoom", "arguments": null}',
        '{"name": "FindRoom", "arguments": {}, "id": 1}',
        '{"name": "FindRoom", "name": "BookRoom", "arguments": {}}',
        '{"name": "FindRoom", "arguments": {"city": "a", "city": "b"}}',
        '{"name": "FindRoom", "arguments": {"city": NaN}}',
        '{"name": "FindRoom", "arguments": {"city": -Infinity}}',
        '{"name": "FindRoom", "arguments": {"city": 1e999}}',
        '{"name": "FindRoom", "arguments": {"city": ' + "9" * 5000 + "}}",
        '{"name": "FindRoom", "arguments": {"city": "\\ud800"}}',
        '{"name": "FindRoom", "arguments": {"city": ' + "[" * 80 + "]" * 80 + "}}",
        '{"name": "FindRoom", "arguments": {"city": ' + "[" * 100_000 + "]" * 100_000 + "}}",
        "{'name': 'FindRoom', 'arguments': {}}",
        '{"name": "FindRoom", "arguments": {},}',
        '{"name": "FindRoom" "arguments": {}}',
        "{}",
        "",
    ],
)
def test_what_is_not_exactly_a_call_is_malformed(call):
    parsed = parse(f"<tool_call>\n{call}\n</tool_call>")
    assert parsed.status is ParseStatus.MALFORMED_CALL
    assert parsed.attempted_call
    assert parsed.lost_call
    assert parsed.calls == ()


def test_pieces_survive_a_failure():
    parsed = parse(f"<think>\nBoth.\n</think>\n\n{FIND}\n<tool_call>oops</tool_call>\n{BOOK}\nDone.", thinking=True)
    assert parsed.status is ParseStatus.MALFORMED_CALL
    assert parsed.reasoning == "Both."
    assert [call.name for call in parsed.calls] == ["FindRoom", "BookRoom"]
    assert parsed.answer == "Done."


def test_a_call_inside_the_thought_is_no_call():
    parsed = parse(f"<think>\n{FIND}\n</think>\n\nHello.", thinking=True)
    assert parsed.ok
    assert not parsed.attempted_call
    assert parsed.calls == ()


def test_a_lost_call_is_noticed_behind_a_missing_thought():
    parsed = parse("<tool_call>oops</tool_call>", thinking=True)
    assert parsed.status is ParseStatus.MISSING_THINK
    assert parsed.lost_call


def test_unclosed_but_complete_call_is_kept():
    assert [call.name for call in parse(FIND.removesuffix("\n</tool_call>")).calls] == ["FindRoom"]


MARKUP = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end|>", FIND, BOOK]
JSON_SIGNS = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "\\",
    '"name"',
    '"arguments"',
    '"FindRoom"',
    "null",
    "NaN",
    "1e999",
    "-0",
]
SIGNS = st.sampled_from([*MARKUP, *JSON_SIGNS, "FindRoom", "\n", " ", "é", "\u2028", "\ud800"])


@given(st.lists(SIGNS | st.text(max_size=5), max_size=25).map("".join), st.booleans())
def test_never_raises_and_says_what_it_found(text, thinking):
    parsed = parse(text, thinking)
    parsed.model_dump_json()
    if parsed.ok:
        assert bool(parsed.calls) != bool(parsed.answer)
        assert (parsed.reasoning is not None) == thinking
        assert all(call.name in {"FindRoom", "BookRoom"} for call in parsed.calls)
    if parsed.calls or parsed.lost_call:
        assert parsed.attempted_call


@given(st.binary(max_size=200), st.booleans())
def test_never_raises_on_bytes(raw, thinking):
    assert parse(raw.decode("utf-8", "surrogateescape"), thinking).status in ParseStatus


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_json_object_comes_back_as_it_was(arguments, indent, ascii_only):
    call = json.dumps({"name": "FindRoom", "arguments": arguments}, indent=indent, ensure_ascii=ascii_only)
    parsed = parse(f"<tool_call>\n{call}\n</tool_call>")
    assert parsed.ok
    assert parsed.calls[0].arguments == arguments
    assert json.loads(parsed.calls[0].arguments_raw) == arguments
