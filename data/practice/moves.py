"""What passes between user, oracle and tools in a practice conversation: meaning and wording side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from data.practice.declarations import Row
from data.schema import Act, Fact

MoveKind = Literal[
    "state",
    "answer",
    "correct",
    "choose",
    "prefer",
    "affirm",
    "refuse",
    "clarify",
    "ask_outside",
    "ask_detail",
    "repeat",
    "wait",
    "leave",
]


@dataclass(frozen=True)
class UserMove:
    """One user message: its words, and what it means. An agent sees the words; only the oracle knows the meaning."""

    text: str
    kind: MoveKind
    task: str | None = None
    values: Row = field(default_factory=dict)
    relative: dict[str, str] = field(default_factory=dict)
    """Words of those values that depend on today's date, by slot."""
    row: Row | None = None
    """The row chosen."""
    matter: str | None = None
    """What a question is about that no tool covers."""
    consents: bool = False
    """Whether this says yes to a change."""


@dataclass(frozen=True)
class Call:
    """The oracle calls a tool."""

    tool: str
    arguments: Row
    rationale: str


@dataclass(frozen=True)
class Answer:
    """The oracle says something: words, and what they convey and ask."""

    text: str
    rationale: str
    acts: tuple[Act, ...] = ()
    facts: tuple[Fact, ...] = ()
    requested: tuple[str, ...] = ()
    """For ``Message.requested``: slots asked for, those of which one suffices joined by ``|``."""
