"""Which checkable values a text mentions: numbers, prices, dates, clock times, telephone numbers and codes.

Literal rules over plain text, one scan from left to right; each value gets one spelling, however it is written: "half
past five in the evening" and "5:30 pm" are 17:30, "the 8th of March" and "2019-03-08" are 03-08.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from models.wording import plain

Kind = Literal["number", "date", "weekday", "time", "phone", "code"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_UNITS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
NUMBER_WORDS: dict[str, int] = {
    **{word: number for number, word in enumerate(_UNITS)},
    **{word: 10 * tens for tens, word in enumerate(_TENS, start=2)},
    "hundred": 100,
    "thousand": 1000,
}
_ORDINALS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)
_WORDS = "|".join(NUMBER_WORDS)
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
#: What is written right behind a number and makes it no code.
_CURRENCY = r"(?:usd|eur|gbp|inr|dollars?|euros?|pounds?)\b"
_HOUR = rf"(?:\d{{1,2}}|(?:{'|'.join(_UNITS[1:13])})\b)"
#: One pass, first alternative wins; group names say how a match is read.
_SCAN = re.compile(
    r"(?P<iso>\b(?P<iso_y>\d{4})-(?P<iso_m>\d{1,2})-(?P<iso_d>\d{1,2})(?!\d))"
    rf"|(?P<md>\b(?P<md_m>{_MONTH}),? (?:the )?"
    rf"(?P<md_d>\d{{1,2}}(?![\d:])|(?:{'|'.join(_ORDINALS)})\b)(?:st|nd|rd|th)?)"
    rf"|(?P<dm>\b(?P<dm_d>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<dm_m>{_MONTH}))"
    r"|(?P<slash>(?<![\d/])(?P<sl_m>\d{1,2})/(?P<sl_d>\d{1,2})(?:/\d{2,4})?(?![\d/]))"
    r"|(?P<clock>(?<![\d:.])(?P<ck_h>\d{1,2})(?:(?: ?: ?|\.)(?P<ck_m>\d{2}))? ?(?P<ck_half>[ap])\.? ?m\b)"
    r"|(?P<colon>(?<![\d:.])(?P<co_h>\d{1,2}) ?: ?(?P<co_m>\d{2})(?::\d{2})?(?!\d))"
    rf"|(?P<past>\b(?P<pa_part>half|quarter) (?P<pa_way>past|after|to|till) (?P<pa_h>{_HOUR}))"
    rf"|(?P<sharp>\b(?P<sh_h>{_HOUR}) ?(?:o'?clock|(?=in the (?:morning|afternoon|evening)|at night)))"
    r"|(?P<named>\b(?:noon|midday|midnight)\b)"
    r"|(?P<phone>(?<![\w.])\+?\(?\d(?:(?:[-. ]|\) ?| \()?\d){6,}(?!\w))"
    r"|(?P<ordinal>\b(?P<or_n>\d{1,2})(?:st|nd|rd|th)\b)"
    rf"|(?P<code>\b(?=[a-z]*\d)(?=\d*[a-z])(?!\d+{_CURRENCY})[a-z0-9]{{3,}}\b)"
    rf"|(?P<number>(?<![\w.])\d+(?:,\d{{3}})*(?:\.\d+)?(?!(?!{_CURRENCY})\w))"
    rf"|(?P<weekday>\b(?:{'|'.join(WEEKDAYS)})\b)"
    rf"|(?P<words>\b(?:{_WORDS})\b(?:(?:[ -]|,? and )(?:{_WORDS})\b)*)"
)
_DAYTIME_AFTER = re.compile(r" ?(?:(?:in the|this) (morning|afternoon|evening)|at (night)|(tonight))")
_DAYTIME_BEFORE = re.compile(r"(?:(morning|afternoon|evening|tonight)(?: at| around| by)?|(night) at) $")
DIGITS = re.compile(r"\d+(?:\.\d+)?")
NOT_ALNUM = re.compile(r"[\W_]+")
_LEAST_PHONE_DIGITS = 7
#: "one" is a pronoun more often than a number ("this one", "one of the best").
_PRONOUN = "one"


class Mention(NamedTuple):
    """A value an answer states: its kind, its one spelling, and what it is compared by."""

    kind: Kind
    spelling: str
    key: Any


class Clock(NamedTuple):
    """A clock time in minutes since midnight; ``sure`` unless it could be a.m. as well as p.m."""

    minutes: int
    sure: bool


def mentions(text: str) -> tuple[Mention, ...]:
    """The values other than names in ``text``, in order."""
    return tuple(scan(plain(text)))


def value_of(folded: str) -> Mention | None:
    """The one value that a text, plain already, is; None if it is none, several, or says something beside it."""
    match = _SCAN.fullmatch(folded.strip(" $"))
    found = list(_READERS[str(match.lastgroup)](match)) if match else []
    return found[0] if len(found) == 1 else None


def number_key(text: str) -> str:
    """The one spelling of a number: ``1,200.00`` is ``1200``, ``08`` is ``8``."""
    whole, _, part = text.replace(",", "").partition(".")
    part = part.rstrip("0")
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{part}" if part else whole


def scan(folded: str) -> Iterator[Mention]:
    """``mentions`` of a text that is plain already."""
    for match in _SCAN.finditer(folded):
        yield from _READERS[str(match.lastgroup)](match)


def _date(month: int, day: int, spelling: str) -> Iterator[Mention]:
    if 1 <= month <= 12 and 1 <= day <= 31:
        yield Mention("date", f"{month:02d}-{day:02d}", (month, day))
    else:
        yield from (Mention("number", number_key(one), number_key(one)) for one in DIGITS.findall(spelling))


def _iso(match: re.Match[str]) -> Iterator[Mention]:
    return _date(int(match["iso_m"]), int(match["iso_d"]), match[0])


def _month_day(match: re.Match[str]) -> Iterator[Mention]:
    day = match["md_d"]
    number = int(day) if day.isdigit() else _ORDINALS.index(day) + 1
    return _date(_MONTHS.index(match["md_m"][:3]) + 1, number, match[0])


def _day_month(match: re.Match[str]) -> Iterator[Mention]:
    return _date(_MONTHS.index(match["dm_m"][:3]) + 1, int(match["dm_d"]), match[0])


def _slash(match: re.Match[str]) -> Iterator[Mention]:
    return _date(int(match["sl_m"]), int(match["sl_d"]), match[0])


def _time(hour: int, minute: int, match: re.Match[str], half: str | None = None) -> Iterator[Mention]:
    if hour > 24 or minute > 59:
        yield from (Mention("number", number_key(one), number_key(one)) for one in DIGITS.findall(match[0]))
        return
    half = half or _half_of_day(match)
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    sure = bool(half) or hour > 12 or match[0].startswith("0")
    minutes = (hour * 60 + minute) % 1440
    yield Mention("time", f"{minutes // 60:02d}:{minutes % 60:02d}", Clock(minutes, sure))


def _half_of_day(match: re.Match[str]) -> str | None:
    """Morning or not, from the words right beside a time."""
    beside = _DAYTIME_AFTER.match(match.string, match.end())
    beside = beside or _DAYTIME_BEFORE.search(match.string, max(0, match.start() - 20), match.start())
    return None if beside is None else "a" if beside[1] == "morning" else "p"


def _clock(match: re.Match[str]) -> Iterator[Mention]:
    return _time(int(match["ck_h"]), int(match["ck_m"] or 0), match, match["ck_half"])


def _colon(match: re.Match[str]) -> Iterator[Mention]:
    return _time(int(match["co_h"]), int(match["co_m"]), match)


def _past(match: re.Match[str]) -> Iterator[Mention]:
    hour, minutes = _hour(match["pa_h"]), 30 if match["pa_part"] == "half" else 15
    if match["pa_way"] in ("to", "till"):
        hour, minutes = (hour - 1) or 12, 60 - minutes
    return _time(hour, minutes, match)


def _sharp(match: re.Match[str]) -> Iterator[Mention]:
    return _time(_hour(match["sh_h"]), 0, match)


def _hour(text: str) -> int:
    return int(text) if text.isdigit() else NUMBER_WORDS[text]


def _named(match: re.Match[str]) -> Iterator[Mention]:
    return _time(12, 0, match, "a" if match[0] == "midnight" else "p")


def _phone(match: re.Match[str]) -> Iterator[Mention]:
    digits = NOT_ALNUM.sub("", match[0])
    if len(digits) >= _LEAST_PHONE_DIGITS:
        yield Mention("phone", digits, digits)
    else:
        yield from (Mention("number", number_key(one), number_key(one)) for one in DIGITS.findall(match[0]))


def _ordinal(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention("number", match["or_n"], number_key(match["or_n"]))


def _code(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention("code", match[0], match[0])


def _number(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention("number", number_key(match[0]), number_key(match[0]))


def _weekday(match: re.Match[str]) -> Iterator[Mention]:
    yield Mention("weekday", match[0], WEEKDAYS.index(match[0]))


def _number_words(match: re.Match[str]) -> Iterator[Mention]:
    if match[0] != _PRONOUN:
        said = re.findall("[a-z]+", match[0].replace(" and ", " "))
        yield from (Mention("number", str(value), str(value)) for value in _spoken(said))


def _spoken(said: list[str]) -> Iterator[int]:
    """The numbers that a run of number words makes: "one thousand one hundred ninety" is one, "two thirty" are two."""
    whole, part = 0, None
    for value in (NUMBER_WORDS[word] for word in said):
        if value == 1000 and not whole:
            whole, part = (part or 1) * 1000, 0
        elif value == 100 and (part or 1) < 100:
            part = (part or 1) * 100
        elif value < 100 and (part is None or _goes_on(part, value)):
            part = (part or 0) + value
        else:
            yield whole + (part or 0)
            whole, part = 0, value
    yield whole + (part or 0)


def _goes_on(part: int, value: int) -> bool:
    """Whether a number below a hundred may follow: after a full hundred, or a unit after tens."""
    return part % 100 == 0 or (part % 10 == 0 and part % 100 >= 20 and 0 < value < 10)


_READERS = {
    "iso": _iso,
    "md": _month_day,
    "dm": _day_month,
    "slash": _slash,
    "clock": _clock,
    "colon": _colon,
    "past": _past,
    "sharp": _sharp,
    "named": _named,
    "phone": _phone,
    "ordinal": _ordinal,
    "code": _code,
    "number": _number,
    "weekday": _weekday,
    "words": _number_words,
}
