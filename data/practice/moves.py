"""What passes between user, oracle and tools in a practice conversation: meaning and wording side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from data.practice.declarations import Row
from data.schema import Act, Fact


@dataclass(frozen=True)
class UserMove:
    """One user message: its words, and what it means."""

    text: str
    kind: Literal["state", "answer", "correct", "choose", "affirm", "refuse", "ask_outside", "leave"]
    task: str | None = None
    values: Row = field(default_factory=dict)
    relative: dict[str, str] = field(default_factory=dict)
    """Words of those values that depend on today's date, by slot."""
    choice: int = 0
    matter: str | None = None
    """What a question is about that no tool covers."""


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
    """Slots whose value the user may answer with."""
    options: tuple[Row, ...] = ()
    """Results offered for choice."""
    asked_for: tuple[str, ...] = ()
    """The same for ``Message.requested``, slots of which one suffices joined by ``|``; empty: as ``requested``."""
