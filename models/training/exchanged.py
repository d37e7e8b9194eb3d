"""Exchanged thoughts: a turn's history with the thought of another turn, so that the action has to follow from it.

Where SFT has learned the conversations that thoughts are taken from, the history alone may foretell the action, and
nothing asks a model to heed its thought (docs/log.md, 2026-11-29: primed so, a quarter of right thoughts that asking
is due on unseen tools were acted against). Given the thought of a turn nearby, whose values may not even have been
named yet, only the thought tells what is to be done. What is learned is the action alone; such a thought is never
learned to be thought.

Neighbours seldom think alike (at calls of SGD 156 of 175 led to an answer), so they teach which kind of action follows
and little of what it says. For that a turn that calls or tells something borrows the thought of a turn of its kind in
another conversation as well: the same tool, or the same acts with facts of the same names. Every value has then to be
copied from the thought, and none from the history or the habit beside it. So a message that tells what its thought does
not is never lent: in another turn's place its values stand nowhere, and a model would learn to make them up.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from data.decision_points import by_conversation
from data.schema import DecisionPoint, Message

#: How many turns before and after a turn lend it their thought. The nearest are what a model takes it for.
REACH = 2


def exchanged_thoughts(points: Sequence[DecisionPoint], share: float, seed: int) -> dict[str, tuple[Message, ...]]:
    """Decision point id → messages that think otherwise: of a turn of the same conversation not far from it and, where
    something is called or told, of a turn of the same kind in another conversation.

    Args:
        points: Decision points whose messages carry rationales.
        share: Share of the points that get some, in [0, 1]; a point of which nobody near or alike thinks otherwise gets
            none.
        seed: Draws which, and whose; the draw of a neighbour is each point's own, whatever else is among ``points``.
    """
    chosen: dict[str, tuple[Message, ...]] = {}
    of_a_kind: dict[tuple[object, ...], list[DecisionPoint]] = {}
    for point in points:
        of_a_kind.setdefault(_kind(point), []).append(point)
    for conversation in by_conversation(points).values():
        for index, point in enumerate(conversation):
            draw = random.Random(f"exchanged-{seed}-{point.id}")
            if draw.random() >= share:
                continue
            near = [*conversation[max(0, index - REACH) : index], *conversation[index + 1 : index + 1 + REACH]]
            pools = [near]
            if point.expected.tool_calls or point.expected.facts:
                alike = (one for one in of_a_kind[_kind(point)] if one.conversation_id != point.conversation_id)
                pools.append([one for one in alike if _fits(one, point)])
            found = []
            for pool in pools:
                others = [
                    one.expected
                    for one in pool
                    if one.expected.rationale != point.expected.rationale and says_all(one.expected)
                ]
                if others:
                    found.append(draw.choice(others))
            if found:
                chosen[point.id] = tuple(found)
    return chosen


def says_all(message: Message) -> bool:
    """Whether a message's thought has every value that the message tells, in one of its spellings."""
    thought = message.rationale or ""
    return all(any(form in thought for form in fact.forms) for fact in message.facts)


def _kind(point: DecisionPoint) -> tuple[object, ...]:
    """What turns have in common that call the same tools, or do the same and tell facts of the same names."""
    message = point.expected
    if message.tool_calls:
        return (point.domain, tuple(call.name for call in message.tool_calls))
    return (point.domain, message.acts, tuple(sorted(fact.name for fact in message.facts)))


def _fits(other: DecisionPoint, point: DecisionPoint) -> bool:
    """Whether the tools that ``other`` calls, or names in its thought, are on offer at ``point`` and mean the same."""
    here = {tool.name: tool for tool in point.tools}
    said = " ".join([other.expected.rationale or "", *(call.name for call in other.expected.tool_calls)])
    return all(here.get(tool.name) == tool for tool in other.tools if tool.name in said)
