"""ShareGPT conversations with tools, as Hermes, Glaive and LLaMA-Factory write them, put into OpenAI's form.

``from``/``value`` pairs with human, gpt, function_call and observation; or Hermes' tags inside the texts:
``<tool_call>`` blocks in what gpt says, ``<tool_response>`` in what the tool returns, and ``<tools>`` in the system
text, whose instructions about the format give way to ours; what else it says stays.
"""

from __future__ import annotations

import re
from typing import Any

from data.mapping.plain_json import NotJson, parse
from data.sources.base import Unusable

_ROLES = {
    **dict.fromkeys(("system",), "system"),
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "model", "chatgpt"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), "call"),
    **dict.fromkeys(("observation", "tool", "function_response", "tool_response", "function"), "tool"),
}
_CALL = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\s*(.*?)\s*</tool_response>", re.DOTALL)
#: The block itself, not the empty pair of tags by which the format's instructions speak of it.
_TOOLS = re.compile(r"<tools>\s*([\[{].*?)\s*</tools>", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+|\n+")
_OF_THE_FORMAT = re.compile(
    r"</?tool|<tool_call>|[{}]|\bfunctions? (?:call|signature|name)|\bcall(?:ing|s)? functions?\b|\btool_calls?\b"
    r"|\bavailable (?:tools|functions)\b|\bone or more functions\b|\bvalues to plug\b|\bjson (?:object|schema)\b"
    r"|\bpydantic\b",
    re.IGNORECASE,
)


def as_openai(record: dict[str, Any]) -> dict[str, Any]:
    """The same record with ``messages`` and ``tools``.

    Raises:
        Unusable: The conversation is no list of ``from``/``value`` pairs, or a call in it is not JSON.
    """
    turns = record.get("conversations")
    if not isinstance(turns, list):
        raise Unusable("not_a_conversation", "conversations is no list")
    tools = record.get("tools")
    messages: list[dict[str, Any]] = []
    if isinstance(system := record.get("system"), str) and system.strip():
        messages.append({"role": "system", "content": system})
    for index, turn in enumerate(turns):
        try:
            messages += _messages(turn)
        except Unusable as error:
            raise Unusable(error.reason, f"turn {index}: {error.detail}") from error
    if messages and messages[0]["role"] == "system" and (listed := _TOOLS.search(messages[0]["content"])):
        tools = tools if tools else _listed_tools(listed[1])
        own = _own_instructions(messages[0]["content"])
        messages = [*([{"role": "system", "content": own}] if own else []), *messages[1:]]
    return {**record, "messages": messages, "tools": tools}


def _own_instructions(system: str) -> str:
    """What a system text says besides the tools and how to call them; empty if nothing."""
    sentences = _SENTENCE_END.split(_TOOLS.sub("", system, count=1))
    return " ".join(one.strip() for one in sentences if one.strip() and not _OF_THE_FORMAT.search(one))


def _messages(turn: Any) -> list[dict[str, Any]]:
    role = _ROLES.get(str(turn.get("from", turn.get("role")))) if isinstance(turn, dict) else None
    if role is None:
        raise Unusable("unknown_role", f"from is none of {', '.join(_ROLES)}")
    value = turn.get("value", turn.get("content"))
    if not isinstance(value, str):
        raise Unusable("malformed_message", f"value is no text but {type(value).__name__}")
    if role == "tool":
        return [{"role": "tool", "content": result} for result in _RESPONSE.findall(value) or [value]]
    return [{"weight": turn.get("weight"), **_spoken(role, value)}]


def _spoken(role: str, value: str) -> dict[str, Any]:
    if role == "call":
        return _calling(None, [_CALL.sub(r"\1", value)])
    if role == "assistant" and (blocks := _CALL.findall(value)):
        return _calling(_CALL.sub("", value).strip() or None, blocks)
    return {"role": role, "content": value}


def _calling(content: str | None, blocks: list[str]) -> dict[str, Any]:
    calls = [{"function": _function(entry)} for block in blocks for entry in _entries(block)]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def _entries(block: str) -> list[Any]:
    """The calls in one block: an object, or a list of them for parallel calls."""
    try:
        parsed = parse(block)
    except NotJson as error:
        raise Unusable("malformed_call", f"a call is not JSON ({error})") from error
    return parsed if isinstance(parsed, list) else [parsed]


def _function(entry: Any) -> dict[str, Any]:
    function = entry.get("function", entry) if isinstance(entry, dict) else None
    if not isinstance(function, dict):
        raise Unusable("malformed_call", "a call is an object with name and arguments")
    return {"name": function.get("name"), "arguments": function.get("arguments", function.get("parameters"))}


def _listed_tools(written: str) -> list[Any]:
    """The tools of a ``<tools>`` block: one JSON list, or one object a line."""
    try:
        parsed = parse(written)
    except NotJson:
        try:
            parsed = [parse(line) for line in written.splitlines() if line.strip()]
        except NotJson as error:
            raise Unusable("malformed_tools", f"the <tools> block is not JSON ({error})") from error
    return parsed if isinstance(parsed, list) else [parsed]
