"""Surface language of the practice conversations: phrase templates with alternatives, spoken dates and numbers.

A template holds alternatives in square brackets (``[I'd like|I want] to go``) and slots in braces (``{nights}``).
Choices come from the random generator handed in, so the same seed says the same words in any process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from random import Random

Phrases = Mapping[str, Sequence[str]]

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_SENTENCE_START = re.compile(r"(^|[.!?]\s+)([a-z])")


def expand(template: str, rng: Random) -> str:
    """Replace every ``[a|b|c]`` by one of its alternatives, innermost first."""
    while match := _ALTERNATIVES.search(template):
        choice = rng.choice(match.group(1).split("|"))
        template = template[: match.start()] + choice + template[match.end() :]
    return template


def tidy(text: str) -> str:
    """One space between words, none before punctuation, sentences begin with a capital."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\s+([,.!?;:])", r"\1", text)
    text = re.sub(r",+(?=[,.!?;:]|$)", "", text)
    text = re.sub(r"^[,;:]\s*", "", text)
    return _SENTENCE_START.sub(lambda match: match.group(1) + match.group(2).upper(), text)


def say(phrases: Phrases, key: str, rng: Random, words: Mapping[str, str] | None = None) -> str:
    """One wording of ``key`` with its slots filled from ``words``.

    Raises:
        KeyError: No phrase of that name, or a template names a slot that ``words`` lacks.
    """
    return expand(rng.choice(phrases[key]), rng).format_map(words or {})


def narrowed(phrases: Phrases, key: str, *qualifiers: object) -> str:
    """``key`` narrowed by the first qualifier there are words for: ``agent.detail.breakfast.True``; else ``key``."""
    return next((f"{key}.{qualifier}" for qualifier in qualifiers if f"{key}.{qualifier}" in phrases), key)


def join(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def day_month(day: date) -> str:
    """``6 March``: how the desk says a date."""
    return f"{day.day} {MONTHS[day.month - 1]}"


def date_forms(iso: str) -> tuple[str, ...]:
    """Spellings that count as saying this date."""
    day = date.fromisoformat(iso)
    month = MONTHS[day.month - 1]
    return (day_month(day), f"{month} {day.day}", f"{ordinal(day.day)} of {month}", f"{month} {ordinal(day.day)}", iso)


def birth_date_forms(iso: str) -> tuple[str, ...]:
    """Spellings of a day with its year; day and month are never both numbers, which would be ambiguous."""
    day = date.fromisoformat(iso)
    month, year = MONTHS[day.month - 1], day.year
    return (
        f"{day.day} {month} {year}",
        f"{month} {day.day}, {year}",
        f"{month} {ordinal(day.day)} {year}",
        f"the {ordinal(day.day)} of {month} {year}",
        iso,
    )


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``13th``."""
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def spoken_time(clock: str) -> str:
    """``7 pm`` for ``19:00``, ``7:30 am`` for ``07:30``."""
    hour, minute = int(clock[:2]), clock[3:]
    return f"{(hour - 1) % 12 + 1}{'' if minute == '00' else ':' + minute} {'am' if hour < 12 else 'pm'}"


def other_times(clock: str) -> tuple[str, ...]:
    """``7:00 pm``, ``7pm``, ``19.00``: further spellings that count as saying ``19:00``."""
    hour, minute = int(clock[:2]), clock[3:]
    twelve, half = (hour - 1) % 12 + 1, "am" if hour < 12 else "pm"
    brief = f"{twelve}" if minute == "00" else f"{twelve}:{minute}"
    return (f"{twelve}:{minute} {half}", f"{twelve}:{minute}{half}", f"{brief}{half}", f"{clock[:2]}.{minute}")


def other_counts(value: int, unit: tuple[str, str]) -> tuple[str, ...]:
    """``15GB``, ``€30``, ``no repeats``: further spellings of a count with its unit."""
    if not unit[0]:
        return ()
    if unit[0] == "euro":
        return (f"€{value}", f"{value}€", f"€ {value}", f"{value} €", f"{value} EUR", f"EUR {value}", f"{value} euro")
    none = (f"no {unit[1]}", f"no {unit[0]}") if value == 0 else ()
    return (f"{value}{unit[value != 1]}", f"{value} {unit[0]}", *none)


def other_dates(iso: str) -> tuple[str, ...]:
    """``6 Mar``, ``Mar 6``, ``6th March``: further spellings of a date."""
    day = date.fromisoformat(iso)
    month = MONTHS[day.month - 1]
    return (f"{day.day} {month[:3]}", f"{month[:3]} {day.day}", f"{ordinal(day.day)} {month}")


def relative_date(day: date, today: date) -> str | None:
    """``today``, ``tomorrow``, a weekday of the coming six days, ``Friday next week``; None if further off.

    Weeks begin on Monday. A bare weekday is the next day of that name; it is used within six days only, so that it
    is never ambiguous.
    """
    ahead = (day - today).days
    if ahead in (0, 1):
        return ("today", "tomorrow")[ahead]
    weekday = WEEKDAYS[day.weekday()]
    if 2 <= ahead <= 6:
        return weekday
    monday_after = today + timedelta(days=7 - today.weekday())
    return f"{weekday} next week" if monday_after <= day < monday_after + timedelta(days=7) else None


def absolute_date(day: date, rng: Random) -> str:
    """A calendar date as guests write it."""
    month = MONTHS[day.month - 1]
    return rng.choice(
        (
            day_month(day),
            day_month(day),
            f"{month} {day.day}",
            f"{month} {ordinal(day.day)}",
            f"the {ordinal(day.day)} of {month}",
        )
    )
