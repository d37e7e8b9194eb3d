"""Brief reasoning for records that bring none, so that a model can be primed to think on anybody's conversations.

It says only what is on record: which tool, what it does, the values the call uses; which values of the results an
answer passes on; or that no call is due. Always in the same words (data/sources/sgd/rationale.py says why). Reasoning
that a record brings itself is kept and none is added to it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from data.mapping.cutting import cut
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
            after_result = index > 0 and messages[index - 1].role == "tool"
            text = _for_calls(message.tool_calls, specs) or _for_answer(message, after_result)
            message = message.model_copy(update={"rationale": text})
        thought.append(message)
    return tuple(thought)


def _for_calls(calls: Sequence[ToolCall], tools: dict[str, ToolSpec]) -> str:
    return " ".join(_for_call(call, tools.get(call.name)) for call in calls)


def _for_call(call: ToolCall, tool: ToolSpec | None) -> str:
    shown = [f"{name}={_shown(value)}" for name, value in list(call.arguments.items())[:_SHOWN_VALUES]]
    known = ", ".join(shown) or "nothing is needed"
    return f"This needs {call.name}{_purpose(tool)}. Known: {known}. So I call it."


def _purpose(tool: ToolSpec | None) -> str:
    """The first sentence of the tool's description in brackets, if it is brief."""
    first = tool.description.split(". ")[0].split("\n")[0].strip().rstrip(".") if tool else ""
    return f" ({first[:1].lower()}{first[1:]})" if first and len(first) <= 2 * _SHOWN_SIGNS else ""


def _for_answer(message: Message, after_result: bool) -> str:
    if Act.REQUEST in message.acts:
        return "Something is still open, so I ask before I do more."
    values = ", ".join(f"{fact.name}={fact.forms[0]}" for fact in message.facts[:_SHOWN_VALUES])
    if values and after_result:
        return f"The result tells {values}. I pass that on."
    if values:
        return f"Earlier results tell {values}; no new call is needed."
    if after_result:
        return "The call has come back, so I tell the user."
    return "No tool is needed for this; I answer."


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(" ".join(text.split()), _SHOWN_SIGNS)
