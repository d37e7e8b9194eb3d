"""Dialogue state: what an agent must keep in mind of a conversation, from what the user means and tools return."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from data.practice.declarations import Domain, Requirement, Row, Task
from data.practice.errors import TIME_OUT
from data.practice.moves import Call, UserMove
from data.schema import Act


class DialogueState:
    """The state of one conversation as an agent must track it: what was said, looked up, chosen and changed."""

    def __init__(self, domain: Domain) -> None:
        """A fresh conversation: nothing is known."""
        self.domain = domain
        self.task: Task | None = None
        self.known: Row = {}
        """What the user said."""
        self.relative: dict[str, str] = {}
        """How the user put a date that depends on today's."""
        self.found: dict[str, tuple[Row, list[Row]]] = {}
        """By look-up tool: its latest arguments and rows."""
        self.kept: Row = {}
        """What look-ups on the way brought to light."""
        self.leaving = False
        self.matter: str | None = None
        self.pending: Call | None = None
        self.again = False
        """Whether the user asks for what was told already."""
        self._forget_results()

    def _forget_results(self) -> None:
        self.read_with: Row | None = None
        self.results: list[Row] = []
        self.chosen: Row | None = None
        self.declined = 0
        """Offers the user wanted another than."""
        self.confirmed = False
        self.outcome: Row | None = None
        self.last_told: tuple[str, str, tuple[Act, ...], Row] | None = None
        self.refused = False
        self.news = False
        self.timed_out = False

    def hear(self, move: UserMove) -> None:
        """Take in what the user meant."""
        self.matter = move.matter
        if move.kind == "state" and move.task:
            self._begin(self.domain.tasks[move.task])
        for slot, value in move.values.items():
            self._learn(slot, value)
        self.relative.update(move.relative)
        if move.row is not None and self.task and self.task.outcome == "choose":
            self.chosen = move.row
        self.declined += move.kind == "prefer"
        self.again = move.kind == "ask_detail"
        self.confirmed = move.consents
        self.refused = move.kind == "refuse"
        self.leaving = move.kind == "leave"

    def _begin(self, task: Task) -> None:
        lasting = {slot: value for slot, value in self.known.items() if slot in self.domain.lasting}
        same = self.task is not None and self.task.read == task.read
        chosen = self.chosen if same else None
        for source in (self.kept, self.chosen or {}, self.outcome or {}):
            lasting.update({slot: value for slot, value in source.items() if slot in self.domain.lasting})
        for requirement in task.needs:
            for alternative in [slot for slot in requirement if slot in lasting][1:]:
                del lasting[alternative]
        self._forget_results()
        self.task, self.known, self.relative = task, lasting, {}
        self.kept = {slot: value for slot, value in self.kept.items() if slot in self.domain.lasting}
        if chosen:  # looked up a moment ago: no need to look again
            self.chosen, self.results, self.read_with = chosen, [chosen], self.pick(task.read_slots)

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
        assert self.pending is not None
        assert self.task is not None
        call, self.pending = self.pending, None
        self.timed_out = result == TIME_OUT
        if self.timed_out:
            return
        self.news = True
        rows = result.get("results", [] if "error" in result else [result])
        if call.tool == self.task.write:
            self.outcome = result
            self.found = {tool: made for tool, made in self.found.items() if tool == self.domain.policy.verify}
        elif call.tool == self.task.read and not self._on_the_way(call.tool):
            self.read_with, self.results = call.arguments, rows
            if self.task.outcome == "single":
                self.chosen = rows[0] if rows else None
            elif self.chosen not in rows:
                self.chosen = None
        else:
            self.found[call.tool] = (call.arguments, rows)

    def _on_the_way(self, tool: str) -> bool:
        assert self.task is not None
        return tool in {step.tool for step in (*self.task.before, *self.task.after)}

    def missing(self, requirements: Iterable[Requirement]) -> list[Requirement]:
        """Of these, what the user has not said yet in any of its alternatives."""
        return [requirement for requirement in requirements if not any(slot in self.known for slot in requirement)]

    def pick(self, slots: Iterable[str]) -> Row:
        """The values of these slots, of what was said and otherwise of what came to light on the way."""
        source = {**self.kept, **self.known}
        return {slot: source[slot] for slot in slots if slot in source}
