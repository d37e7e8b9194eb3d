"""What was called in a conversation and what came back: the log that user, policy and gold state are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.practice.declarations import Row


@dataclass(frozen=True)
class Executed:
    """One call and its result."""

    tool: str
    arguments: Row
    result: Row

    @property
    def succeeded(self) -> bool:
        """Whether it found something or changed something."""
        return "error" not in self.result and self.result.get("total", 1) > 0


def rows_found(log: Sequence[Executed], tool: str) -> list[Row]:
    """Rows this look-up has returned, the latest result's first."""
    rows: list[Row] = []
    for step in reversed(log):
        if step.tool == tool and step.succeeded:
            rows += [row for row in step.result.get("results", [step.result]) if row not in rows]
    return rows


def written(log: Sequence[Executed], tool: str) -> Row | None:
    """What the latest successful call of this changing tool returned."""
    return next((step.result for step in reversed(log) if step.tool == tool and step.succeeded), None)
