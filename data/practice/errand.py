"""One errand of a user: what they want of it, what was said of it so far, and what of it they can tell to be settled.

It knows no manner and says nothing; ``data/practice/user.py`` reacts by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data.practice.declarations import Domain, Goal, Row, Task
from data.practice.hearing import Heard, speaks_of
from data.practice.log import Executed, rows_found, written
from data.practice.spellings import says


class Errand:
    """What a user knows of the goal in question."""

    def __init__(
        self,
        goal: Goal,
        domain: Domain,
        *,
        since: int = 0,
        errs: bool = False,
        wanted: Row | None = None,
        impossible: bool = False,
    ) -> None:
        """``since`` is how many calls were made before it; who ``errs`` says the goal's wrong values first.

        Without ``wanted`` the user is after the goal's choice among the first two rows found. What is ``impossible``
        they let go once they are told so, without an attempt.
        """
        self.goal = goal
        self.since = since
        self.impossible = impossible
        self.first: Row = dict(goal.first) if errs else {}
        """Values said wrongly and not put right yet."""
        self.said: set[str] = set()
        """Slots the user has spoken of."""
        self.told = ""
        """All the agent said, in everyday spelling."""
        self.chosen: Row | None = None
        self.finished = False
        self.detail_asked = False
        self._slots = domain.slots
        self._wanted = wanted

    @property
    def task(self) -> Task:
        """What kind of errand it is."""
        return self.goal.task

    def value(self, slot: str) -> Any:
        """What the user says of a slot now: the wrong value until it is put right."""
        return self.first.get(slot, self.goal.values.get(slot))

    def known(self, asked: Iterable[str]) -> list[str]:
        """The slots among those asked for that the user has a value of."""
        return [slot for slot in asked if slot in self.goal.values]

    def put_right(self, slots: Sequence[str]) -> Row:
        """The right values of slots that were said wrongly; they are said rightly from now on."""
        for slot in slots:
            self.first.pop(slot, None)
        return {slot: self.goal.values[slot] for slot in slots}

    # What calls have shown

    def rows(self, log: Sequence[Executed]) -> list[Row]:
        """Rows that its look-up has found."""
        return rows_found(log, self.task.read) if self.task.read else []

    def written(self, log: Sequence[Executed]) -> bool:
        """Whether its change was made."""
        return bool(self.task.write and written(log[self.since :], self.task.write))

    def wanted(self, log: Sequence[Executed]) -> Row | None:
        """The row the user is after, as far as one is known."""
        if self._wanted is not None:
            return self._wanted
        rows = self.rows(log)[:2]
        return rows[self.goal.choice % len(rows)] if rows else None

    def owed(self, log: Sequence[Executed]) -> Row | None:
        """What the user is to be told of: the result of the change, or the first row found."""
        if self.task.write:
            return written(log[self.since :], self.task.write)
        rows = self.rows(log)
        return rows[0] if rows else None

    # What the agent has said

    def names_something(self, said: str, log: Sequence[Executed]) -> bool:
        """Whether a request for confirmation says what is to be confirmed: any value of the errand."""
        return any(
            speaks_of(said, self._slots[name])
            if self._slots[name].kind == "boolean"
            else says(said, self._slots[name], value)
            for row in (self.goal.values, *self.rows(log))
            for name, value in row.items()
            if name in self._slots and value is not None
        )

    def all_named(self, said: str) -> bool:
        """Whether all that a confirmation has to name of what the user wants was said."""
        values = self.goal.values
        due = [name for name in self.task.confirm if values.get(name) is not None and name in self._slots]
        return all(says(said, self._slots[name], self.value(name)) for name in due)

    def settled(self, heard: Heard, log: Sequence[Executed]) -> bool:
        """Whether what was said settles the errand as far as the user can tell."""
        if not self.task.write:
            return self._told_anything(log)
        tried = any(step.tool == self.task.write for step in log[self.since :])
        let_go = heard.refuses and self.impossible
        over = (let_go or (heard.failed and tried)) and not self.first
        # Of what cannot be done, or is not to be in the end, a claim that it is done is no news to be content with.
        claimed = heard.claims_done and self.goal.ending == "done" and not self.impossible
        return self.written(log) or claimed or over

    def left_out(self, log: Sequence[Executed]) -> str | None:
        """A value the user came for and was not told."""
        row = self.owed(log)
        if row is None or self.goal.ending != "done":
            return None
        columns = self.task.report if self.task.write else self.task.told
        return next((name for name in columns if row.get(name) is not None and not self._was_told(name, row)), None)

    def _told_anything(self, log: Sequence[Executed]) -> bool:
        row = self.owed(log) or {}
        return any(self._was_told(name, row) for name in self.task.told if row.get(name) is not None)

    def _was_told(self, name: str, row: Row) -> bool:
        return says(self.told, self._slots[name], row[name])
