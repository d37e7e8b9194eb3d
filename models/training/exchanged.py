"""Exchanged thoughts: a turn's history with the thought of another turn, so that the action has to follow from it.

Where SFT has learned the conversations that thoughts are taken from, the history alone may foretell the action, and
nothing asks a model to heed its thought (docs/log.md, 2026-11-29: primed so, a quarter of right thoughts that asking
is due on unseen tools were acted against). Given the thought of a turn nearby, whose values may not even have been
named yet, only the thought tells what is to be done. What is learned is the action alone; such a thought is never
learned to be thought.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from data.decision_points import by_conversation
from data.schema import DecisionPoint, Message

#: How many turns before and after a turn lend it their thought. The nearest are what a model takes it for.
REACH = 2


def exchanged_thoughts(points: Sequence[DecisionPoint], share: float, seed: int) -> dict[str, Message]:
    """Decision point id → the message of a turn of the same conversation, not far from it, that thinks otherwise.

    Args:
        points: Decision points whose messages carry rationales.
        share: Share of the points that get one, in [0, 1]; a point without a neighbour that thinks otherwise gets none.
        seed: Draws which, and whose; each point's draw is its own, whatever else is among ``points``.
    """
    chosen = {}
    for conversation in by_conversation(points).values():
        for index, point in enumerate(conversation):
            draw = random.Random(f"exchanged-{seed}-{point.id}")
            if draw.random() >= share:
                continue
            near = [*conversation[max(0, index - REACH) : index], *conversation[index + 1 : index + 1 + REACH]]
            others = [one.expected for one in near if one.expected.rationale != point.expected.rationale]
            if others:
                chosen[point.id] = draw.choice(others)
    return chosen
