"""What reaches a client bit by bit is what it would get at once."""

from __future__ import annotations

import pytest

from models.speech.response import RESPONSE_TEMPLATE

CALL = '<tool_call>\n{"name": "A", "arguments": {"x": 1}}\n</tool_call>'


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "thinking"),
    [
        ("I think.\n\nMore.\n</think>\n\nGood day.\nBye.<|im_end|>", True),
        (f"I think.\n</think>\n\n{CALL}<|im_end|>", True),
        ("A thought cut short\n<|im_end|>", True),
        ("A thought cut short", True),
        ("<think>\nBegun by itself.\n</think>\n\nGood day.<|im_end|>", False),
        (f"{CALL}<|im_end|>", False),
    ],
)
def test_a_stream_says_what_the_whole_says(text: str, thinking: bool, size: int) -> None:
    from transformers.cli.serving.utils import ReasoningText, ToolCall, response_events_to_chunks
    from transformers.utils.chat_parsing.response_parser import ResponseParser

    parser = ResponseParser(RESPONSE_TEMPLATE, prefix="<|im_start|>assistant\n" + ("<think>\n" if thinking else ""))
    events = [*parser.initial_events]
    for start in range(0, len(text), size):
        events += parser.feed(text[start : start + size])
    whole, last = parser.finalize()
    chunks = response_events_to_chunks([*events, *last])
    spoken = [one for one in chunks if not isinstance(one, ToolCall)]
    assert "".join(one for one in spoken if isinstance(one, ReasoningText)) == whole.get("reasoning_content", "")
    assert "".join(one for one in spoken if not isinstance(one, ReasoningText)) == whole.get("content", "")
    called = [(one["function"]["name"], one["function"]["arguments"]) for one in whole.get("tool_calls", [])]
    assert [(one.name, one.arguments) for one in chunks if isinstance(one, ToolCall)] == called
    assert bool(called) == (CALL in text)
