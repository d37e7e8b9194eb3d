"""Runs the setting ``data.redact`` over everything a source yields, before anything of it is checked or stored.

The hook is one function from text to text, ``module:function``. It sees every text that can hold personal data:
messages, arguments, results (inside their JSON), facts, rationales, tools, metadata, identifiers and the details of
quarantined records. Because one function sees them all, equal texts stay equal, so calls still match what was said. A
record at which it fails is quarantined without a word of its content.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from data.schema import Conversation, Fact, Message, Quarantined, ToolCall, ToolSpec
from data.sources.base import SourceError

BUILT_IN = "data.pseudonyms:pseudonymise"
#: Texts that recur are short: names, enumerated values, descriptions.
_REMEMBERED, _SHORT = 16_384, 200


class RedactionError(SourceError):
    """The setting ``data.redact`` names no usable function; nothing was read."""


class RedactionFailed(Exception):
    """The function failed on a text or gave no text back."""


@dataclass(frozen=True)
class Redaction:
    """A loaded hook."""

    spec: str
    function: Callable[[str], str]

    def fingerprint(self) -> str:
        """Hash of the code that redacts and of its key, if it has one: part of the dataset version."""
        module = sys.modules[self.function.__module__]
        source = inspect.getsourcefile(module)
        told = getattr(module, "redaction_fingerprint", None)
        parts = [
            self.spec.encode(),
            Path(__file__).read_bytes(),
            Path(source).read_bytes() if source else b"",
            str(told()).encode() if callable(told) else b"",
        ]
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def load_redaction(spec: str) -> Redaction:
    """The function ``module:function`` names; the working directory counts as a place of modules.

    Raises:
        RedactionError: It cannot be imported or is no function.
    """
    name, _, function_name = spec.partition(":")
    if not name or not function_name:
        raise RedactionError(f"data.redact={spec!r} names no function; write module:function, e.g. {BUILT_IN}")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(name), function_name)
    except (ImportError, AttributeError) as error:
        raise RedactionError(f"data.redact={spec!r} cannot be loaded ({error}); the built-in is {BUILT_IN}") from error
    finally:
        sys.path.remove(here)
    if not callable(function):
        raise RedactionError(f"data.redact={spec!r} is no function but {type(function).__name__}")
    return Redaction(spec, function)


def redacted(items: Iterable[Conversation | Quarantined], redaction: Redaction) -> Iterator[Conversation | Quarantined]:
    """The same items with every text redacted; one at which the function fails becomes a quarantined row."""
    walker = _Walker(redaction.function)
    for number, item in enumerate(items, start=1):
        try:
            yield walker.conversation(item) if isinstance(item, Conversation) else walker.quarantined(item)
        except RedactionFailed as error:
            # Not even its name: the function was to say whether that may be told.
            detail = f"{redaction.spec} failed on it ({error}); nothing of it is kept"
            yield Quarantined(
                source=item.source, record_id=f"record {number}", reason="redaction_failed", detail=detail
            )


class _Walker:
    """Applies a function to the texts of records; short ones are remembered."""

    def __init__(self, function: Callable[[str], str]) -> None:
        self._function = function
        self._short = lru_cache(_REMEMBERED)(self._asked)

    def text(self, value: str) -> str:
        return self._short(value) if len(value) <= _SHORT else self._asked(value)

    def _asked(self, value: str) -> str:
        try:
            found = self._function(value)
        except Exception as error:
            raise RedactionFailed(type(error).__name__) from error
        if not isinstance(found, str):
            raise RedactionFailed(f"it gave {type(found).__name__}, not text")
        return found

    def conversation(self, conversation: Conversation) -> Conversation:
        return conversation.model_copy(
            update={
                "id": self.text(conversation.id),
                "record_id": self.text(conversation.record_id),
                "tools": tuple(self._tool(tool) for tool in conversation.tools),
                "messages": tuple(self._message(message) for message in conversation.messages),
                "metadata": self.value(conversation.metadata),
            }
        )

    def quarantined(self, record: Quarantined) -> Quarantined:
        return record.model_copy(update={"record_id": self.text(record.record_id), "detail": self.text(record.detail)})

    def value(self, value: Any) -> Any:
        """Any JSON value; a whole number is shown to the function by its digits, since phone numbers are stored so."""
        if isinstance(value, str):
            return self._json_or_text(value)
        if isinstance(value, int) and not isinstance(value, bool):
            digits = self.text(str(value))
            if digits == str(value):
                return value
            return int(digits) if re.fullmatch(r"[1-9][0-9]*", digits) else digits
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.value(each) for each in value)
        return value

    def _json_or_text(self, text: str) -> str:
        """JSON in a text is redacted inside, where an escaped character cannot hide what stands beside it."""
        if text[:1] not in ("{", "["):
            return self.text(text)
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return self.text(text)
        changed = self.value(parsed)
        return text if changed == parsed else json.dumps(changed, ensure_ascii=False)

    def _tool(self, tool: ToolSpec) -> ToolSpec:
        update = {"description": self.text(tool.description), "parameters": self.value(tool.parameters)}
        return tool.model_copy(update=update)

    def _message(self, message: Message) -> Message:
        return message.model_copy(
            update={
                "content": None if message.content is None else self._json_or_text(message.content),
                "tool_calls": tuple(self._call(call) for call in message.tool_calls),
                "facts": tuple(self._fact(fact) for fact in message.facts),
                "rationale": None if message.rationale is None else self.text(message.rationale),
            }
        )

    def _call(self, call: ToolCall) -> ToolCall:
        return call.model_copy(
            update={
                "arguments": self.value(call.arguments),
                "arguments_raw": self._json_or_text(call.arguments_raw),
                "accepted": self.value(call.accepted),
            }
        )

    def _fact(self, fact: Fact) -> Fact:
        return fact.model_copy(update={"forms": tuple(dict.fromkeys(self.text(form) for form in fact.forms))})
