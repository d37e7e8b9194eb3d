"""Expected calls against predicted calls: how alike two calls are, and the best pairing of many.

The pairing is optimal, not greedy, so the order of parallel calls never matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.schema import ToolCall, ToolSpec
from models.equality import Verdict, argument_verdicts, required_arguments

#: What one argument costs, as a share of its own weight. A required argument left out is the worst: the call fails.
REQUIRED_MISSING = 1.0
VALUE_WRONG = 0.75
OPTIONAL_MISSING = 0.5
#: Credit for the right tool with nothing else right.
NAME_CREDIT = 0.1


@dataclass(frozen=True)
class Matching:
    """The best pairing: pairs of equal name, the sum of their likeness, and what stayed alone on either side."""

    pairs: int
    likeness: float
    missing: tuple[ToolCall, ...]
    spurious: tuple[ToolCall, ...]


def call_likeness(expected: ToolCall, predicted: ToolCall, tool: ToolSpec | None) -> float:
    """How much of an expected call a predicted one gets right: 0 for another tool, 1 for the same call, in (0, 1] else.

    ``NAME_CREDIT`` for the tool and the rest by arguments, all of it shrunk by each argument that was not asked for, so
    that guessing arguments never pays.
    """
    if expected.name != predicted.name:
        return 0.0
    verdicts = argument_verdicts(expected, predicted, tool)
    invented = sum(verdict is Verdict.INVENTED for verdict in verdicts.values())
    due = max(1, len(verdicts) - invented)
    share = 1.0 - _cost(verdicts, required_arguments(tool)) / due
    return (NAME_CREDIT + (1.0 - NAME_CREDIT) * share) / (1 + invented / due)


def _cost(verdicts: dict[str, Verdict], required: frozenset[str]) -> float:
    """What the expected arguments lack, at most 1 each."""
    missing = sum(
        REQUIRED_MISSING if name in required else OPTIONAL_MISSING
        for name, verdict in verdicts.items()
        if verdict is Verdict.MISSING
    )
    return missing + VALUE_WRONG * sum(verdict is Verdict.WRONG for verdict in verdicts.values())


def match_calls(expected: Sequence[ToolCall], predicted: Sequence[ToolCall], tools: Sequence[ToolSpec]) -> Matching:
    """The pairing of expected with predicted calls that gets most right."""
    specs = {tool.name: tool for tool in tools}
    likeness = [[call_likeness(left, right, specs.get(left.name)) for right in predicted] for left in expected]
    pairs = [(row, column) for row, column in _assignment(likeness) if likeness[row][column] > 0]
    rows, columns = {row for row, _ in pairs}, {column for _, column in pairs}
    return Matching(
        pairs=len(pairs),
        likeness=sum(likeness[row][column] for row, column in pairs),
        missing=tuple(call for row, call in enumerate(expected) if row not in rows),
        spurious=tuple(call for column, call in enumerate(predicted) if column not in columns),
    )


def _assignment(likeness: list[list[float]]) -> list[tuple[int, int]]:
    """Rows to columns so that the sum is largest."""
    if not likeness or not likeness[0]:
        return []
    if len(likeness) == 1:
        return [(0, max(range(len(likeness[0])), key=likeness[0].__getitem__))]
    # Parallel calls are rare; the common case above does without scipy, whose import takes a third of a second.
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True)]
