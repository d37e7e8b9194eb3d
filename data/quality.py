"""The source-independent gate: what every conversation must satisfy before anything learns from it or is judged by it.

A conversation passes whole or is quarantined whole with the first fault found; it is never mended, because a mended
record would teach what nobody recorded. Checked are the order of roles, the shape of each message, the pairing of calls
with results, and every call against the JSON Schema of its tool (draft 2020-12).

Legal, because real records have it: text beside a call, a tool that returns nothing, a greeting before the user speaks,
and a record that ends on a call (what was returned is not known) or on its results.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jsonschema_rs
import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from pydantic_core import PydanticSerializationError
from referencing.exceptions import Unresolvable

from data.json_text import MAX_DEPTH, is_deep, parameters_json, to_json
from data.schema import Conversation, Message, Quarantined, ToolCall, ToolSpec

#: Which role may follow which; ``call`` and ``answer`` are the two kinds of assistant message, None is the start.
_MAY_FOLLOW: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"system", "user", "answer"}),
    "system": frozenset({"user", "answer"}),
    "user": frozenset({"call", "answer"}),
    "call": frozenset({"tool"}),
    "tool": frozenset({"tool", "call", "answer"}),
    "answer": frozenset({"user"}),
}
_REASON_BY_KEYWORD = {
    "required": "missing_argument",
    "type": "wrong_argument_type",
    "additionalProperties": "unknown_argument",
    "unevaluatedProperties": "unknown_argument",
}
_LEFT_TO_JSONSCHEMA = ('"$', '"pattern', '"format', '"content', '"unevaluated')
#: Characters of one conversation as JSON; the longest real ones (tau-bench, with whole policies) have 200,000.
MAX_RECORD_CHARACTERS = 4_000_000
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


class Fault(NamedTuple):
    """Why a conversation is rejected: a groupable code and a sentence."""

    reason: str
    detail: str


def check(conversation: Conversation) -> Quarantined | None:
    """None if the conversation is sound, else its quarantine row. Never raises, whatever the conversation holds."""
    found = checked_record(conversation)
    return found if isinstance(found, Quarantined) else None


def checked_record(conversation: Conversation) -> str | Quarantined:
    """A sound conversation as JSON, else its quarantine row. Never raises, whatever the conversation holds."""
    found = next(_faults(conversation), None) or _stored_form(conversation)
    if isinstance(found, str):
        return found
    return Quarantined(
        source=conversation.source, record_id=conversation.record_id, reason=found.reason, detail=found.detail
    )


def call_faults(call: ToolCall, tools: Mapping[str, ToolSpec]) -> Iterator[Fault]:
    """What is wrong with one call against the tools on offer, by name; nothing if it is sound. Rewards ask this too."""
    return _call_faults(call, tools)


def _faults(conversation: Conversation) -> Iterator[Fault]:
    """Faults in the order they matter: later checks may rely on what earlier ones found sound."""
    yield from _tool_faults(conversation.tools)
    for index, message in enumerate(conversation.messages):
        yield from (_at(index, fault) for fault in _message_faults(message))
    yield from _order_faults(conversation.messages)
    yield from _pairing_faults(conversation.messages)
    tools = {tool.name: tool for tool in conversation.tools}
    for index, message in enumerate(conversation.messages):
        for call in message.tool_calls:
            yield from (_at(index, fault) for fault in _call_faults(call, tools))
    yield from _json_faults("metadata", conversation.metadata)


def _at(index: int, fault: Fault) -> Fault:
    return Fault(fault.reason, f"message {index}: {fault.detail}")


def _tool_faults(tools: Iterable[ToolSpec]) -> Iterator[Fault]:
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            yield Fault("duplicate_tool", f"two tools are named {tool.name}")
        seen.add(tool.name)
        yield from _tool_schema_faults(tool)


def _tool_schema_faults(tool: ToolSpec) -> Iterator[Fault]:
    try:
        text = parameters_json(tool)
        problem = _TOO_DEEP if is_deep(tool.parameters, text) else _schema_problem(text)
    except (ValueError, TypeError, RecursionError) as error:
        problem = f"not JSON: {error}"
    if problem is not None:
        yield Fault(
            "too_deep" if problem == _TOO_DEEP else "invalid_tool_schema", f"parameters of {tool.name}: {problem}"
        )


def _message_faults(message: Message) -> Iterator[Fault]:
    text = (message.content or "").strip()
    if message.role == "assistant":
        if not text and not message.tool_calls:
            yield Fault("empty_message", "an assistant message neither calls nor answers")
    else:
        if message.tool_calls:
            yield Fault("malformed_message", f"a {message.role} message carries tool calls")
        if not text and message.role != "tool":
            yield Fault("empty_message", f"a {message.role} message without text")
    if (message.tool_call_id is not None) != (message.role == "tool"):
        yield Fault("malformed_message", f"tool_call_id and role {message.role} do not go together")


def _kind(message: Message) -> str:
    if message.role != "assistant":
        return message.role
    return "call" if message.tool_calls else "answer"


def _order_faults(messages: Iterable[Message]) -> Iterator[Fault]:
    before: str | None = None
    answers = 0
    for index, message in enumerate(messages):
        kind = _kind(message)
        answers += kind in ("call", "answer")
        if kind not in _MAY_FOLLOW[before]:
            yield Fault("bad_role_order", f"message {index}: {kind} after {before or 'the start'}")
        before = kind
    if not answers:
        yield Fault("nothing_to_learn", "no message of the assistant")


def _pairing_faults(messages: Iterable[Message]) -> Iterator[Fault]:
    """Call ids are unique, and the tool messages after a call answer each of its ids once.

    Only the calls of the very last message may stay without a result, all of them.
    """
    used: set[str] = set()
    pending: set[str] = set()
    ends_on_call = False
    for index, message in enumerate(messages):
        ends_on_call = bool(message.tool_calls)
        if message.role == "tool":
            if message.tool_call_id not in pending:
                yield Fault("stray_tool_message", f"message {index}: {message.tool_call_id} answers no open call")
            pending.discard(message.tool_call_id or "")
        elif pending:
            yield Fault("unanswered_call", f"message {index}: no result yet for {', '.join(sorted(pending))}")
        for call in message.tool_calls:
            if call.id in used:
                yield Fault("duplicate_call_id", f"message {index}: {call.id} is used twice")
            used.add(call.id)
            pending.add(call.id)
    if pending and not ends_on_call:
        yield Fault("unanswered_call", f"no result for {', '.join(sorted(pending))}")


def _call_faults(call: ToolCall, tools: Mapping[str, ToolSpec]) -> Iterator[Fault]:
    tool = tools.get(call.name)
    if tool is None:
        yield Fault("unknown_tool", f"{call.name} is not on offer")
        return
    parameters = tool.parameters
    if "additionalProperties" not in parameters and "patternProperties" not in parameters:
        # An open schema is a schema nobody closed: a name it does not know is a mistake all the same.
        for name in call.arguments.keys() - parameters.get("properties", {}).keys():
            yield Fault("unknown_argument", f"{call.name} has no argument {name}")
    yield from _json_faults(f"arguments of {call.name}", call.arguments)
    yield from _json_faults(f"accepted values of {call.name}", call.accepted)
    yield from _schema_faults(call, tool)
    if not _raw_agrees(call):
        yield Fault("raw_arguments_differ", f"{call.name}: the raw arguments are not the JSON of the parsed ones")


def _schema_faults(call: ToolCall, tool: ToolSpec) -> Iterator[Fault]:
    schema = parameters_json(tool)
    if _surely_valid(call.arguments, schema):
        return
    try:
        for error in _validator(schema).iter_errors(call.arguments):
            reason = _REASON_BY_KEYWORD.get(str(error.validator), "wrong_argument_value")
            yield Fault(reason, f"{call.name}: {_told(error)}")
    except (Unresolvable, RecursionError, re.error) as error:
        # A reference or pattern that only turns out to be broken when it is followed.
        yield Fault("invalid_tool_schema", f"parameters of {call.name}: {type(error).__name__}")


def _surely_valid(arguments: dict[str, Any], schema: str) -> bool:
    validator = _quick_validator(schema)
    try:
        return validator is not None and validator.is_valid(arguments)
    except ValueError:  # a value it cannot look at, such as an integer of 400 digits; the slow check says what it is
        return False


def _told(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {error.message}" if where else error.message


def _json_faults(what: str, value: dict[str, Any]) -> Iterator[Fault]:
    """What cannot be written as JSON and read back, or only at the price of a stack."""
    if not value:
        return
    try:
        text = to_json(value)
    except (ValueError, TypeError, RecursionError) as error:
        yield Fault("not_storable", f"{what}: {error}")
        return
    if is_deep(value, text):
        yield Fault("too_deep", f"{what}: {_TOO_DEEP}")


def _raw_agrees(call: ToolCall) -> bool:
    try:
        return bool(orjson.loads(call.arguments_raw) == call.arguments)
    except orjson.JSONDecodeError:
        return False


def _stored_form(conversation: Conversation) -> str | Fault:
    try:
        record = conversation.model_dump_json()
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        return Fault("not_storable", f"some text is not valid Unicode or some value has no JSON form: {error}")
    if len(record) > MAX_RECORD_CHARACTERS:
        return Fault("too_large", f"{len(record):,} characters as JSON; the most is {MAX_RECORD_CHARACTERS:,}")
    return record


@lru_cache(maxsize=4096)
def _schema_problem(schema: str) -> str | None:
    parsed = orjson.loads(schema)
    try:
        Draft202012Validator.check_schema(parsed)
    except (SchemaError, RecursionError) as error:
        return error.message if isinstance(error, SchemaError) else _TOO_DEEP
    return None if parsed.get("type") == "object" else "the type is not object"


@lru_cache(maxsize=4096)
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(orjson.loads(schema))


@lru_cache(maxsize=4096)
def _quick_validator(schema: str) -> jsonschema_rs.Draft202012Validator | None:
    """The schema compiled, fifty times as fast; None for one with references or patterns.

    There the two libraries differ (loops, dialects of regular expressions), and the slower one has the last word.
    """
    if any(word in schema for word in _LEFT_TO_JSONSCHEMA):
        return None
    return jsonschema_rs.Draft202012Validator(orjson.loads(schema), offline=True)
