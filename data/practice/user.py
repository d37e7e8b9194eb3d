"""A rule-based, seeded user: knows its goals, hears any agent's free text, and reacts in its own manner.

It may say everything at once or one thing at a time, give a wrong value first and put it right, change its mind, refuse
at the last moment, decline all offers, ask what no tool covers, chat, or leave. What it does not understand it answers
by repeating itself, twice; then it gives up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from random import Random

from data.practice.declarations import Domain, Goal, Row
from data.practice.errand import Errand
from data.practice.hearing import Heard, contradicted, hear
from data.practice.log import Executed
from data.practice.manner import Manner
from data.practice.moves import MoveKind, UserMove
from data.practice.spellings import plain
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
        self.errands = [
            Errand(goal, domain, errs=manner.errs, wanted=row, impossible=hopeless)
            for goal, row, hopeless in zip(
                goals, wanted or [None for _ in goals], impossible or [False for _ in goals], strict=True
            )
        ]
        self.number = -1
        self.missed = 0
        self.waited = 0
        self.aside: str | None = None
        """The matter outside the desk's tools it has asked about."""
        self.wants_outside = manner.asks_outside

    @property
    def errand(self) -> Errand:
        """The errand in question."""
        return self.errands[self.number]

    @property
    def goal(self) -> Goal:
        """What it is after now."""
        return self.errand.goal

    @property
    def chosen(self) -> list[Row | None]:
        """By goal: the row it chose."""
        return [errand.chosen for errand in self.errands]

    @property
    def content(self) -> bool:
        """Whether all that the user came for is settled, as far as they can tell."""
        return self.errand.finished and self.number + 1 == len(self.errands)

    def open(self, log: Sequence[Executed] = ()) -> UserMove:
        """State the next goal."""
        self.number += 1
        self.errand.since = len(log)
        self.missed = self.waited = 0
        return self._state(self._lead())

    def react(self, text: str, log: Sequence[Executed]) -> UserMove | None:
        """The user's next message to what an agent said, or None when they have nothing more to say.

        Args:
            text: What the agent said.
            log: Every call of the conversation so far with its result.
        """
        errand = self.errand
        choices = errand.rows(log) if errand.task.outcome == "choose" else ()
        heard = hear(text, self.domain, errand.task, choices, self.aside)
        errand.told = f"{errand.told} {plain(text)}"
        if heard.goodbye and not heard.options:
            if not errand.finished:
                errand.finished = errand.settled(heard, log)
            # Whoever has something else to ask does so rather than hang up.
            return self.open(log) if errand.finished and not self.content else None
        if self._turns_aside(heard):
            if not (errand.finished or heard.asks or heard.options or heard.confirms):
                errand.finished = errand.settled(heard, log)  # what was said besides is not asked for again
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
        errand = self.errand
        if not errand.finished:
            if heard.asks and not (heard.confirms and not heard.failed):
                return self._answer(heard)
            sure = errand.chosen is not None or (len(heard.options) == 1 and errand.all_named(said))
            settled = heard.proposes or (heard.confirms and sure)
            if heard.options and not settled and not errand.written(log):
                return self._choose(heard, log)
            if heard.confirms and not heard.failed and errand.task.write and not errand.written(log):
                return self._confirm(heard, said, log)
            errand.finished = errand.settled(heard, log)
            if heard.asks_more and not errand.finished:
                return self._answer(heard)
        if errand.finished:
            return self._go_on(log)
        return self._unsettled(heard)

    # What is asked

    def _answer(self, heard: Heard) -> UserMove:
        """Answer what is asked for; what was said wrongly is put right where it was not found."""
        errand = self.errand
        if heard.failed:
            for slot in [slot for slot in errand.first if slot in heard.asks]:
                del errand.first[slot]
            if errand.first and not errand.known(heard.asks):
                return self._correct("user.correct", list(errand.first))
            if heard.asks and not errand.known(heard.asks):
                return self._end("user.refuse", "refuse")
        slips = [slot for slot in heard.asks if heard.failed and slot in errand.goal.first]
        asked = errand.known(dict.fromkeys((*slips, *heard.asks)))  # one at a time: what was wrong comes first
        asked = asked or [slot for slot in errand.goal.values if slot not in errand.said]
        if not asked:
            return UserMove(self.voice.line("user.dunno"), "repeat") if heard.asks else self._unsettled(heard)
        values = {slot: errand.value(slot) for slot in (asked[:1] if self.manner.one_at_a_time else asked)}
        errand.said.update(values)
        text, relative = self.voice.answer(errand.task, values)
        return UserMove(text, "answer", values=values, relative=relative)

    # What is offered

    def _choose(self, heard: Heard, log: Sequence[Executed]) -> UserMove:
        errand = self.errand
        if errand.first and self.manner.changes_mind:  # taken back at the sight of an offer
            return self._correct("user.change_mind", list(errand.first))
        if errand.goal.ending == "decline":
            return self._end("user.decline", "refuse")
        wanted = errand.wanted(log)
        if wanted not in heard.options and errand.first:
            return self._correct("user.change_mind", list(errand.first))
        if wanted not in heard.options:
            text = self.voice.preference(wanted, heard.options) if wanted else self.voice.line("user.repeat")
            return UserMove(text, "prefer" if wanted else "repeat")
        errand.chosen = wanted
        if len(heard.options) == 1:
            return UserMove(self.voice.line("user.accept"), "choose", row=wanted)
        return UserMove(self.voice.choice(wanted, heard.options), "choose", row=wanted)

    # What is to be confirmed

    def _confirm(self, heard: Heard, said: str, log: Sequence[Executed]) -> UserMove:
        errand, task = self.errand, self.errand.task
        if slips := [slot for slot in errand.first if slot not in task.amend]:
            return self._correct("user.correct", slips)
        wanted = errand.wanted(log) if task.outcome == "choose" else None
        unchosen = errand.chosen is None
        if unchosen and heard.options and wanted and wanted not in heard.options:
            return UserMove(self.voice.preference(wanted, heard.options), "prefer")
        stated = {slot: errand.value(slot) for slot in errand.goal.values if slot in task.mentioned}
        if wrong := contradicted(said, stated, self.domain):
            return self._correct("user.correct", wrong)
        if unchosen and wanted and len(heard.options) > 1:
            return self._choose(heard, log)  # "Shall I book the first or the second?" takes no yes
        if not errand.names_something(said, log) or (unchosen and wanted and not heard.options):
            return UserMove(self.voice.line("user.clarify"), "clarify")
        if errand.goal.ending == "refuse":
            return self._end("user.refuse", "refuse")
        if errand.goal.ending == "leave":
            return self._end("user.leave_early", "leave")
        errand.chosen = wanted
        return UserMove(self.voice.line("user.affirm"), "affirm", consents=True, row=wanted)

    def _correct(self, key: str, slots: Sequence[str]) -> UserMove:
        values = self.errand.put_right(slots)
        text, relative = self.voice.correction(key, values)
        return UserMove(text, "correct", values=values, relative=relative)

    # How it ends

    def _end(self, key: str, kind: MoveKind) -> UserMove:
        self.errand.finished = True
        return UserMove(self.voice.line(key), kind)

    def _go_on(self, log: Sequence[Executed]) -> UserMove | None:
        """The errand is over: ask for what was left out, go on to the next one, or take leave."""
        missing = self.errand.left_out(log)
        if missing and not self.errand.detail_asked:
            self.errand.detail_asked = True
            return UserMove(self.voice.line("user.detail", detail=self.domain.slots[missing].words), "ask_detail")
        if self.number + 1 < len(self.errands):
            return self.open(log)
        return UserMove(self.voice.line("user.leave"), "leave") if self.manner.takes_leave else None

    def _unsettled(self, heard: Heard) -> UserMove:
        """Neither asked, nor offered, nor settled: wait, put a slip right, or say it again."""
        if heard.please_wait and self.waited < 2:
            self.waited += 1
            return UserMove(self.voice.line("user.wait"), "wait")
        if heard.failed and self.errand.first:
            return self._correct("user.correct", list(self.errand.first))
        lead = self.voice.say("user.repeat") if self.missed or not heard.question else ""
        move = self._state(lead, eager=True)
        return UserMove(move.text, "repeat", values=move.values, relative=move.relative)

    # What is said

    def _state(self, lead: str, *, eager: bool = False) -> UserMove:
        errand, task = self.errand, self.errand.task
        mentioned = [slot for slot in errand.goal.values if eager or self._mentions(slot)]
        mentioned += [slot for slot in errand.first if slot not in mentioned]
        values = {slot: errand.value(slot) for slot in mentioned}
        errand.said.update(values)
        text, relative = self.voice.opening(task, values, lead)
        if self.manner.chatty and not eager and self.rng.random() < 0.7:
            text = f"{text} {self.voice.line('user.chat')}"
        return UserMove(text, "state", task=task.name, values=values, relative=relative)

    def _lead(self) -> str:
        if self.number:
            return self.voice.say("user.next")
        greeting = self.voice.say("user.greet")
        if len(self.errands) > 1 and self.manner.announces:
            return f"{greeting} {self.voice.say('user.announce')}"
        return greeting

    def _mentions(self, slot: str) -> bool:
        task = self.errand.task
        if self.number and slot in self.domain.lasting:
            return False  # said or found before; asked for again if need be
        asked = any(slot in requirement for requirement in (*task.needs, *task.then))
        if slot in task.core or slot in self.errand.first or not asked:
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
