"""What a practice domain declares: slots, executable tools, a policy, tasks of users, and language.

A domain is data plus small SQL functions. The user simulator, the oracle and the episode loop know nothing of hotels;
they read these declarations. The flow of every task is the same: look-ups on the way (who is calling, which account),
the errand's own look-up, offer or tell, look-ups that depend on the choice (a quote, a fee), gather what the change
needs, confirm, change, report. A task leaves out what it has no use for. ``check_domain`` names what does not fit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Literal

from data.practice.language import (
    NUMBER_WORDS,
    Phrases,
    absolute_date,
    birth_date_forms,
    date_forms,
    other_counts,
    other_dates,
    other_times,
    relative_date,
    spoken_time,
)
from data.practice.phrases import COMMON
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
    kind: Literal["text", "date", "birth_date", "time", "count", "boolean"] = "text"
    unit: tuple[str, str] = ("", "")
    synonyms: Mapping[Any, tuple[str, ...]] = field(default_factory=dict)
    cues: tuple[str, ...] = ()
    """Beginnings of words by which an agent's question is known to be after this slot (``arriv``, ``check-in``),
    beside the slot's own name and its last word; dates, times and counts are also known by when, what time, how many.
    """
    spoken: str = ""
    """How a user names it (``arrival``); by default the name with spaces."""

    @property
    def words(self) -> str:
        """How a user names the slot."""
        return self.spoken or self.name.replace("_", " ")

    def forms(self, value: Any) -> tuple[str, ...]:
        """Spellings that count as conveying ``value``, the one the desk uses first; of dates the last is ISO's."""
        first, *others = self.said_as(value)
        return tuple(dict.fromkeys((first, *self._written_as(value), *others)))

    def _written_as(self, value: Any) -> tuple[str, ...]:
        """Spellings that nobody here uses and others do."""
        if self.kind == "time":
            return other_times(value)
        if self.kind == "count":
            return other_counts(value, self.unit)
        return other_dates(value) if self.kind == "date" else ()

    def said_as(self, value: Any) -> tuple[str, ...]:
        """Spellings in use here."""
        if self.kind == "date":
            return date_forms(value)
        if self.kind == "birth_date":
            return birth_date_forms(value)
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
        if self.kind == "birth_date":
            return rng.choice(self.said_as(value)[:-1]), False
        if self.kind in ("count", "time"):
            return rng.choice(self.said_as(value)), False
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
class Lookup:
    """A look-up on the way: its first row's ``keeps`` join what is known, and later calls depend on them.

    Verifying who is calling is one (``customer_id`` and ``birth_date`` in, nothing found if they do not match), and
    so is a quote that depends on what was chosen.
    """

    tool: str
    slots: tuple[str, ...]
    """Arguments: said by the user, or kept from earlier look-ups or from the row in question; what is unknown stays
    out."""
    keeps: tuple[str, ...] = ()
    revise: tuple[str, ...] = ()
    """What the desk asks for anew when nothing was found (phrase ``agent.nothing.TOOL``)."""


Ending = Literal["done", "refuse", "decline", "leave"]


