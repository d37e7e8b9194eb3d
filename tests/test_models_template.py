"""The chat template against TRL's shipped Qwen3 template, and what carries loss."""

from pathlib import Path

import pytest

from data.decision_points import decision_points
from models.random_model import make_qwen3
from models.speech.template import (
    CHAT_TEMPLATE,
    chat_messages,
    chat_tools,
    completion_text,
    conversation_tokens,
    prompt_text,
)


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = make_qwen3()[1]
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture(scope="module")
def points(tiny_conversations):
    return [point for conversation in tiny_conversations for point in decision_points(conversation)]


def test_prompts_equal_the_qwen3_template_of_trl_byte_for_byte(tokenizer, points):
    import trl

    qwen3 = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
    for point in points:
        theirs = tokenizer.apply_chat_template(
            chat_messages(point.history),
            tools=chat_tools(point.tools),
            chat_template=qwen3,
            add_generation_prompt=True,
            tokenize=False,
        )
        assert prompt_text(tokenizer, point.history, point.tools, thinking=False) == theirs


def test_a_thinking_prompt_only_adds_the_opener(tokenizer, points):
    for point in points:
        plain = prompt_text(tokenizer, point.history, point.tools, thinking=False)
        assert plain.endswith("<|im_start|>assistant\n")
        assert prompt_text(tokenizer, point.history, point.tools, thinking=True) == plain + "<think>\n"


def test_the_completion_is_what_the_template_writes_after_the_prompt(tokenizer, points):
    for point in points:
        prompt = prompt_text(tokenizer, point.history, point.tools, thinking=False)
        whole = tokenizer.apply_chat_template(
            chat_messages([*point.history, point.expected]), tools=chat_tools(point.tools), tokenize=False
        )
        assert whole == prompt + completion_text(point.expected, None) + "<|im_end|>\n"


def test_history_is_prefix_preserving_in_tokens(tokenizer, tiny_conversations):
    for conversation in tiny_conversations:
        ids, _ = conversation_tokens(tokenizer, conversation)
        for point in decision_points(conversation):
            prompt = prompt_text(tokenizer, point.history, point.tools, thinking=False)
            prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            assert ids[: len(prompt_ids)] == prompt_ids


def test_reasoning_in_a_served_history_is_dropped(tokenizer):
    said = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "<think>\nThey greet me.\n</think>\n\nGood day."},
        {"role": "user", "content": "bye"},
    ]
    text = tokenizer.apply_chat_template(said, tokenize=False)
    assert "They greet me" not in text
    assert "<|im_start|>assistant\nGood day.<|im_end|>" in text


def test_loss_is_on_what_the_assistant_writes_and_its_end_of_turn(tokenizer, tiny_conversations):
    """Read the picture: what is bracketed carries loss."""
    for conversation in tiny_conversations:
        ids, mask = conversation_tokens(tokenizer, conversation)
        picture, inside = "", False
        for token, loss in zip(ids, mask, strict=True):
            if bool(loss) != inside:
                picture += "⟦" if loss else "⟧"
                inside = bool(loss)
            picture += tokenizer.decode([token])
        whole = tokenizer.apply_chat_template(
            chat_messages(conversation.messages), tools=chat_tools(conversation.tools), tokenize=False
        )
        expected = whole.split("\n# Tools")[0]
        rest = whole[len(expected) :]
        for message in conversation.messages:
            if message.role == "assistant":
                written = completion_text(message, None) + "<|im_end|>"
                before, after = rest.split("<|im_start|>assistant\n" + written, 1)
                expected += before + "<|im_start|>assistant\n⟦" + written + "⟧"
                rest = after
        assert picture == expected + rest


def test_tool_messages_in_a_row_share_one_user_block(tokenizer):
    messages = [
        {"role": "user", "content": "both please"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"type": "function", "function": {"name": "one", "arguments": "{}"}},
                {"type": "function", "function": {"name": "two", "arguments": {"n": 1}}},
            ],
        },
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert '<tool_call>\n{"name": "one", "arguments": {}}\n</tool_call>\n<tool_call>\n{"name": "two"' in text
    assert "<tool_response>\n1\n</tool_response>\n<tool_response>\n2\n</tool_response><|im_end|>" in text
