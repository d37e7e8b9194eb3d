"""The oracle: plays the gold agent from the true state and says why, in a sentence or two.

It follows one policy, simple enough to be learned: ask for at most two missing things, look up before offering, confirm
before every change, report from results only, and say so where no tool covers a question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from random import Random

from data.practice.declarations import Domain, Lookup, Requirement, Row, Task
from data.practice.dialogue_state import DialogueState
from data.practice.language import WEEKDAYS, join, narrowed, say, tidy
from data.practice.moves import Answer, Call
from data.schema import Act, Fact


class Oracle(DialogueState):
    """What the gold agent does next, which follows from the state of the conversation."""

    def __init__(self, domain: Domain, today: date, rng: Random) -> None:
        """A fresh conversation on that day; ``rng`` chooses among wordings."""
        super().__init__(domain)
        self.today = today
        self.rng = rng

    def next(self) -> Call | Answer:
        """What the agent does now."""
        if self.leaving:
            why = f"The {self.domain.person} is leaving, so I say goodbye."
            return self._answer("agent.goodbye", why, (Act.GOODBYE,))
        step = self._step()
        if isinstance(step, Call):
            self.pending = step
            return step
        return step if self.matter is None else self._decline_matter(step)

    def _step(self) -> Call | Answer:
        task = self.task
        assert task is not None
        if self.refused:
            self._settle()
            why = f"The {self.domain.person} does not want it, so I change nothing and offer more help."
            return self._answer("agent.refused", why, _done(Act.INFORM))
        if self.again and self.last_told is not None:
            return self._answer(*self.last_told)
        if self.outcome is not None:
            return self._report(task, self.outcome)
        return self._find(task) or self._finish(task)

    def _find(self, task: Task) -> Call | Answer | None:
        """Everything up to the row in question; None once it is known."""
        if step := self._on_way(task.before, task.needs):
            return step
        if missing := self.missing(task.needs):
            return self._request(missing)
        if task.read and self.read_with != self.pick(task.read_slots):
            return self._look_up(task.read, task)
        if task.read and self.read_with is not None and not self.results:
            return self._nothing_found(task.read, self.read_with, task.revise)
        return self._offer(task) if task.outcome == "choose" and self.chosen is None else None

    def _finish(self, task: Task) -> Call | Answer:
        """Everything from the row in question to the change."""
        if task.outcome == "tell":
            return self._tell(task)
        if step := self._on_way(task.after, ()):
            return step
        if missing := self.missing(task.then):
            return self._request(missing)
        if not task.write:
            return self._tell(task)
        return self._change(task.write, task) if self.confirmed else self._confirm(task)

    def _on_way(self, steps: Sequence[Lookup], needs: Sequence[Requirement]) -> Call | Answer | None:
        """The first look-up on the way that is not made yet, or what it lacks; None once all are."""
        for step in steps:
            wanted = [requirement for requirement in needs if set(requirement) & set(step.slots)]
            if missing := self.missing(wanted):
                return self._request(missing)
            arguments = self._arguments_on_way(step)
            made_with, rows = self.found.get(step.tool, (None, []))
            if made_with != arguments:
                self.confirmed = False
                return Call(step.tool, arguments, self._why_look_up(step.tool, arguments, again=bool(made_with)))
            if not rows:
                return self._nothing_found(step.tool, arguments, step.revise)
            self.kept.update({column: rows[0][column] for column in step.keeps})
        return None

    def _arguments_on_way(self, step: Lookup) -> Row:
        """From what the user said, then from the row in question and other look-ups; never from its own result."""
        kept = {slot: value for slot, value in self.kept.items() if slot not in step.keeps}
        source = {**(self.chosen or {}), **kept, **self.known}
        return {slot: source[slot] for slot in step.slots if slot in source}

    def _look_up(self, tool: str, task: Task) -> Call:
        arguments = self.pick(task.read_slots)
        self.confirmed = False
        return Call(tool, arguments, self._why_look_up(tool, arguments, again=self.read_with is not None))

    def _why_look_up(self, tool: str, arguments: Row, *, again: bool) -> str:
        if self.timed_out:
            return f"{tool} timed out, so I try again with {_listed(arguments)}."
        lead = "The details changed, so I look again with" if again else f"{tool} needs"
        return f"{self._wish()} {lead} {_listed(arguments)}.{self._dates(arguments)}"

    def _change(self, tool: str, task: Task) -> Call:
        source = {**self.known, **self.kept, **(self.chosen or {})}
        arguments = {slot: source[slot] for slot in task.carry} | self.pick(task.write_slots)
        lead = (
            f"{tool} timed out, so I try again"
            if self.timed_out
            else f"The {self.domain.person} confirmed, so I call {tool}"
        )
        return Call(tool, arguments, f"{lead} with {_listed(arguments)}.")

    def _request(self, missing: Sequence[Requirement]) -> Answer:
        asked = missing[:2]
        questions = [self._say("agent.ask." + "|".join(requirement)) for requirement in asked]
        names = join([" or ".join(requirement) for requirement in asked])
        known = _listed(self.pick(self._relevant()))
        verb = "is" if len(asked) == 1 else "are"
        why = f"{self._wish()} I know {known or 'nothing yet'}; {names} {verb} missing, so I ask."
        text = f"{'' if self.matter else self._say('agent.start')} {' And '.join(_lower_after_first(questions))}"
        requested = tuple("|".join(requirement) for requirement in asked)
        return Answer(tidy(text), why, (Act.REQUEST,), requested=requested)

    def _relevant(self) -> tuple[str, ...]:
        assert self.task is not None
        return self.task.mentioned

    def _nothing_found(self, tool: str, arguments: Row, revise: tuple[str, ...]) -> Answer:
        templates = self.domain.phrases[f"agent.nothing.{tool}"]
        named = [slot for slot in revise if all(f"{{{slot}}}" in template for template in templates)]
        said = {slot: arguments[slot] for slot in named if slot in arguments}
        why = f"{tool} found nothing for {_listed(arguments)}, so I say so and ask for {' or '.join(revise)}."
        acts = (Act.REPORT_FAILURE, Act.REQUEST)
        return self._answer(f"agent.nothing.{tool}", why, acts, said, requested=("|".join(revise),))

    def _offer(self, task: Task) -> Answer:
        start = 2 * self.declined if 2 * self.declined < len(self.results) else 0
        options = self.results[start : start + 2]
        told = [{column: option[column] for column in task.told} for option in options]
        facts = {fact: None for option in told for fact in self._facts(option)}
        described = [self._say(f"agent.option.{task.read}", self._words(option)) for option in told]
        number, offered = ("one", "it") if len(options) == 1 else ("two", "the first two")
        words = dict(zip(("a", "b"), described, strict=False))
        why = f"{task.read} found {_count(self.results)}; I offer {offered} and ask for a choice."
        text = self._say(f"agent.offer.{number}", words)
        return Answer(tidy(text), why, (Act.OFFER, Act.REQUEST), tuple(facts), ("choice",))

    def _tell(self, task: Task) -> Answer:
        source = self.results[0] if self.results else self.kept
        self._settle()
        row = {column: source[column] for column in task.told if source.get(column) is not None}
        asked = task.read or task.before[-1].tool
        why = f"{asked} answered {_listed(row)}; I tell the {self.domain.person} and offer more help."
        key = narrowed(self.domain.phrases, f"agent.tell.{task.name}", *self.known.values())
        self.last_told = (key, why, _done(Act.INFORM), row)
        return self._answer(*self.last_told)

    def _confirm(self, task: Task) -> Answer:
        seen = {slot: value for slot, value in (self.chosen or {}).items() if slot in (*task.carry, *task.told)}
        source = {**seen, **self.kept, **self.known}
        row = {slot: source[slot] for slot in task.confirm if source.get(slot) is not None}
        why = f"{task.write} changes the records, so I first confirm {_listed(row)}.{self._dates(row)}"
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
            return self._failed(task, str(outcome["error"]))
        row = {column: outcome[column] for column in task.report}
        why = f"{task.write} succeeded with {_listed(row)}; I report it and offer more help."
        self.last_told = (f"agent.report.{task.name}", why, _done(Act.REPORT_SUCCESS), row)
        return self._answer(*self.last_told)

    def _failed(self, task: Task, error: str) -> Answer:
        """The change failed: ask for what may be amended, if anything may."""
        if not task.amend:
            why = f"{task.write} failed: {error}. I say so and offer more help."
            return self._answer(f"agent.failed.{task.name}", why, _done(Act.REPORT_FAILURE))
        self.outcome, self.confirmed = None, False
        why = f"{task.write} failed: {error}. I say so and ask for another {' or '.join(task.amend)}."
        acts = (Act.REPORT_FAILURE, Act.REQUEST)
        return self._answer(f"agent.failed.{task.name}", why, acts, requested=("|".join(task.amend),))

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
        return f"The {self.domain.person}'s wish: {self.task.name.replace('_', ' ')}."

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
