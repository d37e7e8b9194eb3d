"""What the agent's turns look like as text: the one chat template and its inverse, the completion.

The template (ChatML with Qwen3's tool blocks) is stored in every tokenizer we save, so training, evaluation and
serving render the same bytes. History never carries reasoning. A prompt without thinking ends bare after
``<|im_start|>assistant\\n``; with thinking it also opens ``<think>\\n``, and that opener is counted to the completion
for parsing and storing, not for the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.schema import Conversation, Message, ToolCall, ToolSpec

CHAT_TEMPLATE = (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")
TURN_END = "<|im_end|>"
THINK_OPEN = "<think>\n"
THINK_CLOSE = "\n</think>\n\n"
#: Stands in for reasoning where only the action is judged (the gold check).
PLACEHOLDER_THOUGHT = "I know what is needed and act on it."


def chat_message(message: Message) -> dict[str, Any]:
    """The message as chat templates take it: role, content and OpenAI-style calls, without annotations."""
    rendered: dict[str, Any] = {"role": message.role, "content": message.content or ""}
    if message.tool_calls:
        rendered["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_raw}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        rendered["tool_call_id"] = message.tool_call_id
    return rendered


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """``chat_message`` for each of them."""
    return [chat_message(message) for message in messages]


def chat_tools(tools: Sequence[ToolSpec]) -> list[dict[str, Any]] | None:
    """The tools as chat templates take them; None where there are none, which renders no tools block."""
    return [tool.as_openai() for tool in tools] or None


def call_text(call: ToolCall) -> str:
    """One ``<tool_call>`` block."""
    return f'<tool_call>\n{{"name": "{call.name}", "arguments": {call.arguments_raw}}}\n</tool_call>'


def action_text(message: Message) -> str:
    """The visible part of an assistant message: its text, then its calls, a line each block."""
    parts = [message.content] if message.content else []
    return "\n".join([*parts, *(call_text(call) for call in message.tool_calls)])


def completion_text(message: Message, reasoning: str | None) -> str:
    """What a model would write for ``message``: with ``reasoning`` the think block, opener included, comes first.

    The end-of-turn token is not part of it.
    """
    action = action_text(message)
    return action if reasoning is None else f"{THINK_OPEN}{reasoning}{THINK_CLOSE}{action}"


def prompt_text(tokenizer: Any, history: Sequence[Message], tools: Sequence[ToolSpec], *, thinking: bool) -> str:
    """The prompt of a decision point, rendered by the template stored in ``tokenizer``."""
    return tokenizer.apply_chat_template(
        chat_messages(history),
        tools=chat_tools(tools),
        add_generation_prompt=True,
        enable_thinking=thinking,
        tokenize=False,
    )


def conversation_tokens(tokenizer: Any, conversation: Conversation) -> tuple[list[int], list[int]]:
    """Token ids of a whole conversation and its loss mask.

    Returns:
        ``(input_ids, loss_mask)``, equally long; the mask is 1 on what the assistant writes, its end-of-turn token
        included, and 0 on system, user and tool messages and on every role header.
    """
    encoded = tokenizer.apply_chat_template(
        chat_messages(conversation.messages),
        tools=chat_tools(conversation.tools),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    return list(encoded["input_ids"]), list(encoded["assistant_masks"])
