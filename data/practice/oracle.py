"""The oracle: plays the gold agent from the true state and says why, in a sentence or two.

It follows one policy, simple enough to be learned: ask for at most two missing things, look up before offering, confirm
before every change, report from results only, and say so where no tool covers a question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from random import Random
from typing import Any

from data.practice.declarations import Domain, Requirement, Row, Task
from data.practice.language import WEEKDAYS, join, narrowed, say, tidy
from data.practice.moves import Answer, Call, UserMove
from data.schema import Act, Fact


class Oracle:
    """The state of one conversation as the agent must track it, and what follows from that state."""

    def __init__(self, domain: Domain, today: date, rng: Random) -> None:
        """A fresh conversation: nothing is known."""
        self.domain = domain
        self.today = today
        self.rng = rng
        self.task: Task | None = None
        self.known: Row = {}
        self.relative: dict[str, str] = {}
        self.leaving = False
        self.matter: str | None = None
        self._forget_results()

    def _forget_results(self) -> None:
        self.read_with: Row | None = None
        self.results: list[Row] = []
        self.chosen: Row | None = None
        self.confirmed = False
        self.outcome: Row | None = None
        self.refused = False
        self.news = False

    def hear(self, move: UserMove) -> None:
        """Take in what the user meant."""
        self.matter = move.matter
        if move.kind == "state" and move.task:
            self._begin(self.domain.tasks[move.task])
        for slot, value in move.values.items():
            self._learn(slot, value)
        self.relative.update(move.relative)
        if move.kind == "choose":
            self.chosen = self.results[move.choice]
        self.confirmed = move.kind == "affirm"
        self.refused = move.kind == "refuse"
        self.leaving = move.kind == "leave"

    def _begin(self, task: Task) -> None:
        lasting = {slot: value for slot, value in self.known.items() if slot in self.domain.lasting}
        same = self.task is not None and self.task.read == task.read
        chosen = self.chosen if same else None
        for source in (self.chosen or {}, self.outcome or {}):
            lasting.update({slot: value for slot, value in source.items() if slot in self.domain.lasting})
        for requirement in task.needs:
            for alternative in [slot for slot in requirement if slot in lasting][1:]:
                del lasting[alternative]
        self._forget_results()
        self.task, self.known, self.relative = task, lasting, {}
        if chosen:  # looked up a moment ago: no need to look again
            self.chosen, self.results, self.read_with = chosen, [chosen], self._pick(task.read_slots)

    def _learn(self, slot: str, value: Any) -> None:
        assert self.task is not None
        for requirement in self.task.needs:
            if slot in requirement:
                for alternative in requirement:
                    self.known.pop(alternative, None)
        self.known[slot] = value
        self.relative.pop(slot, None)

    def observe(self, result: Row) -> None:
        """Take in a tool's result."""
        self.news = True
        if "results" not in result:
            self.outcome = result
            return
        assert self.task is not None
        self.results = result["results"]
        if self.task.outcome == "single":
            self.chosen = self.results[0] if self.results else None
        elif self.chosen not in self.results:
            self.chosen = None

    def next(self) -> Call | Answer:
        """What the agent does now."""
        if self.leaving:
            return self._answer("agent.goodbye", "The guest is leaving, so I say goodbye.", (Act.GOODBYE,))
        step = self._step()
        if self.matter is None or isinstance(step, Call):
            return step
        return self._decline_matter(step)

    def _step(self) -> Call | Answer:
        task = self.task
        assert task is not None
        if self.refused:
            self._settle()
            why = "The guest does not want it, so I change nothing and offer more help."
            return self._answer("agent.refused", why, _done(Act.INFORM))
        if self.outcome is not None:
            return self._report(task, self.outcome)
        if missing := self._missing(task.needs):
            return self._request(missing)
        if task.read and self.read_with != self._pick(task.read_slots):
            return self._look_up(task.read, task)
        if task.read and self.read_with is not None and not self.results:
            return self._nothing_found(task)
        if task.outcome == "tell":
            return self._tell(task)
        if task.outcome == "choose" and self.chosen is None:
            return self._offer(task)
        if missing := self._missing(task.then):
            return self._request(missing)
        if not task.write:
            return self._tell(task)
        return self._change(task.write, task) if self.confirmed else self._confirm(task)

    def _missing(self, requirements: Iterable[Requirement]) -> list[Requirement]:
        return [requirement for requirement in requirements if not any(slot in self.known for slot in requirement)]

    def _pick(self, slots: Iterable[str]) -> Row:
        return {slot: self.known[slot] for slot in slots if slot in self.known}

    def _look_up(self, tool: str, task: Task) -> Call:
        arguments = self._pick(task.read_slots)
        again = "The details changed, so I look again with" if self.read_with else f"{tool} needs"
        self.read_with, self.results, self.confirmed = arguments, [], False
        return Call(tool, arguments, f"{self._wish()} {again} {_listed(arguments)}.{self._dates(arguments)}")

    def _change(self, tool: str, task: Task) -> Call:
        source = {**self.known, **(self.chosen or {})}
        arguments = {slot: source[slot] for slot in task.carry} | self._pick(task.write_slots)
        return Call(tool, arguments, f"The guest confirmed, so I call {tool} with {_listed(arguments)}.")

    def _request(self, missing: Sequence[Requirement]) -> Answer:
        asked = missing[:2]
        questions = [self._say("agent.ask." + "|".join(requirement)) for requirement in asked]
        names = join([" or ".join(requirement) for requirement in asked])
        known = _listed(self._pick(self._relevant()))
        verb = "is" if len(asked) == 1 else "are"
        why = f"{self._wish()} I know {known or 'nothing yet'}; {names} {verb} missing, so I ask."
        text = f"{'' if self.matter else self._say('agent.start')} {' And '.join(_lower_after_first(questions))}"
        requested = tuple(slot for requirement in asked for slot in requirement)
        asked_for = tuple("|".join(requirement) for requirement in asked)
        return Answer(tidy(text), why, (Act.REQUEST,), requested=requested, asked_for=asked_for)

    def _relevant(self) -> tuple[str, ...]:
        assert self.task is not None
        return (*self.task.read_slots, *(slot for slot in self.task.write_slots if slot not in self.task.read_slots))

    def _nothing_found(self, task: Task) -> Answer:
        assert self.read_with is not None
        said = {slot: self.read_with[slot] for slot in task.revise if slot in self.read_with}
        key = f"agent.nothing.{task.read}"
        revise = " or ".join(task.revise)
        why = f"{task.read} found nothing for {_listed(self.read_with)}, so I say so and ask for {revise}."
        answer = self._answer(key, why, (Act.REPORT_FAILURE, Act.REQUEST), said, requested=task.revise)
        return replace(answer, asked_for=("|".join(task.revise),))

    def _offer(self, task: Task) -> Answer:
        options = self.results[:2]
        told = [{column: option[column] for column in task.told} for option in options]
        facts = {fact: None for option in told for fact in self._facts(option)}
        described = [self._say(f"agent.option.{task.read}", self._words(option)) for option in told]
        number, offered = ("one", "it") if len(options) == 1 else ("two", "the first two")
        words = dict(zip(("a", "b"), described, strict=False))
        why = f"{task.read} found {_count(self.results)}; I offer {offered} and ask for a choice."
        text = self._say(f"agent.offer.{number}", words)
        return Answer(tidy(text), why, (Act.OFFER, Act.REQUEST), tuple(facts), ("choice",), tuple(options))

    def _tell(self, task: Task) -> Answer:
        self._settle()
        row = {column: self.results[0][column] for column in task.told if self.results[0].get(column) is not None}
        why = f"{task.read} answered {_listed(row)}; I tell the guest and offer more help."
        key = narrowed(self.domain.phrases, f"agent.tell.{task.name}", *self.known.values())
        return self._answer(key, why, _done(Act.INFORM), row)

    def _confirm(self, task: Task) -> Answer:
        seen = {slot: value for slot, value in (self.chosen or {}).items() if slot in (*task.carry, *task.told)}
        source = {**seen, **self.known}
        row = {slot: source[slot] for slot in task.confirm if slot in source}
        why = f"{task.write} changes the hotel's records, so I first confirm {_listed(row)}.{self._dates(row)}"
        words = self._words(row)
        keys = [narrowed(self.domain.phrases, f"agent.detail.{slot}", value) for slot, value in row.items()]
        words["details"] = ", ".join(self._say(key, words) for key in keys)
        text = self._say(f"agent.confirm.{task.name}", words)
        return Answer(tidy(text), why, (Act.CONFIRM,), tuple(self._facts(row)))

    def _report(self, task: Task, outcome: Row) -> Answer:
        if not self.news:
            return self._answer("agent.more", "The errand is done, so I offer more help.", (Act.REQUEST_MORE,))
        self.news = False
        if "error" in outcome:
            why = f"{task.write} failed: {outcome['error']}. I say so and offer more help."
            return self._answer(f"agent.failed.{task.name}", why, _done(Act.REPORT_FAILURE))
        row = {column: outcome[column] for column in task.report}
        why = f"{task.write} succeeded with {_listed(row)}; I report it and offer more help."
        return self._answer(f"agent.report.{task.name}", why, _done(Act.REPORT_SUCCESS), row)

    def _settle(self) -> None:
        """The errand is over without a change of records."""
        self.outcome, self.news, self.refused = {}, False, False

    def _decline_matter(self, step: Answer) -> Answer:
        assert self.matter is not None
        why = f"No tool covers {self.matter}, so I call nothing, say so, and return to what was open."
        fact = Fact(name="matter", kind="value", forms=(self.matter,))
        text = tidy(f"{self._say('agent.outside', {'matter': self.matter})} {step.text}")
        acts, facts = (Act.INFORM, *step.acts), (fact, *step.facts)
        return replace(step, text=text, rationale=why, acts=acts, facts=facts)

    def _wish(self) -> str:
        assert self.task is not None
        return f"The guest's wish: {self.task.name.replace('_', ' ')}."

    def _dates(self, used: Row) -> str:
        """How a relative date follows from today's."""
        today = f"today is {WEEKDAYS[self.today.weekday()]} {self.today.isoformat()}"
        said = [f'"{self.relative[slot]}" is {used[slot]}' for slot in used if slot in self.relative]
        return f" Since {today}, {join(said)}." if said else ""

    def _facts(self, row: Row) -> list[Fact]:
        return [self.domain.slots[name].fact(value) for name, value in row.items()]

    def _words(self, row: Row) -> dict[str, str]:
        return {name: self.domain.slots[name].forms(value)[0] for name, value in row.items()}

    def _say(self, key: str, words: dict[str, str] | None = None) -> str:
        return say(self.domain.phrases, key, self.rng, words)

    def _answer(
        self, key: str, why: str, acts: tuple[Act, ...], row: Row | None = None, requested: tuple[str, ...] = ()
    ) -> Answer:
        row = row or {}
        text = self._say(key, self._words(row))
        if Act.REQUEST_MORE in acts and "?" not in text:
            text = f"{text} {self._say('agent.more')}"
        return Answer(tidy(text), why, acts, tuple(self._facts(row)), requested)


def _done(act: Act) -> tuple[Act, ...]:
    return (act, Act.REQUEST_MORE)


def _listed(row: Row) -> str:
    return ", ".join(
        f"{name} {str(value).lower() if isinstance(value, bool) else value}" for name, value in row.items()
    )


def _count(results: Sequence[Row]) -> str:
    return "one match" if len(results) == 1 else "several matches"


def _lower_after_first(questions: Sequence[str]) -> list[str]:
    return [questions[0], *(question[0].lower() + question[1:] for question in questions[1:])]