@dataclass(frozen=True)
class Goal:
    """What one user wants of one task: the true values, and what they say wrongly at first."""

    task: Task
    values: Row
    first: Row = field(default_factory=dict)
    """Values a user may say first and put right later: on a confirmation, or when nothing is found. Which users do is
    a matter of their manner; where it all ends is not."""
    choice: int = 0
    """Which of the first two rows found with the true values the user wants."""
    ending: Ending = "done"
    """How it ends: the change is made, refused at the confirmation, all offers declined, or left at the
    confirmation."""


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
    """What the look-ups need of the user, in the order it is asked for."""
    before: tuple[Lookup, ...] = ()
    """Look-ups ahead of the errand's own; one made for an earlier errand with the same arguments is not repeated."""
    read: str | None = None
    read_slots: tuple[str, ...] = ()
    outcome: Literal["choose", "single", "tell"] = "single"
    """Look-up results are offered for choice, are the one thing in question, or are the answer itself."""
    told: tuple[str, ...] = ()
    """Columns of a result that offering or telling conveys."""
    revise: tuple[str, ...] = ()
    """What the desk asks for anew when nothing was found."""
    after: tuple[Lookup, ...] = ()
    """Look-ups that depend on the row in question, made before the confirmation."""
    then: tuple[Requirement, ...] = ()
    """What the change needs of the user beyond the look-ups."""
    write: str | None = None
    carry: tuple[str, ...] = ()
    """Arguments of the change taken from the result in question or from look-ups on the way."""
    write_slots: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    """What the confirmation names, of all that is known or was found."""
    report: tuple[str, ...] = ()
    """Columns of the change's result that the report conveys."""
    amend: tuple[str, ...] = ()
    """What the desk asks for anew when the change itself fails (phrase ``agent.failed.TASK`` must ask for it); without
    any, a failed change ends the errand. Values of these slots in ``Goal.first`` must make the change fail: the user
    insists on them until it has."""
    core: tuple[str, ...] = ()
    """Slots that the user's opening always mentions."""

    @property
    def tools(self) -> tuple[str, ...]:
        """Names of the tools this task takes, in order."""
        on_the_way = [step.tool for step in self.before], [step.tool for step in self.after]
        names = (*on_the_way[0], self.read, *on_the_way[1], self.write)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def asked(self) -> tuple[str, ...]:
        """Slots the desk may ask for."""
        revised = [slot for step in (*self.before, *self.after) for slot in step.revise]
        wanted = [slot for requirement in (*self.needs, *self.then) for slot in requirement]
        return tuple(dict.fromkeys((*wanted, *self.revise, *revised, *self.amend)))

    @property
    def mentioned(self) -> tuple[str, ...]:
        """Slots of the user's that any call of this task takes."""
        steps = [slot for step in (*self.before, *self.after) for slot in step.slots]
        return tuple(dict.fromkeys((*self.asked, *self.core, *steps, *self.read_slots, *self.write_slots)))


@dataclass(frozen=True)
class Rule:
    """A rule of the policy that a program can check: ``broken`` sees the database just before the call."""

    name: str
    """Short stable name, recorded with the breach: ``limit_exceeded``."""
    tools: tuple[str, ...]
    broken: Callable[[sqlite3.Connection, Row], bool]


@dataclass(frozen=True)
class Policy:
    """What the agent must keep to. The text stands in the system message; what follows it is checked at every call.

    Always checked: no change without the user's yes to that change.
    """

    text: str
    """Two to five short sentences."""
    verify: str | None = None
    """The look-up that proves who is calling (a non-empty result does)."""
    protected: tuple[str, ...] = ()
    """Tools that must not be called before ``verify`` has succeeded in this conversation."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Whose data an argument points at: argument name → SQL with one ``?`` giving one value, the owner's key
    (``{"booking_code": "SELECT guest_name FROM bookings WHERE booking_code = ?"}``). A call that points at somebody
    whom the gold conversation never touches is a breach, unless the user said that very value."""
    personal: tuple[str, ...] = ()
    """Look-ups of people's data that must name somebody: without any argument of ``owners`` they list everybody."""
    first: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Tools before which another must have succeeded: tool → (look-up, an argument that both have in common)."""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Domain:
    """Everything the practice machinery needs to know of one domain."""

    name: str
    build: Callable[[sqlite3.Connection, Random, date], str]
    """Fills an empty database; returns the name of the place, for the system message. Codes that changes hand out
    come from a table ``fresh_codes (code TEXT PRIMARY KEY)`` filled here and emptied by ``world.fresh_code``."""
    tools: Mapping[str, Tool]
    slots: Mapping[str, Slot]
    tasks: Mapping[str, Task]
    errands: Mapping[Slice, tuple[tuple[str, ...], ...]]
    """Sequences of tasks one user may come with, by slice; one listed twice is twice as likely. A domain that is held
    out as a whole has errands of one unseen slice only."""
    phrases: Phrases
    """Its language on top of ``data.practice.phrases.COMMON``, whose keys it may override."""
    lasting: tuple[str, ...]
    """Slots that stay known from one task of a conversation to the next."""
    outside: Mapping[str, str | None]
    """Matters a user may ask about that no tool on offer covers; the value names a tool that would."""
    policy: Policy
    person: str = "customer"
    """What the desk calls the people it serves: guest, patient, citizen."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "phrases", {**COMMON, **self.phrases})
