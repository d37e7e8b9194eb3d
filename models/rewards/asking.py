"""Which argument an answer asks for: the difference between "Which city?" and "What would you like?".

A slot is asked for where the text asks at all and speaks of the slot: by a word of its name, a common other word for
such a thing (*when* for a date), or one of the values its schema lists (models/slots.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from data.schema import Act, ToolSpec
from models.equality import argument_schemas
from models.rewards.acts import acts_of
from models.slots import GOING_TO, has_a_value_of, has_a_word_for, parts_of, stems_of
from models.wording import asks, plain

#: What tells that a number is asked for, not only what it would be a number of.
_HOW_MANY = re.compile(r"\b(?:how many|number|amount|count|just|only|alone|one|more)\b")
#: What people ask one another about, with the words that ``ALSO_SAID`` takes for many slots each.
_MATTERS: dict[str, str] = {
    "time": r"when|time|(?<!how many )days?|dates?|hours?|o'clock|morning|evening|afternoon|weekend"
    r"|how (?:soon|early|late)",
    "place": rf"where|{GOING_TO}|parts?|city|cities|town|area|place|location|region|address|destination|venue",
    "number": r"how many(?! (?:days|nights)\b)|people|persons?|party|guests?|passengers?|tickets?|seats?|number|count"
    r"|alone|(?:just|only) (?:for )?you",
    "length": r"how long|how many days|duration|length|nights?|until|stay",
    "money": r"how much|amount|sum|money|value|price|cost|budget|fare",
    "kind": r"kind|type|sort|style|genre|categor\w+|class|food|cuisine|taxi|cab",
    "person": r"who|whom|whose|name|recipient",
    "reason": r"why|reason",
}
_MATTER_PATTERNS = tuple(re.compile(rf"\b(?:{said})\b") for said in _MATTERS.values())
_QUESTION_WORD = re.compile(r"\b(?:(?:what|how)(?! about\b)|which|when|where|who|whom|whose|why)\b")


def asks_for(slot: str, text: str, tools: Sequence[ToolSpec]) -> bool:
    """Whether the text asks, and asks for this slot."""
    return asks(text) and speaks_of(slot, text, tools)


def speaks_of(slot: str, text: str, tools: Sequence[ToolSpec]) -> bool:
    """Whether the text has a word for the slot, or one of its listed values; of slots joined by ``|`` for one."""
    if "|" in slot:
        return any(speaks_of(one, text, tools) for one in slot.split("|"))
    said = plain(text)
    if _counts(slot) and acts_of(text) == {Act.OFFER_INTENT} and not _HOW_MANY.search(said):
        return False  # "Shall I buy the tickets?" names what is counted
    if has_a_word_for(slot, text):
        return True
    # Who confirms repeats values instead of offering them.
    return Act.CONFIRM not in acts_of(text) and has_a_value_of(slot, text, tools)


def things_spoken_of(text: str, tools: Sequence[ToolSpec]) -> frozenset[str]:
    """The words of all argument names on offer that the text has, cut to stems: how many things it goes through.

    Words, not arguments: "pick it up" speaks of ``pickup_time`` and ``pickup_city``, and of one thing.
    """
    said = plain(text)
    stems = {stem for tool in tools for name in argument_schemas(tool) for stem in stems_of(name)}
    return frozenset(stem for stem in stems if re.search(rf"\b{stem}", said))


def questions_in(text: str) -> int:
    """How many questions a text puts: its question words, or the matters it speaks of if these are more.

    An argument is asked for by its name or by any common word for such a thing, so names alone do not tell how much a
    text goes through: "When, where, how many and what kind?" has none and asks for nearly everything.
    """
    said = plain(text)
    matters = sum(pattern.search(said) is not None for pattern in _MATTER_PATTERNS)
    return max(len(_QUESTION_WORD.findall(said)), matters)


def _counts(slot: str) -> bool:
    return parts_of(slot)[:1] in (["number"], ["num"])
