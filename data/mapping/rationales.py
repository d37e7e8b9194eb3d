"""Brief reasoning for records that bring none, so that a model can be primed to think on anybody's conversations.

It says only what is on record: which tool, what it does, the values the call uses; which values of the results an
answer passes on; or that no call is due. Reasoning that a record brings itself is kept and none is added to it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from data.schema import Act, Message, ToolCall, ToolSpec

_SHOWN_SIGNS = 40
_SHOWN_VALUES = 8


def with_derived_rationales(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
    """The messages, each assistant message with a rationale, unless any has one already."""
    if any(message.rationale for message in messages):
        return tuple(messages)
    specs = {tool.name: tool for tool in tools}
    thought: list[Message] = []
    for index, message in enumerate(messages):
        if message.role == "assistant":
            key = f"{index} {message.content} {[call.arguments_raw for call in message.tool_calls]}"
            after_result = index > 0 and messages[index - 1].role == "tool"
            text = _for_calls(key, message.tool_calls, specs) or _for_answer(key, message, after_result)
            message = message.model_copy(update={"rationale": text})
        thought.append(message)
    return tuple(thought)


def _for_calls(key: str, calls: Sequence[ToolCall], tools: dict[str, ToolSpec]) -> str:
    return " ".join(_for_call(key, call, tools.get(call.name)) for call in calls)


def _for_call(key: str, call: ToolCall, tool: ToolSpec | None) -> str:
    shown = [f"{name}={_shown(value)}" for name, value in list(call.arguments.items())[:_SHOWN_VALUES]]
    known = ", ".join(shown) or "nothing is needed"
    purpose = _purpose(tool)
    return _pick(
        key,
        f"This needs {call.name}{purpose}. Known: {known}. So I call it.",
        f"{call.name} does this{purpose}. I have {known}, so I call it.",
        f"Next step: {call.name}{purpose}, with {known}.",
    )


def _purpose(tool: ToolSpec | None) -> str:
    """The first sentence of the tool's description in brackets, if it is brief."""
    first = tool.description.split(". ")[0].split("\n")[0].strip().rstrip(".") if tool else ""
    return f" ({first[:1].lower()}{first[1:]})" if first and len(first) <= 2 * _SHOWN_SIGNS else ""


def _for_answer(key: str, message: Message, after_result: bool) -> str:
    values = ", ".join(f"{fact.name}={fact.forms[0]}" for fact in message.facts[:_SHOWN_VALUES])
    if values and after_result:
        return _pick(key, f"The result tells {values}. I pass that on.", f"Now I know {values}, so I answer with it.")
    if values:
        return _pick(key, f"Earlier results tell {values}; no new call is needed.", f"I already know {values}.")
    if Act.REQUEST in message.acts:
        return _pick(key, "Something is still open, so I ask before I do more.", "No call is due yet: I ask first.")
    if after_result:
        return _pick(key, "The call has come back, so I tell the user.", "That is done; I report it.")
    return _pick(key, "No tool is needed for this; I answer.", "There is nothing to look up, so I just answer.")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_SIGNS else f"{text[:_SHOWN_SIGNS]}…"


def _pick(key: str, *phrasings: str) -> str:
    return phrasings[zlib.crc32(key.encode()) % len(phrasings)]
