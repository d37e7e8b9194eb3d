"""What a practice domain declares: slots, executable tools, tasks of users, and language.

A domain is data plus small SQL functions. The user simulator, the oracle and the episode loop know nothing of hotels;
they read these declarations. The flow of every task is the same: gather what the look-up needs, look up, offer or
tell, gather what the change needs, confirm, change, report. A task leaves out what it has no use for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Literal

from data.practice.language import NUMBER_WORDS, Phrases, absolute_date, date_forms, relative_date, spoken_time
from data.schema import Fact, ToolSpec

Row = dict[str, Any]
Slice = Literal["seen", "unseen_in_validation", "unseen_in_test", "mixed"]
Requirement = tuple[str, ...]
"""Slots of which any one suffices."""


@dataclass(frozen=True)
class Slot:
    """A piece of information and how it is said.

    ``unit`` is singular and plural of a count; ``synonyms`` are a guest's words for a value.
    """

    name: str
    kind: Literal["text", "date", "time", "count", "boolean"] = "text"
    unit: tuple[str, str] = ("", "")
    synonyms: Mapping[Any, tuple[str, ...]] = field(default_factory=dict)

    def forms(self, value: Any) -> tuple[str, ...]:
        """Spellings that count as conveying ``value``, the one the desk uses first."""
        if self.kind == "date":
            return date_forms(value)
        if self.kind == "count":
            unit = self.unit[value != 1]
            return (f"{value} {unit}", f"{NUMBER_WORDS[value]} {unit}") if value <= 10 else (f"{value} {unit}",)
        if self.kind == "time":
            return (value, spoken_time(value))
        return (str(value),)

    def fact(self, value: Any) -> Fact:
        """The fact that an answer conveying ``value`` states."""
        return Fact(name=self.name, kind="boolean" if self.kind == "boolean" else "value", forms=self.forms(value))

    def in_guests_words(self, value: Any, rng: Random, today: date) -> tuple[str, bool]:
        """``value`` as a guest says it, and whether one must know today's date to understand it."""
        if self.kind == "date":
            day = date.fromisoformat(value)
            relative = relative_date(day, today)
            if relative and rng.random() < 0.5:
                return relative, True
            return absolute_date(day, rng), False
        if value in self.synonyms:
            return rng.choice(self.synonyms[value]), False
        if self.kind in ("count", "time"):
            return rng.choice(self.forms(value)), False
        return str(value), False


@dataclass(frozen=True)
class Tool:
    """An executable tool: its specification, the domain slice it belongs to, and its effect in SQL.

    ``run`` returns rows for a read tool, or one object with ``status`` or ``error`` for a write tool.
    """

    spec: ToolSpec
    domain: str
    run: Callable[[sqlite3.Connection, Row], list[Row] | Row]


@dataclass(frozen=True)
class Goal:
    """What one user wants of one task: the true values, and what they say wrongly at first."""

    task: Task
    values: Row
    first: Row = field(default_factory=dict)
    """Values said first and put right later: on a confirmation, or when nothing is found."""
    choice: int = 0
    """Which of two offers the user takes."""


@dataclass(frozen=True)
class Task:
    """A kind of errand: which tools it takes, in which order, and what must be known and said on the way."""

    name: str
    domain: str
    """The slice this task is counted under, e.g. ``hotel`` or ``spa``."""
    sample: Callable[[Random, sqlite3.Connection, date, Row], tuple[Row, Row] | None]
    """Draws (values, first) that the world can satisfy, or None if this draw failed; the last argument holds what
    earlier goals of the same user fix, such as their name."""
    needs: tuple[Requirement, ...] = ()
    """What the look-up needs of the user, in the order it is asked for."""
    read: str | None = None
    read_slots: tuple[str, ...] = ()
    outcome: Literal["choose", "single", "tell"] = "single"
    """Look-up results are offered for choice, are the one thing in question, or are the answer itself."""
    told: tuple[str, ...] = ()
    """Columns of a result that offering or telling conveys."""
    revise: tuple[str, ...] = ()
    """What the desk asks for anew when nothing was found."""
    then: tuple[Requirement, ...] = ()
    """What the change needs of the user beyond the look-up."""
    write: str | None = None
    carry: tuple[str, ...] = ()
    """Arguments of the change taken from the result in question."""
    write_slots: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    report: tuple[str, ...] = ()
    """Columns of the change's result that the report conveys."""
    core: tuple[str, ...] = ()
    """Slots that the user's opening always mentions."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools this task takes."""
        return tuple(name for name in (self.read, self.write) if name)


@dataclass(frozen=True)
class Domain:
    """Everything the practice machinery needs to know of one domain."""

    name: str
    build: Callable[[sqlite3.Connection, Random, date], str]
    """Fills an empty database; returns the name of the place, for the system message."""
    tools: Mapping[str, Tool]
    slots: Mapping[str, Slot]
    tasks: Mapping[str, Task]
    errands: Mapping[Slice, tuple[tuple[str, ...], ...]]
    """Sequences of tasks one user may come with, by slice; one listed twice is twice as likely."""
    phrases: Phrases
    lasting: tuple[str, ...]
    """Slots that stay known from one task of a conversation to the next."""
    outside: Mapping[str, str | None]
    """Matters a user may ask about that no tool on offer covers; the value names a tool that would."""
