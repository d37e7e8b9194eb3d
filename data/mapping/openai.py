"""Messages and tools as OpenAI's chat API writes them, made canonical; also its older ``functions`` form.

Content may be null, a text or text parts; what a tool returned may be any JSON value and is kept as its text; arguments
come as a JSON string (kept as written) or as an object. A result without a call id answers the open calls in order, as
the older form and ShareGPT mean it. What is no conversation raises ``Unusable`` with a reason; whether calls fit their
tools is the quality gate's to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from data.mapping.cutting import cut
from data.mapping.json_schema import object_schema
from data.mapping.plain_json import NotJson, parse
from data.schema import Message, ToolCall, ToolSpec
from data.sources.base import Unusable

_THINK = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
_TEXT_PARTS = ("text", "input_text", "output_text")
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


def tools_of(written: Any, *, loose: bool = False) -> tuple[ToolSpec, ...]:
    """The tools of a record: a list (or the JSON of one) of tool entries or bare functions; None means no tools.

    Args:
        written: As the record has it.
        loose: Translate types that are not JSON Schema (``dict``, ``float``) instead of leaving them to be rejected.

    Raises:
        Unusable: It is no such list.
    """
    if isinstance(written, str):
        written = _parsed(written, "malformed_tools", "tools") if written.strip() else []
    if written is None:
        return ()
    if not isinstance(written, list):
        raise Unusable("malformed_tools", f"tools are a list of tool entries, not {type(written).__name__}")
    return tuple(_tool(entry, loose) for entry in written)


def _tool(entry: Any, loose: bool) -> ToolSpec:
    function = entry.get("function", entry) if isinstance(entry, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise Unusable("malformed_tools", f"a tool without a name: {_shown(entry)}")
    parameters = function.get("parameters")
    if isinstance(parameters, str):
        parameters = _parsed(parameters, "malformed_tools", f"parameters of {function['name']}")
    if not isinstance(parameters, dict | None):
        raise Unusable("malformed_tools", f"parameters of {function['name']} are no object")
    return ToolSpec(
        name=function["name"],
        description=str(function.get("description") or ""),
        parameters=object_schema(parameters) if loose else _completed(parameters or {}),
        is_write=bool(entry.get("is_write") or function.get("is_write")),
    )


def _completed(parameters: dict[str, Any]) -> dict[str, Any]:
    """The API takes parameters without ``type`` and without any properties; both mean an object."""
    return {"type": "object", "properties": {}, **parameters}


class MessageReader:
    """Reads one conversation's messages in order, pairing results with calls.

    An id that was used before (recorded agents with cached completions do that) is made unique, results alike.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []
        """(id as stated, id as given) of calls without a result."""
        self._used: set[str] = set()
        self._calls = 0

    def message(self, written: Any) -> Message:
        """The canonical form of one message.

        Raises:
            Unusable: It is none.
        """
        if not isinstance(written, dict):
            raise Unusable("malformed_message", f"a message is an object, not {_shown(written)}")
        role = "tool" if written.get("role") == "function" else _ROLES.get(str(written.get("role")))
        if role is None:
            raise Unusable("unknown_role", f"role {_shown(written.get('role'))} is none of {', '.join(_ROLES)}")
        if role == "tool":
            result = _result(written.get("content"))
            return Message(role="tool", content=result, tool_call_id=self._answered(written.get("tool_call_id")))
        content = _content(written.get("content"))
        if role == "assistant":
            if _is_not_to_learn(written):
                raise Unusable(
                    "not_to_learn",
                    "its weight is 0; end the record before it, or take the weight away to learn from it",
                )
            thought, content = _thought(written, content or _content(written.get("refusal")))
            calls = self._tool_calls(written)
            return Message(role="assistant", content=content, tool_calls=calls, rationale=thought)
        return Message.model_validate({"role": role, "content": content})

    def _tool_calls(self, written: Mapping[str, Any]) -> tuple[ToolCall, ...]:
        entries = written.get("tool_calls")
        if entries is None:
            entries = [{"function": call}] if (call := written.get("function_call")) is not None else []
        if not isinstance(entries, list):
            raise Unusable("malformed_call", f"tool_calls are a list, not {_shown(entries)}")
        if entries:
            self._open = []
        return tuple(self._call(entry) for entry in entries)

    def _call(self, entry: Any) -> ToolCall:
        function = entry.get("function") if isinstance(entry, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise Unusable("malformed_call", f"a call without a function name: {_shown(entry)}")
        self._calls += 1
        stated = entry.get("id")
        stated = stated if isinstance(stated, str) and stated else f"call_{self._calls}"
        given = f"{stated}_{self._calls}" if stated in self._used else stated
        self._used.add(given)
        self._open.append((stated, given))
        return tool_call(given, function["name"], function.get("arguments"))

    def _answered(self, stated: Any) -> str:
        """The id of the call a result answers: the one it states, else the first that is still open."""
        if not (isinstance(stated, str) and stated):
            if not self._open:
                raise Unusable("stray_tool_message", "a result without tool_call_id, and no call is open")
            return self._open.pop(0)[1]
        place = next((index for index, (written, _) in enumerate(self._open) if written == stated), None)
        return stated if place is None else self._open.pop(place)[1]


def tool_call(call_id: str, name: str, written: Any) -> ToolCall:
    """A call from its arguments as written: JSON text (kept to the letter), an object, or nothing.

    Raises:
        Unusable: They are no JSON object.
    """
    raw = written if isinstance(written, str) else json.dumps(written or {}, ensure_ascii=False)
    raw = raw.strip() or "{}"
    arguments = _parsed(raw, "malformed_arguments", f"arguments of {name}")
    if not isinstance(arguments, dict):
        raise Unusable("malformed_arguments", f"arguments of {name} are no JSON object but {_shown(raw)}")
    return ToolCall(id=call_id, name=name, arguments=arguments, arguments_raw=raw)


def _thought(written: Mapping[str, Any], content: str | None) -> tuple[str | None, str | None]:
    """Reasoning and the rest: a field of its own, or a think block that opens the text; never part of a history."""
    stated = written.get("reasoning_content") or written.get("reasoning")
    if (block := _THINK.match(content or "")) is not None:
        stated = stated or block[1]
        content = (content or "")[block.end() :] or None
    thought = stated.strip() if isinstance(stated, str) else ""
    return thought or None, content


def _is_not_to_learn(written: Mapping[str, Any]) -> bool:
    """``weight: 0`` of OpenAI's fine-tuning format: a message that stands in the history but is no example."""
    weight = written.get("weight")
    return isinstance(weight, int | float) and weight == 0


def _result(written: Any) -> str:
    """What a tool returned: text as it is, text parts joined, any other value as JSON, whose parts all count."""
    if written is None or isinstance(written, str):
        return written or ""
    if isinstance(written, list) and written and all(map(_is_text_part, written)):
        return _content(written) or ""
    return json.dumps(written, ensure_ascii=False)


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _TEXT_PARTS and isinstance(part.get("text"), str)


def _content(written: Any) -> str | None:
    if written is None or isinstance(written, str):
        return written
    if isinstance(written, list):
        return "\n".join(_part(part) for part in written)
    raise Unusable("malformed_message", f"content is a text, text parts or null, not {_shown(written)}")


def _part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(text, str):
        kind = part.get("type") if isinstance(part, dict) else part
        raise Unusable("unsupported_content", f"only text can be learned from; a content part is {_shown(kind)}")
    return text


def _parsed(text: str, reason: str, what: str) -> Any:
    try:
        return parse(text)
    except NotJson as error:
        raise Unusable(reason, f"{what} are not JSON ({error}): {_shown(text)}") from error


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return cut(text, 80)


def messages_of(written: Iterable[Any]) -> tuple[Message, ...]:
    """All messages of a record.

    Raises:
        Unusable: One of them is none; the detail says which.
    """
    reader = MessageReader()
    messages: list[Message] = []
    for index, message in enumerate(written):
        try:
            messages.append(reader.message(message))
        except Unusable as error:
            raise Unusable(error.reason, f"message {index}: {error.detail}") from error
    return tuple(messages)
