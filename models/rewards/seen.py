"""What an agent has been shown, text by text, and whether it backs a value up.

The reading is generous where ``mentions`` is choosy: every digit run, every word, every rounding of a number and the
length of every list in a tool's result may back a value of an answer up. Texts are read once and kept, because the same
history stands behind every answer of a group.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from data.schema import Message, ToolSpec
from models.mentions import DIGITS, NOT_ALNUM, Clock, Mention, number_key, scan
from models.rewards.language import is_in_english
from models.wording import plain

HALF_DAY = 720  # minutes
_BEGINNING = 4  # letters
_LEAST_CODE = 3
_WORD = re.compile(r"[^\W_]+")
_TODAY = re.compile(r"today is (?:[a-z]+, )?(\d{4})-(\d{2})-(\d{2})")


@dataclass(frozen=True)
class Stated:
    """Everything one text the agent has seen may back up."""

    words: frozenset[str]
    numbers: frozenset[str]
    dates: frozenset[tuple[int, int]]
    weekdays: frozenset[int]
    beginnings: frozenset[str]
    """The first letters of every word: what "Philly" and "Philadelphia", "Mexico" and "Mexican" share."""
    sure_times: frozenset[int]
    """Minutes since midnight."""
    any_times: frozenset[int]
    """Minutes on the clock's face (modulo twelve hours), of all times."""
    unsure_times: frozenset[int]
    """Those of them that may be a.m. or p.m."""
    squeezed: str
    """Letters and digits alone: what codes and telephone numbers are looked up in."""
    today: date | None


@lru_cache(maxsize=8192)
def stated(text: str) -> Stated:
    """What ``text`` may back up. Cached: the same history stands behind every answer of a group."""
    folded = plain(text)
    found = list(scan(folded))
    times = [one.key for one in found if one.kind == "time"]
    tokens = frozenset(_WORD.findall(folded))
    today = _TODAY.search(folded)
    dates = frozenset(one.key for one in found if one.kind == "date")
    return Stated(
        words=tokens,
        numbers=frozenset(_numbers(folded, found, tokens, text)),
        dates=dates,
        weekdays=frozenset(one.key for one in found if one.kind == "weekday"),
        beginnings=frozenset(word[:_BEGINNING] for word in tokens if len(word) >= _BEGINNING),
        sure_times=frozenset(clock.minutes for clock in times if clock.sure),
        any_times=frozenset(clock.minutes % HALF_DAY for clock in times),
        unsure_times=frozenset(clock.minutes % HALF_DAY for clock in times if not clock.sure),
        squeezed=NOT_ALNUM.sub("", folded),
        today=_day(*map(int, today.groups())) if today else None,
    )


class Seen:
    """All that an agent has been shown, text by text; asked lazily, since answers state few values."""

    def __init__(self, texts: Iterable[str], capitals_tell: bool = True) -> None:
        self.capitals_tell = capitals_tell
        """Whether capitals mark names, as in English; in German they mark nouns."""
        self.parts = tuple(map(stated, texts))
        self.today = next((part.today for part in self.parts if part.today), None)

    def number(self, key: str) -> bool:
        """Whether this number was seen."""
        return any(key in part.numbers for part in self.parts)

    def day(self, month_day: tuple[int, int]) -> bool:
        """Whether this date was seen."""
        return any(month_day in part.dates for part in self.parts)

    def weekday(self, weekday: int) -> bool:
        """Whether this day of the week was named."""
        return any(weekday in part.weekdays for part in self.parts)

    def word(self, word: str) -> bool:
        """Whether this word was seen."""
        return any(word in part.words for part in self.parts)

    def like(self, word: str) -> bool:
        """Whether the word was seen, one with the same beginning, or a longer one it is cut from."""
        if self.word(word):
            return True
        if len(word) >= _BEGINNING and any(word[:_BEGINNING] in part.beginnings for part in self.parts):
            return True
        return len(word) >= _LEAST_CODE and self.squeezed(word)

    def abbreviated(self, words: Sequence[str]) -> bool:
        """Whether several words were seen by their initials: "LA", "NYC"."""
        initials = "".join(word[0] for word in words).casefold()
        return len(words) > 1 and (self.word(initials) or self.word(f"{initials}c"))

    def squeezed(self, code: str) -> bool:
        """Whether these letters and digits stand in a row anywhere, whatever separates them there."""
        return any(code in part.squeezed for part in self.parts)

    def time(self, clock: Clock) -> bool:
        """Whether this clock time was seen; a.m. and p.m. count where both sides say them."""
        face = clock.minutes % HALF_DAY
        if clock.sure:
            shown = any(clock.minutes in part.sure_times or face in part.unsure_times for part in self.parts)
        else:
            shown = any(face in part.any_times for part in self.parts)
        return shown or self._bare_hour(face)

    def _bare_hour(self, face: int) -> bool:
        """A full hour said as a bare number: "dinner at 7" backs up 7 pm, unless the clock time was given, too."""
        stands = any(face in part.any_times for part in self.parts)
        return face % 60 == 0 and not stands and self.number(str(face // 60 or 12))


def seen_by(history: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> Seen:
    """What the agent has been shown: every message, the arguments of its own calls, and what its tools' schemas say."""
    texts = [message.content for message in history if message.content]
    calls = [call.arguments_raw for message in history for call in message.tool_calls]
    return Seen([*texts, *calls, *map(_told, tools)], is_in_english(history))


_TOLD: dict[int, tuple[ToolSpec, str]] = {}
_TOLD_AT_MOST = 4096


def _told(tool: ToolSpec) -> str:
    """What the model is told about a tool, as text; kept by identity, for a schema has no cheap hash."""
    known = _TOLD.get(id(tool))
    if known is None or known[0] is not tool:
        if len(_TOLD) >= _TOLD_AT_MOST:
            _TOLD.clear()
        known = _TOLD[id(tool)] = tool, f"{tool.description} {json.dumps(tool.parameters, ensure_ascii=False)}"
    return known[1]


def _numbers(folded: str, found: list[Mention], tokens: frozenset[str], text: str) -> Iterator[str]:
    """Every number that the text may back up: its digit runs, words, hours, roundings and the lengths of its lists."""
    yield from (one.key for one in found if one.kind == "number")
    yield from (
        str((one.key.minutes // 60 - 1) % 12 + 1) for one in found if one.kind == "time" and not one.key.minutes % 60
    )
    for digits in DIGITS.findall(folded.replace(",", "") + " " + folded):
        yield number_key(digits)
        if "." in digits:
            whole, _, part = digits.partition(".")
            yield from (number_key(whole), number_key(f"{float(digits):.0f}"), number_key(f"{float(digits):.1f}"))
            yield number_key(part)
    yield from ("1" for word in ("one", "a", "an", "me", "myself", "alone", "single") if word in tokens)
    yield from ("2" for word in ("both", "couple", "pair", "twice") if word in tokens)
    if text.lstrip().startswith(("{", "[")):
        yield from map(str, _list_lengths(text))


def _list_lengths(text: str) -> Iterator[int]:
    """Lengths of all lists in a tool's result, so that "I found 3" is grounded; none if it is not JSON."""
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            yield len(item)
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
