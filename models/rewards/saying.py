"""Whether a text says something to the user at all, or only pretends to: the first gate of every answer.

Empty text, a tool result handed on as JSON, the user's words sent back, gibberish, a bare list of keywords, and the
announcement of a call that is not made earn next to nothing, on answer turns and on call turns alike.
"""

from __future__ import annotations

import re

from data.schema import DecisionPoint
from models.rewards.language import is_language, is_list_of_keywords
from models.wording import canonical, is_answer, is_dump, normalise, words

#: An echo with at most so many words added is still an echo, of an utterance with at least ``_ECHO_LEAST`` words.
_ECHO_ADDS = 2
_ECHO_LEAST = 4
_ANNOUNCED = re.compile(
    r"\b(?:i(?:'ll| will| am| shall|'m)?|let me(?! know)|we(?:'ll| will)?|going to|(?<!you can )now|please wait|calling"
    r"|invoking)\b"
    r"[^.?!]{0,40}\b(?:(?:call|calling|invoke|invoking|run|running|execute|executing|query|querying)\b"
    r"[^.?!]{0,30}\b(?:tools?|functions?|apis?)"
    r"|(?:use|using) (?:(?:the|an?|my|this|that|its|your)\b[^.?!]{0,30} )?(?:tools?|functions?|apis?)"
    r"|(?:make|making) (?:an? |the |this |that |another )?(?:\w+ )?calls?)\b"
)
#: Names that are no word of a language: parts joined by an underscore, or by a capital within.
_IDENTIFIER = re.compile(r"_|[a-z][A-Z]")


def no_answer(point: DecisionPoint, text: str | None) -> str | None:
    """Why the text is no answer to the user at this point, in a word; None if it is one."""
    if not text or not is_answer(text):
        return "dump" if text and is_dump(text) else "empty"
    if len(words(text)) < _least_words(point):
        return "wordless"
    if echoes(point, text):
        return "echo"
    if not is_language(text, point):
        return "gibberish"
    if is_list_of_keywords(text, point):
        return "keywords"
    return "announcement" if announces_call(point, text) else None


def echoes(point: DecisionPoint, text: str) -> bool:
    """Whether the text is what the user said last, with next to nothing added."""
    said = normalise(next((message.content or "" for message in reversed(point.history) if message.role == "user"), ""))
    told = normalise(text)
    if not said or said == told:
        return said == told and bool(said)
    many = said.split()
    return len(many) >= _ECHO_LEAST and said in told and len(told.split()) <= len(many) + _ECHO_ADDS


def announces_call(point: DecisionPoint, text: str) -> bool:
    """Whether the text announces a call or names a tool's identifier, neither of which is for the user."""
    said = canonical(text)
    if _ANNOUNCED.search(said):
        return True
    names = (tool.name.casefold() for tool in point.tools if _IDENTIFIER.search(tool.name))
    # What the user has named themselves (a "PayPal" that is a tool's name, too) may be named back.
    return any(_names(name, said) and not _names(name, _users_words(point)) for name in names)


def _names(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _users_words(point: DecisionPoint) -> str:
    return canonical(" ".join(message.content or "" for message in point.history if message.role == "user"))


def _least_words(point: DecisionPoint) -> int:
    """A value may stand alone where facts are due; elsewhere there has to be a word."""
    return 0 if point.expected.facts else 1
