"""Grounding: which values an answer or a call states that stand nowhere in what the agent has seen.

A model that invents a price, a reference number or a restaurant is worse than one that says nothing, and that can be
told without knowing the right answer: numbers, prices, dates, times, codes and names must stand in the history or in a
tool's result, whatever their spelling (``mentions``). The rules lean towards silence, since a false alarm punishes an
honest answer: sentence-initial names, "one", and anything that simple reading can derive (list lengths, roundings,
weekdays of known dates, "tomorrow" from a stated today) are let pass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from data.schema import Message, ToolCall, ToolSpec
from models.mentions import Mention, mentions
from models.rewards.seen import Seen, seen_by

_CAPITALISED = re.compile(r"(?<![\w'’@./-])[A-Z][\w'’&-]*\w|(?<![\w'’@./-])[A-Z](?=\. [A-Z])")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;\n\"“(]|[-*•])\s*$")
_POSSESSIVE = re.compile(r"['’]s?$")
_PART = re.compile(r"[^\W_]+")
#: Capitalised words that name nothing one could check: courtesy, common abbreviations, words people capitalise.
_NO_NAMES = """
    i i'm i'll i've i'd ok okay yes no sorry sure thanks thank please hello hi great alright would do is are can could
    the a an and or but so if it your you we what which when where how any here there in on at for from to with by
    have such confirm whom one two let my me this that these those he she they them not just also maybe how's what's
    am pm a.m p.m ac tv wifi wi-fi atm usd us usa id mr mrs ms dr st ave gps dvd bbq dj pdf url faq asap eta
    today tomorrow tonight morning evening afternoon fahrenheit celsius mph international airport street
    january february march april may june july august september october november december jan feb mar apr jun jul aug
    sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur fri sat sun
