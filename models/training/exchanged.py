"""Exchanged thoughts: a turn's history with the thought of another turn, so that the action has to follow from it.

Where SFT has learned the conversations that thoughts are taken from, the history alone may foretell the action, and
nothing asks a model to heed its thought (docs/log.md, 2026-11-29: primed so, a quarter of right thoughts that asking
is due on unseen tools were acted against). Given the thought of a turn nearby, whose values may not even have been
named yet, only the thought tells what is to be done. What is learned is the action alone; such a thought is never
learned to be thought.

The neighbours of a call are answers (of 175 exchanged thoughts at calls of SGD 156 led to one), so they teach that a
call is withheld and not which arguments it has. For those a call borrows the thought of a call of the same tool in
another conversation as well: every value has to be copied from it, and none from the history or the habit beside it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from data.decision_points import by_conversation
from data.schema import DecisionPoint, Message

#: How many turns before and after a turn lend it their thought. The nearest are what a model takes it for.
REACH = 2


def exchanged_thoughts(points: Sequence[DecisionPoint], share: float, seed: int) -> dict[str, tuple[Message, ...]]:
    """Decision point id → messages that think otherwise: of a turn of the same conversation not far from it and, at a
    call, of a call of the same tool in another conversation.

    Args:
        points: Decision points whose messages carry rationales.
        share: Share of the points that get some, in [0, 1]; a point of which nobody near or alike thinks otherwise gets
            none.
        seed: Draws which, and whose; the draw of a neighbour is each point's own, whatever else is among ``points``.
    """
    chosen: dict[str, tuple[Message, ...]] = {}
    alike = _calls_of_each_tool(points)
    for conversation in by_conversation(points).values():
        for index, point in enumerate(conversation):
            draw = random.Random(f"exchanged-{seed}-{point.id}")
            if draw.random() >= share:
                continue
            near = [*conversation[max(0, index - REACH) : index], *conversation[index + 1 : index + 1 + REACH]]
            elsewhere = [
                one
                for one in alike.get(_tools(point), ())
                if one.conversation_id != point.conversation_id and _offers(point, one)
            ]
            found = []
            for pool in (near, elsewhere):
                others = [one.expected for one in pool if one.expected.rationale != point.expected.rationale]
                if others:
                    found.append(draw.choice(others))
            if found:
                chosen[point.id] = tuple(found)
    return chosen


def _calls_of_each_tool(points: Sequence[DecisionPoint]) -> dict[tuple[str, ...], list[DecisionPoint]]:
    found: dict[tuple[str, ...], list[DecisionPoint]] = {}
    for point in points:
        if point.expected.tool_calls:
            found.setdefault(_tools(point), []).append(point)
    return found


def _tools(point: DecisionPoint) -> tuple[str, ...]:
    """Names of the tools that are called; none at an answer, which nothing is alike then."""
    return tuple(call.name for call in point.expected.tool_calls)


def _offers(point: DecisionPoint, other: DecisionPoint) -> bool:
    """Whether the tools that ``other`` calls are declared at ``point`` as they are there: a name may mean another
    tool elsewhere."""
    called = set(_tools(other))
    here, there = ({tool.name: tool for tool in one.tools if tool.name in called} for one in (point, other))
    return here == there
