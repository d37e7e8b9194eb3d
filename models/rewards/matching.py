"""Expected calls against predicted calls: how alike two calls are, and the best pairing of many.

The pairing is optimal, not greedy, so the order of parallel calls never matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data.schema import ToolCall, ToolSpec
from models.equality import argument_schemas, required_arguments, same_value, stated_arguments

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
    left, right = stated_arguments(expected, tool), stated_arguments(predicted, tool)
    invented = len(right.keys() - left.keys())
    share = 1.0 - _cost(left, right, tool) / max(1, len(left))
    return (NAME_CREDIT + (1.0 - NAME_CREDIT) * share) / (1 + invented / max(1, len(left)))


def _cost(expected: dict[str, Any], predicted: dict[str, Any], tool: ToolSpec | None) -> float:
    """What the expected arguments lack, at most 1 each."""
    required, schemas = required_arguments(tool), argument_schemas(tool)
    cost = 0.0
    for name, value in expected.items():
        if name not in predicted:
            cost += REQUIRED_MISSING if name in required else OPTIONAL_MISSING
        elif not same_value(value, predicted[name], schemas.get(name)):
            cost += VALUE_WRONG
    return cost


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