"""
_UNCHECKED = frozenset(_NO_NAMES.split())
#: Above this share of capitalised words a text is a title or shouting, where capitals say nothing.
_MOSTLY_CAPITALS = 0.7
#: "Italian, Mexican or anything else?" names examples and claims nothing.
_OPEN_QUESTION = re.compile(r"\b(?:else|others?|another|such as|for example)\b[^.?!]*\?")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
#: A number with a country code in front is the same number; codes are seldom longer.
_PHONE_DIGITS = 10
#: "LA" for Los Angeles: what an abbreviation stands for is beyond a rule.
_LONGEST_ABBREVIATION = 4
#: Characters of an answer, and of a sentence, that are read: patterns over endless text take endless time.
_LONGEST_ANSWER, _LONGEST_SENTENCE = 20_000, 1_000
_SOON = 14  # days after a stated "today" that a relative date may mean
_YEAR = 365
_RELATIVE = {0: ("today", "tonight", "now"), 1: ("tomorrow",), 2: ("tomorrow",)}


def ungrounded_values(history: Sequence[Message], text: str, tools: Sequence[ToolSpec] = ()) -> tuple[str, ...]:
    """The values ``text`` states that neither the history nor a tool's result has; normalised, distinct, in order.

    Args:
        history: All messages before the answer: what user and agent said, calls, results, the system message.
        text: The answer.
        tools: Tools on offer; what their schemas say (descriptions, enums, defaults) counts as seen.
    """
    return unbacked_values(text, seen_by(history, tools))


def ungrounded_arguments(history: Sequence[Message], call: ToolCall, tools: Sequence[ToolSpec] = ()) -> tuple[str, ...]:
    """Names of the arguments of ``call`` with a value that stands nowhere in the history nor in a tool's schema.

    Booleans are choices, not claims, and always pass. Text is grounded if its values (numbers, dates, times) and its
    words were seen; a list or an object if all of its members are.
    """
    return unbacked_arguments(call, seen_by(history, tools))


def unbacked_values(text: str, seen: Seen) -> tuple[str, ...]:
    """``ungrounded_values`` where what was seen is known already."""
    text = text[:_LONGEST_ANSWER]
    missing = [one.spelling for one in mentions(text) if not _backed(one, seen)]
    return tuple(dict.fromkeys([*missing, *_unknown_names(text, seen)]))


def unbacked_arguments(call: ToolCall, seen: Seen) -> tuple[str, ...]:
    """``ungrounded_arguments`` where what was seen is known already."""
    return tuple(name for name, value in call.arguments.items() if not _value_seen(value, seen))


def _backed(one: Mention, seen: Seen) -> bool:
    if one.kind == "number":
        return seen.number(one.key)
    if one.kind == "date":
        return seen.day(one.key) or _soon(one.key, seen)
    if one.kind == "weekday":
        return _weekday_backed(one.key, seen)
    if one.kind == "time":
        return seen.time(one.key)
    return seen.squeezed(one.key[-_PHONE_DIGITS:])


def _soon(month_day: tuple[int, int], seen: Seen) -> bool:
    """Whether a date close to a stated today was meant by "tomorrow", "next Friday" or "the 8th"."""
    if seen.today is None:
        return False
    ahead = _days_ahead(month_day, seen.today)
    return ahead is not None and _said_relatively(seen.today + timedelta(ahead), ahead, seen)


def _days_ahead(month_day: tuple[int, int], today: date) -> int | None:
    """How many days after today that date comes, if soon."""
    return next((n for n in range(_SOON + 1) if _month_day(today + timedelta(n)) == month_day), None)


def _month_day(day: date) -> tuple[int, int]:
    return day.month, day.day


def _said_relatively(day: date, ahead: int, seen: Seen) -> bool:
    named = any(seen.word(word) for word in _RELATIVE.get(ahead, ()))
    return named or seen.weekday(day.weekday()) or seen.number(str(day.day))


def _weekday_backed(weekday: int, seen: Seen) -> bool:
    if seen.weekday(weekday):
        return True
    if seen.today is None:
        return any(part.dates for part in seen.parts)  # without a year a date has any weekday
    days = [(ahead, seen.today + timedelta(ahead)) for ahead in range(_YEAR)]
    same = [(ahead, day) for ahead, day in days if day.weekday() == weekday]
    return any(
        seen.day(_month_day(day)) or (ahead <= _SOON and _said_relatively(day, ahead, seen)) for ahead, day in same
    )


def _unknown_names(text: str, seen: Seen) -> Iterator[str]:
    """The parts never seen of each run of capitalised words inside a sentence; of English ones."""
    if not seen.capitals_tell:
        return
    text = unicodedata.normalize("NFKC", text)
    if len(_CAPITALISED.findall(text)) > _MOSTLY_CAPITALS * len(text.split()):
        return
    for sentence in _SENTENCE_END.split(text):
        if _OPEN_QUESTION.search(sentence[:_LONGEST_SENTENCE]):
            continue
        for run in _runs(sentence):
            unknown = [name.casefold() for name in run if not _known_name(name, seen)]
            if unknown and not seen.abbreviated(run):
                yield " ".join(unknown)


def _runs(sentence: str) -> Iterator[list[str]]:
    """Capitalised words in a row, without those that only begin a sentence."""
    run: list[str] = []
    end = 0
    for match in _CAPITALISED.finditer(sentence):
        if run and sentence[end : match.start()].strip():
            yield run
            run = []
        if not _SENTENCE_START.search(sentence, 0, match.start()):
            run.append(match[0])
        end = match.end()
    if run:
        yield run


def _known_name(name: str, seen: Seen) -> bool:
    if name.isupper() and len(name) <= _LONGEST_ABBREVIATION:
        return True
    folded = _POSSESSIVE.sub("", name.casefold().replace("’", "'"))
    if folded in _UNCHECKED or name.casefold() in _UNCHECKED:
        return True
    return all(seen.like(part) for part in _PART.findall(folded))


def _value_seen(value: Any, seen: Seen) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, list):
        return all(_value_seen(one, seen) for one in value)
    if isinstance(value, dict):
        return all(_value_seen(one, seen) for one in value.values())
    return _text_seen(str(value), seen)


def _text_seen(text: str, seen: Seen) -> bool:
    found = mentions(text)
    if any(not _backed(one, seen) for one in found):
        return False
    return bool(found) or all(seen.like(word) for word in _PART.findall(text.casefold()))
