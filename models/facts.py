"""Whether a text conveys a fact: a value in any spelling, or the polarity of a yes-or-no slot.

Rewards and the judge share this reading. It looks only at annotated facts and at the text, never at a reference
utterance, so any phrasing counts that says the same. The rules are small and literal on purpose: spellings of numbers,
prices, dates, clock times and telephone numbers are unified, polarity is read from negation near the words of a slot's
name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from data.schema import Fact
from data.scripts import is_spaceless
from models.mentions import Mention, mentions, value_of
from models.polarity import polarity
from models.wording import EDGE_PUNCTUATION, canonical, normalise, plain

#: Kinds of values that people spell in many ways; a code, or a name, has one.
_RESPELLED = frozenset({"number", "date", "time", "phone"})
#: "18:40 am" is no time of the day.
_NO_TIME = re.compile(r"(?<![\d:.])(?:1[3-9]|2[0-3])(?: ?: ?\d{2})? ?a\.? ?m\b")
#: What has a colon and is no clock time: its parts are not told by themselves.
_RATIO = re.compile(r"\d+:(?:\d(?!\d)|\d{3,})")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def conveys(fact: Fact, text: str) -> bool:
    """Whether ``text`` says the fact.

    A value is conveyed if any of its forms stands in the text as whole tokens, literally or after numbers, prices and
    clock times are spelled alike, or if the form is one number, date, time or telephone number and the text states it
    in other words ("half past seven in the evening"). A boolean is conveyed if the text has its polarity about the
    words of ``fact.name`` (``models/polarity.py``).
    """
    if fact.kind == "boolean":
        return polarity(fact.name, text) is (normalise(fact.forms[0]) == "true")
    text = _NO_TIME.sub(" ", plain(text))
    literal, unified = text, canonical(text)
    if any(_contains(literal, normalise(form)) or _contains(unified, _unified(form)) for form in fact.forms):
        return True
    years = _years(" ".join(fact.forms))
    return any(_mentions(literal, form, years) for form in map(plain, fact.forms))


def _mentions(text: str, form: str, years: set[str]) -> bool:
    """Whether the text states the value that ``form`` is, however both spell it, and of a date no other year."""
    value = value_of(form)
    if value is None or value.kind not in _RESPELLED:
        return False
    if not any(_is_same(value, one) for one in _stated(text)):
        return False
    said = _years(text)
    return value.kind != "date" or not (years and said) or not years.isdisjoint(said)


def _years(text: str) -> set[str]:
    return set(_YEAR.findall(text))


def _is_same(value: Mention, other: Mention) -> bool:
    if value.kind != other.kind:
        return False
    return bool(value.key.minutes == other.key.minutes if value.kind == "time" else value.key == other.key)


@lru_cache(maxsize=4096)
def _stated(text: str) -> tuple[Mention, ...]:
    return mentions(_RATIO.sub(" ", text))


@lru_cache(maxsize=4096)
def _unified(form: str) -> str:
    return canonical(form).strip(EDGE_PUNCTUATION)


def _contains(text: str, form: str) -> bool:
    """Whether ``form`` occurs as whole tokens: ``4`` neither in ``42`` nor in ``4.5`` nor in ``4:30``."""
    start = text.find(form) if form else -1
    while start >= 0:
        if _ends_token(text[:start][-2:][::-1], form[0]) and _ends_token(text[start + len(form) :][:2], form[-1]):
            return True
        start = text.find(form, start + 1)
    return False


def _ends_token(beside: str, edge: str) -> bool:
    """Whether a token ends here, given the two characters beside it, nearest first, and its own at that edge."""
    if not beside or is_spaceless(beside[0]) or is_spaceless(edge):
        return True
    number_goes_on = len(beside) == 2 and beside[0] in ".,:" and beside[1].isdigit()
    return not (beside[0].isalnum() or beside[0] == "_" or number_goes_on)
