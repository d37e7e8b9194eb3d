"""How one user says things: openings, answers, corrections, choices, in their manner and with their slips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from random import Random
from typing import Any

from data.practice.declarations import Domain, Row, Task
from data.practice.language import expand, join, narrowed, tidy
from data.practice.manner import Manner
from data.practice.typos import with_typos

_QUESTION_STARTS = ("can", "could", "is", "what", "when", "do", "where", "how", "have")
Said = tuple[str, dict[str, str]]
"""A text, and the words in it that depend on today's date, by slot."""


class Voice:
    """The words of one user."""

    def __init__(self, domain: Domain, manner: Manner, today: date, rng: Random) -> None:
        self.domain = domain
        self.manner = manner
        self.today = today
        self.rng = rng

    def opening(self, task: Task, values: Row, lead: str) -> Said:
        """The wish to do ``task`` with these values: in its sentence where the language allows, else behind it."""
        words, relative = self._words(values)
        inline = [
            slot for slot in values if slot not in task.core and self._key("inline", slot, task, values) in self.phrases
        ]
        self.rng.shuffle(inline)
        parts = [self.say(f"user.open.{task.name}", words)]
        parts += [self._value("inline", slot, task, values, words) for slot in inline]
        opening = " ".join(parts)
        rest = [slot for slot in values if slot not in task.core and slot not in inline]
        told = [self._value("tell", slot, task, values, words) + "." for slot in rest]
        text = " ".join([lead, opening + (self.end(opening) or "."), *told])
        return tidy(text), relative

    def answer(self, task: Task, values: Row) -> Said:
        """These values, with or without a sentence around them."""
        words, relative = self._words(values)
        bare = all(self.domain.slots[slot].kind != "boolean" for slot in values)
        if bare and self.rng.random() < self.manner.terse:
            text = ", ".join(words.values())
        else:
            text = join([self._told(slot, task, values, words) for slot in values])
        return tidy(f"{self.say('user.fill')} {text}{self.end(text)}"), relative

    def correction(self, key: str, values: Row) -> Said:
        """These values instead of what was said before."""
        words, relative = self._words(values)
        booleans = {name: value for name, value in values.items() if self.domain.slots[name].kind == "boolean"}
        words |= {
            name: f"{'with' if value else 'no'} {self.domain.slots[name].words}" for name, value in booleans.items()
        }
        return tidy(self.say(key, {"right": join(list(words.values()))})), relative

    def choice(self, taken: Row, options: Sequence[Row]) -> str:
        """Which of several rows on offer: by its place or by what sets it apart."""
        at = options.index(taken)
        keys = [("first", "second", "third")[at]] if at < 3 else []
        if len(options) != 2 and "second" in keys:
            keys = ["second"]
        others = [row for row in options if row != taken]
        keys += self.telling(taken, others)
        if not keys:
            keys = ["first"]
        return self._chosen(self.rng.choice(keys), taken)

    def preference(self, wanted: Row, options: Sequence[Row]) -> str:
        """A wish for a row that is not on offer."""
        keys = self.telling(wanted, options)
        wish = self._chosen(self.rng.choice(keys), wanted) if keys else ""
        return tidy(f"{self.say('user.prefer')} {wish}")

    def telling(self, row: Row, others: Sequence[Row]) -> list[str]:
        """Columns there are words for that set this row apart from all others."""
        return [
            column
            for column in row
            if f"user.choose.{column}" in self.phrases and all(other.get(column) != row[column] for other in others)
        ]

    def line(self, key: str, **words: str) -> str:
        """One wording of a phrase that stands alone."""
        return tidy(self.say(key, words))

    def say(self, key: str, words: Mapping[str, str] | None = None, *, slips: bool = True) -> str:
        """One wording of ``key``, its slots filled, slips included."""
        template = expand(self.rng.choice(self.phrases[key]), self.rng)
        return with_typos(template, self.manner.typo_rate if slips else 0, self.rng).format_map(words or {})

    def end(self, text: str) -> str:
        """How the sentence ends."""
        if text.split(" ")[0].lower() in _QUESTION_STARTS:
            return "?"
        if "please" in text or "thank" in text:
            return "."
        return self.rng.choice((".", ".", ".", "", ", please.", ", thanks."))

    @property
    def phrases(self) -> Mapping[str, Sequence[str]]:
        """The domain's language."""
        return self.domain.phrases

    def _chosen(self, key: str, row: Row) -> str:
        text = self.say(f"user.choose.{key}", {column: str(value) for column, value in row.items()})
        return tidy(text + self.end(text))

    def _value(self, kind: str, slot: str, task: Task, values: Row, words: Mapping[str, str]) -> str:
        """One value in its phrase; a yes or no is in the phrase itself, so that has no slips."""
        plain = self.domain.slots[slot].kind != "boolean"
        return self.say(self._key(kind, slot, task, values), words, slips=plain)

    def _told(self, slot: str, task: Task, values: Row, words: Mapping[str, str]) -> str:
        """A value that was asked for. What the opening has always said already has no phrase to be told again by; an
        agent that asks for it all the same gets the bare words."""
        there = self._key("tell", slot, task, values) in self.phrases
        return self._value("tell", slot, task, values, words) if there else words[slot]

    def _key(self, kind: str, slot: str, task: Task, values: Mapping[str, Any]) -> str:
        return narrowed(self.phrases, f"user.{kind}.{slot}", task.name, values[slot])

    def _words(self, values: Row) -> tuple[dict[str, str], dict[str, str]]:
        words, relative = {}, {}
        for slot, value in values.items():
            words[slot], needs_today = self.domain.slots[slot].in_guests_words(value, self.rng, self.today)
            if needs_today:
                relative[slot] = words[slot]
        return words, relative
