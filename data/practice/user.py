"""A rule-based, seeded user: knows its goals, speaks in its own manner, reacts to what the desk's acts ask of it.

It may say everything at once or one thing at a time, give a wrong value first and put it right, refuse at the last
moment, decline all offers, or ask what no tool covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from data.practice.declarations import Domain, Goal, Row
from data.practice.language import join, narrowed, say, tidy
from data.practice.moves import Answer, UserMove
from data.schema import Act


@dataclass(frozen=True)
class Manner:
    """How a user behaves; shares are tuned so that calls are about four in ten assistant turns."""

    eagerness: float
    """Probability that the opening mentions a value the desk will need."""
    one_at_a_time: bool
    refuses: bool
    declines_offers: bool
    asks_outside: bool
    chatty: bool
    takes_leave: bool

    @classmethod
    def sample(cls, rng: Random) -> Manner:
        """Draw a manner."""
        return cls(
            eagerness=rng.choice((1.0, 1.0, 1.0, 0.7, 0.4, 0.0)),
            one_at_a_time=rng.random() < 0.3,
            refuses=rng.random() < 0.07,
            declines_offers=rng.random() < 0.06,
            asks_outside=rng.random() < 0.22,
            chatty=rng.random() < 0.12,
            takes_leave=rng.random() < 0.3,
        )


class User:
    """One user of one conversation."""

    def __init__(
        self, domain: Domain, goals: Sequence[Goal], manner: Manner, today: date, matters: Sequence[str], rng: Random
    ) -> None:
        """``matters`` are topics that no tool on offer covers."""
        self.domain = domain
        self.manner = manner
        self.today = today
        self.matters = list(matters)
        self.rng = rng
        self.waiting = list(goals)
        self.goal = goals[0]
        self.first: Row = {}
        self.opened = False
        self.wants_outside = manner.asks_outside

    def open(self) -> UserMove:
        """State the next goal."""
        self.goal = self.waiting.pop(0)
        self.first = dict(self.goal.first)
        task = self.goal.task
        mentioned = [slot for slot in self.goal.values if self._mentions(slot)]
        mentioned += [slot for slot in self.first if slot not in mentioned]
        words, relative = self._words(mentioned)
        opening = self._say(f"user.open.{task.name}", words)
        inline = [
            slot for slot in mentioned if slot not in task.core and self._key("inline", slot) in self.domain.phrases
        ]
        self.rng.shuffle(inline)
        opening = " ".join([opening, *(self._say(self._key("inline", slot), words) for slot in inline)])
        rest = [slot for slot in mentioned if slot not in task.core and slot not in inline]
        told = [self._say(self._key("tell", slot), words) + "." for slot in rest]
        parts = [self._say("user.next" if self.opened else "user.greet"), opening + (self._end(opening) or "."), *told]
        if self.manner.chatty and not self.opened:
            parts.append(self._say("user.chat"))
        self.opened = True
        return UserMove(
            tidy(" ".join(parts)), "state", task=task.name, values=self._values(mentioned), relative=relative
        )

    def react(self, answer: Answer) -> UserMove | None:
        """The user's next message, or None when they have nothing more to say."""
        acts = set(answer.acts)
        if Act.GOODBYE in acts:
            return None
        if self.wants_outside and self.matters and Act.OFFER not in acts and self.rng.random() < 0.4:
            return self._ask_outside()
        if Act.OFFER in acts:
            return self._choose(answer)
        if Act.CONFIRM in acts:
            return self._confirm()
        if Act.REQUEST in acts:
            return self._answer(answer.requested, failed=Act.REPORT_FAILURE in acts)
        if self.waiting:
            return self.open()
        return UserMove(tidy(self._say("user.leave")), "leave") if self.manner.takes_leave else None

    def _mentions(self, slot: str) -> bool:
        asked = any(slot in requirement for requirement in (*self.goal.task.needs, *self.goal.task.then))
        if self.opened and slot in self.domain.lasting:
            return False  # said or found before; asked for again if need be
        if slot in self.goal.task.core or slot in self.first or not asked:
            return True  # what the desk never asks for must be said unasked
        return self.rng.random() < self.manner.eagerness

    def _answer(self, requested: Sequence[str], *, failed: bool) -> UserMove:
        asked = [slot for slot in requested if slot in self.goal.values]
        if failed:
            for slot in requested:
                self.first.pop(slot, None)
        if self.manner.one_at_a_time:
            asked = asked[:1]
        words, relative = self._words(asked)
        if self.rng.random() < 0.35 and all(self.domain.slots[slot].kind != "boolean" for slot in asked):
            text = ", ".join(words[slot] for slot in asked)
        else:
            text = join([self._say(self._key("tell", slot), words) for slot in asked])
        text = tidy(f"{self._say('user.fill')} {text}{self._end(text)}")
        return UserMove(text, "answer", values=self._values(asked), relative=relative)

    def _confirm(self) -> UserMove:
        if self.first:
            wrong = list(self.first)
            self.first = {}
            words, relative = self._words(wrong)
            text = self._say("user.correct", {"right": join([words[slot] for slot in wrong])})
            return UserMove(tidy(text), "correct", values=self._values(wrong), relative=relative)
        if self.manner.refuses:
            return UserMove(tidy(self._say("user.refuse")), "refuse")
        return UserMove(tidy(self._say("user.affirm")), "affirm")

    def _choose(self, answer: Answer) -> UserMove:
        if self.manner.declines_offers:
            return UserMove(tidy(self._say("user.decline")), "refuse")
        if len(answer.options) == 1:
            return UserMove(tidy(self._say("user.accept")), "choose", choice=0)
        choice = self.goal.choice
        taken, other = answer.options[choice], answer.options[1 - choice]
        keys = [("first", "second")[choice]]
        keys += [
            column
            for column in taken
            if f"user.choose.{column}" in self.domain.phrases and taken[column] != other[column]
        ]
        words = {column: str(value) for column, value in taken.items()}
        text = self._say(f"user.choose.{self.rng.choice(keys)}", words)
        return UserMove(tidy(text + self._end(text)), "choose", choice=choice)

    def _ask_outside(self) -> UserMove:
        self.wants_outside = False
        matter = self.rng.choice(self.matters)
        return UserMove(tidy(self._say("user.outside", {"matter": matter})), "ask_outside", matter=matter)

    def _values(self, slots: Sequence[str]) -> Row:
        return {slot: self.first.get(slot, self.goal.values.get(slot)) for slot in slots}

    def _words(self, slots: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        words, relative = {}, {}
        for slot, value in self._values(slots).items():
            words[slot], needs_today = self.domain.slots[slot].in_guests_words(value, self.rng, self.today)
            if needs_today:
                relative[slot] = words[slot]
        return words, relative

    def _key(self, kind: str, slot: str) -> str:
        value = self._values([slot])[slot]
        return narrowed(self.domain.phrases, f"user.{kind}.{slot}", self.goal.task.name, value)

    def _end(self, text: str) -> str:
        if text.split(" ")[0].lower() in ("can", "could", "is", "what", "when", "do", "where", "how", "have"):
            return "?"
        if "please" in text or "thank" in text:
            return "."
        return self.rng.choice((".", ".", ".", "", ", please.", ", thanks."))

    def _say(self, key: str, words: dict[str, str] | None = None) -> str:
        return say(self.domain.phrases, key, self.rng, words)
