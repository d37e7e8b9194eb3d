"""What is kept although something about it is doubtful: gold answers that state facts nobody could know.

Such a conversation is well-formed, so it is not quarantined; it is flagged with the message and the reason, because an
answer whose facts stand nowhere in its history teaches to invent, and no honest agent can match it. (API-Bank has such
answers.) The check reads texts only: a fact is told if one of its forms stands there, or all of a form's words do,
numbers spelled out or not. "A quarter past five" therefore does not tell "5:15 pm", and such a fact is flagged as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from data.schema import Conversation, Fact, Message, ToolSpec

UNGROUNDED = "ungrounded_fact"
_WORD = re.compile(r"[^\W_]+")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = (
    *("first", "second", "third", "fourth", "fifth", "sixth"),
    *("seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth"),
)
_DIGITS = {word: str(number) for words in (_CARDINALS, _ORDINALS) for number, word in enumerate(words, start=1)}


class Flag(NamedTuple):
    """One doubt about one message."""

    message_index: int
    reason: str
    """Short stable code, groupable in SQL."""
    detail: str


def flags_of(conversation: Conversation) -> Iterator[Flag]:
    """Facts of answers that no earlier message, call, result or tool default tells, in order."""
    if not any(message.facts for message in conversation.messages):
        return
    history = _History()
    for tool in conversation.tools:
        history.offer(tool)
    for index, message in enumerate(conversation.messages):
        for fact in message.facts:
            if not history.tells(fact):
                yield Flag(index, UNGROUNDED, f"{fact.name}: {' | '.join(fact.forms)}")
        history.add(message)


class _History:
    """All that was said, called and returned so far, as text and as words."""

    def __init__(self) -> None:
        self._text = ""
        self._unread: list[str] = []
        self._words: set[str] = set()
        self._counted = 0  # characters whose words are known; few facts need them
        self._names: set[str] = set()

    def offer(self, tool: ToolSpec) -> None:
        """A tool on offer: its defaults are known, and that its parameters have a value at all."""
        properties = tool.parameters.get("properties", {})
        for name, rule in properties.items() if isinstance(properties, dict) else ():
            self._names.add(str(name).casefold())
            if isinstance(rule, dict) and "default" in rule:
                self._unread.append(str(rule["default"]))

    def add(self, message: Message) -> None:
        """A message that comes before the next."""
        self._unread.append(message.content or "")
        self._unread += [_values(call.arguments) for call in message.tool_calls]

    def tells(self, fact: Fact) -> bool:
        """Whether the fact could be known. "Yes, it has parking" is told by whatever names parking."""
        self._text = "\n".join([self._text, *(text.casefold() for text in self._unread)])
        self._unread.clear()
        if fact.kind == "boolean":
            return fact.name.casefold() in self._names or contains(self._text, fact.name.casefold())
        forms = [form.casefold() for form in fact.forms]
        return any(contains(self._text, form) for form in forms) or any(self._has_words(form) for form in forms)

    def _has_words(self, form: str) -> bool:
        words = list(_words(form))
        self._words.update(_words(self._text[self._counted :]))
        self._counted = len(self._text)
        return bool(words) and self._words.issuperset(words)


def _words(text: str) -> Iterator[str]:
    """Words of a text in lower case, numbers as digits: "the seventh", "7th" and "7" are one."""
    for word in _WORD.findall(text):
        ordinal = _ORDINAL.fullmatch(word) if word[0].isdigit() else None
        yield ordinal[1] if ordinal else _DIGITS.get(word, word)


def _values(arguments: dict[str, Any]) -> str:
    """Names and values of a call's arguments, nested ones as JSON."""
    told = (
        f"{name} {value if isinstance(value, str) else json.dumps(value, default=str)}"
        for name, value in arguments.items()
    )
    return "\n".join(told)


def contains(text: str, form: str) -> bool:
    """Whether ``form`` occurs in ``text`` as whole words: "19" is not in "2019". Both are lower case."""
    start = text.find(form)
    while start >= 0:
        end = start + len(form)
        cut_before = start > 0 and text[start - 1].isalnum() and form[:1].isalnum()
        cut_after = end < len(text) and text[end].isalnum() and form[-1:].isalnum()
        if not (cut_before or cut_after):
            return True
        start = text.find(form, start + 1)
    return False
