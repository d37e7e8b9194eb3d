"""A rule-based, seeded user: knows its goals, hears any agent's free text, and reacts in its own manner.

It may say everything at once or one thing at a time, give a wrong value first and put it right, change its mind, refuse
at the last moment, decline all offers, ask what no tool covers, chat, or leave. What it does not understand it answers
by repeating itself, twice; then it gives up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from random import Random
from typing import Any

from data.practice.declarations import Domain, Goal, Row
from data.practice.hearing import Heard, contradicted, hear, speaks_of
from data.practice.log import Executed, rows_found, written
from data.practice.manner import Manner
from data.practice.moves import UserMove
from data.practice.spellings import plain, says
from data.practice.voice import Voice

PATIENCE = 3
"""Messages in a row that a user does not understand before it gives up."""


class User:
    """One user of one conversation."""

    def __init__(
        self,
        domain: Domain,
        goals: Sequence[Goal],
        manner: Manner,
        today: date,
        matters: Sequence[str],
        rng: Random,
        wanted: Sequence[Row | None] | None = None,
        impossible: Sequence[bool] | None = None,
    ) -> None:
        """``matters`` are topics that no tool on offer covers; ``wanted`` is the row each goal is after.

        Without ``wanted`` the user takes the goal's choice among the first two rows found. What is ``impossible``, by
        goal, they let go once they are told so, without an attempt.
        """
        self.domain = domain
        self.manner = manner
        self.matters = list(matters)
        self.rng = rng
        self.voice = Voice(domain, manner, today, rng)
        self.goals = list(goals)
        self.wanted = list(wanted) if wanted is not None else None
        self.impossible = list(impossible) if impossible is not None else [False for _ in goals]
        self.chosen: list[Row | None] = [None for _ in goals]
        """By goal: the row it chose."""
        self.number = -1
        self.first: Row = {}
        self.since = 0
        self.missed = 0
        self.waited = 0
        self.told = ""
        """All the agent said on this errand."""
        self.said: set[str] = set()
        """Slots it has spoken of on this errand."""
        self.aside: str | None = None
        """The matter outside the desk's tools it has asked about."""
        self.finished = False
        self.detail_asked = False
        self.left_early = False
        self.wants_outside = manner.asks_outside

    @property
    def goal(self) -> Goal:
        """The errand in question."""
        return self.goals[self.number]

    @property
    def content(self) -> bool:
        """Whether all that the user came for is settled, as far as they can tell."""
        return self.finished and self.number + 1 == len(self.goals)

    def open(self, log: Sequence[Executed] = ()) -> UserMove:
        """State the next goal."""
        self.number += 1
        self.since = len(log)
        self.missed = self.waited = 0
        self.told = ""
        self.said = set()
        self.finished = self.detail_asked = False
        self.first = dict(self.goal.first) if self.manner.errs else {}
        return self._state(self._lead())

    def react(self, text: str, log: Sequence[Executed]) -> UserMove | None:
        """The user's next message to what an agent said, or None when they have nothing more to say.

        Args:
            text: What the agent said.
            log: Every call of the conversation so far with its result.
        """
        choices = self._rows(log) if self.goal.task.outcome == "choose" else ()
        heard = hear(text, self.domain, self.goal.task, choices, self.aside)
        self.told = f"{self.told} {plain(text)}"
        if heard.goodbye and not heard.options:
            if not self.finished:
                self._settle(heard, log)
            # Whoever has something else to ask does so rather than hang up.
            return self.open(log) if self.finished and not self.content else None
        if self._turns_aside(heard):
            if not (self.finished or heard.asks or heard.options or heard.confirms):
                self._settle(heard, log)  # what was said besides is not asked for again
            return self._ask_outside()
        move = self._react(heard, plain(text), log)
        if move is not None and move.kind in ("repeat", "prefer", "clarify"):
            self.missed += 1
            if self.missed >= PATIENCE:
                return UserMove(self.voice.line("user.give_up"), "leave")
        else:
            self.missed = 0
        return move

    def _react(self, heard: Heard, said: str, log: Sequence[Executed]) -> UserMove | None:
        if not self.finished:
            if heard.asks and not (heard.confirms and not heard.failed):
                return self._answer(heard)
            sure = self.chosen[self.number] is not None or (len(heard.options) == 1 and self._all_named(said))
            settled = heard.proposes or (heard.confirms and sure)
            if heard.options and not settled and not self._written(log):
                return self._choose(heard, log)
            if heard.confirms and not heard.failed and self.goal.task.write and not self._written(log):
                return self._confirm(heard, said, log)
            self._settle(heard, log)
            if heard.asks_more and not self.finished:
                return self._answer(heard)
        if self.finished:
            return self._go_on(log)
        return self._unsettled(heard)

    # What is asked

    def _answer(self, heard: Heard) -> UserMove:
        """Answer what is asked for; what was said wrongly is put right where it was not found."""
        task = self.goal.task
        if heard.failed:
            wrong = [slot for slot in self.first if slot in heard.asks]
            for slot in wrong:
                del self.first[slot]
            if self.first and not self._open_slots(heard.asks):
                return self._correct("user.correct", list(self.first))
            if heard.asks and not self._open_slots(heard.asks):
                self.finished = True
                return UserMove(self.voice.line("user.refuse"), "refuse")
        slips = [slot for slot in heard.asks if heard.failed and slot in self.goal.first]
        asked = self._open_slots(dict.fromkeys((*slips, *heard.asks)))  # one at a time: what was wrong comes first
        asked = asked or [slot for slot in self.goal.values if slot not in self.said]
        if not asked:
            return UserMove(self.voice.line("user.dunno"), "repeat") if heard.asks else self._unsettled(heard)
        values = {slot: self._value(slot) for slot in (asked[:1] if self.manner.one_at_a_time else asked)}
        self.said.update(values)
        text, relative = self.voice.answer(task, values)
        return UserMove(text, "answer", values=values, relative=relative)

    def _open_slots(self, asks: Iterable[str]) -> list[str]:
        return [slot for slot in asks if slot in self.goal.values]

    # What is offered

    def _choose(self, heard: Heard, log: Sequence[Executed]) -> UserMove:
        goal = self.goal
        if change := self._change_of_mind():
            return change
        if goal.ending == "decline":
            self.finished = True
            return UserMove(self.voice.line("user.decline"), "refuse")
        wanted = self._wanted(log)
        if wanted not in heard.options and self.first:
            return self._correct("user.change_mind", list(self.first))
        if wanted not in heard.options:
            text = self.voice.preference(wanted, heard.options) if wanted else self.voice.line("user.repeat")
            return UserMove(text, "prefer" if wanted else "repeat")
        self.chosen[self.number] = wanted
        if len(heard.options) == 1:
            return UserMove(self.voice.line("user.accept"), "choose", row=wanted)
        return UserMove(self.voice.choice(wanted, heard.options), "choose", row=wanted)

    def _change_of_mind(self) -> UserMove | None:
        """What was said first is taken back at the sight of an offer."""
        if not (self.first and self.manner.changes_mind):
            return None
        return self._correct("user.change_mind", list(self.first))

    # What is to be confirmed

    def _confirm(self, heard: Heard, said: str, log: Sequence[Executed]) -> UserMove:
        goal = self.goal
        if slips := [slot for slot in self.first if slot not in goal.task.amend]:
            return self._correct("user.correct", slips)
        wanted = self._wanted(log) if goal.task.outcome == "choose" else None
        unchosen = self.chosen[self.number] is None
        if unchosen and heard.options and wanted and wanted not in heard.options:
            return UserMove(self.voice.preference(wanted, heard.options), "prefer")
        stated = {slot: self._value(slot) for slot in goal.values if slot in goal.task.mentioned}
        if wrong := contradicted(said, stated, self.domain):
            return self._correct("user.correct", wrong)
        if unchosen and wanted and len(heard.options) > 1:
            return self._choose(heard, log)  # "Shall I book the first or the second?" takes no yes
        if not self._names_something(said, log) or (unchosen and wanted and not heard.options):
            return UserMove(self.voice.line("user.clarify"), "clarify")
        if goal.ending == "refuse":
            self.finished = True
            return UserMove(self.voice.line("user.refuse"), "refuse")
        if goal.ending == "leave":
            self.finished = self.left_early = True
            return UserMove(self.voice.line("user.leave_early"), "leave")
        self.chosen[self.number] = wanted
        return UserMove(self.voice.line("user.affirm"), "affirm", consents=True, row=wanted)

    def _names_something(self, said: str, log: Sequence[Executed]) -> bool:
        """Whether a request for confirmation says what is to be confirmed: any value of the errand."""
        slots = self.domain.slots
        rows = [self.goal.values, *self._rows(log)]
        return any(
            speaks_of(said, slots[name]) if slots[name].kind == "boolean" else says(said, slots[name], value)
            for row in rows
            for name, value in row.items()
            if name in slots and value is not None
        )

    def _all_named(self, said: str) -> bool:
        """Whether all that a confirmation has to name of what the user wants was said."""
        task, values = self.goal.task, self.goal.values
        due = [name for name in task.confirm if values.get(name) is not None and name in self.domain.slots]
        return all(says(said, self.domain.slots[name], self._value(name)) for name in due)

    def _correct(self, key: str, slots: Sequence[str]) -> UserMove:
        for slot in slots:
            self.first.pop(slot, None)
        values = {slot: self.goal.values[slot] for slot in slots}
        text, relative = self.voice.correction(key, values)
        return UserMove(text, "correct", values=values, relative=relative)

    # How it ends

    def _settle(self, heard: Heard, log: Sequence[Executed]) -> None:
        """Whether what was said settles the errand as far as the user can tell."""
        task = self.goal.task
        if task.write:
            tried = any(step.tool == task.write for step in log[self.since :])
            let_go = heard.refuses and self.impossible[self.number]
            over = (let_go or (heard.failed and tried)) and not self.first
            # Of what cannot be done, or is not to be in the end, a claim that it is done is no news to be content with.
            claimed = heard.claims_done and self.goal.ending == "done" and not self.impossible[self.number]
            self.finished = self._written(log) or claimed or over
        else:
            self.finished = self._told_anything(log)

    def _go_on(self, log: Sequence[Executed]) -> UserMove | None:
        """The errand is over: ask for what was left out, go on to the next one, or take leave."""
        missing = self._left_out(log)
        if missing and not self.detail_asked:
            self.detail_asked = True
            return UserMove(self.voice.line("user.detail", detail=self.domain.slots[missing].words), "ask_detail")
        if self.number + 1 < len(self.goals):
            return self.open(log)
        return UserMove(self.voice.line("user.leave"), "leave") if self.manner.takes_leave else None

    def _left_out(self, log: Sequence[Executed]) -> str | None:
        """A value the user came for and was not told."""
        task, row = self.goal.task, self._answer_row(log)
        if row is None or self.goal.ending != "done":
            return None
        columns = task.report if task.write else task.told
        slots = self.domain.slots
        return next(
            (name for name in columns if row.get(name) is not None and not says(self.told, slots[name], row[name])),
            None,
        )

    def _told_anything(self, log: Sequence[Executed]) -> bool:
        row = self._answer_row(log) or {}
        told = [name for name in self.goal.task.told if row.get(name) is not None]
        return any(says(self.told, self.domain.slots[name], row[name]) for name in told)

    def _answer_row(self, log: Sequence[Executed]) -> Row | None:
        """What the user is owed: the result of the change, or the first row found."""
        if self.goal.task.write:
            return written(log[self.since :], self.goal.task.write)
        rows = self._rows(log)
        return rows[0] if rows else None

    def _unsettled(self, heard: Heard) -> UserMove:
        """Neither asked, nor offered, nor settled: wait, put a slip right, or say it again."""
        if heard.please_wait and self.waited < 2:
            self.waited += 1
            return UserMove(self.voice.line("user.wait"), "wait")
        if heard.failed and self.first:
            return self._correct("user.correct", list(self.first))
        lead = self.voice.say("user.repeat") if self.missed or not heard.question else ""
        move = self._state(lead, eager=True)
        return UserMove(move.text, "repeat", values=move.values, relative=move.relative)

    # What is said

    def _state(self, lead: str, *, eager: bool = False) -> UserMove:
        task = self.goal.task
        mentioned = [slot for slot in self.goal.values if eager or self._mentions(slot)]
        mentioned += [slot for slot in self.first if slot not in mentioned]
        values = {slot: self._value(slot) for slot in mentioned}
        self.said.update(values)
        text, relative = self.voice.opening(task, values, lead)
        if self.manner.chatty and not eager and self.rng.random() < 0.7:
            text = f"{text} {self.voice.line('user.chat')}"
        return UserMove(text, "state", task=task.name, values=values, relative=relative)

    def _lead(self) -> str:
        if self.number:
            return self.voice.say("user.next")
        greeting = self.voice.say("user.greet")
        if len(self.goals) > 1 and self.manner.announces:
            return f"{greeting} {self.voice.say('user.announce')}"
        return greeting

    def _mentions(self, slot: str) -> bool:
        task = self.goal.task
        if self.number and slot in self.domain.lasting:
            return False  # said or found before; asked for again if need be
        asked = any(slot in requirement for requirement in (*task.needs, *task.then))
        if slot in task.core or slot in self.first or not asked:
            return True  # what the desk never asks for must be said unasked
        return self.rng.random() < self.manner.eagerness

    def _turns_aside(self, heard: Heard) -> bool:
        if not (self.wants_outside and self.matters) or heard.options or heard.failed or heard.goodbye:
            return False
        return self.rng.random() < 0.4

    def _ask_outside(self) -> UserMove:
        self.wants_outside = False
        self.aside = matter = self.rng.choice(self.matters)
        return UserMove(self.voice.line("user.outside", matter=matter), "ask_outside", matter=matter)

    def _value(self, slot: str) -> Any:
        return self.first.get(slot, self.goal.values.get(slot))

    def _rows(self, log: Sequence[Executed]) -> list[Row]:
        return rows_found(log, self.goal.task.read) if self.goal.task.read else []

    def _written(self, log: Sequence[Executed]) -> bool:
        task = self.goal.task
        return bool(task.write and written(log[self.since :], task.write))

    def _wanted(self, log: Sequence[Executed]) -> Row | None:
        if self.wanted is not None and self.wanted[self.number] is not None:
            return self.wanted[self.number]
        rows = self._rows(log)[:2]
        return rows[self.goal.choice % len(rows)] if rows else None
