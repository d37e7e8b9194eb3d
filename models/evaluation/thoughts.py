"""Thoughts put into a model's mouth: none, or its own from somewhere else; does what it thinks matter for what it does?

Where an action is the same whatever the thought says, thinking is decoration. The forced thought is part of the prompt;
the completion is the action alone and is judged as an action without reasoning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from data.evaluations import read_evaluations
from data.schema import DecisionPoint
from models.speech.template import THINK_CLOSE


class NoThoughts(Exception):
    """There are no thoughts to shuffle; the message says what to do."""


def forced_thoughts(points: Sequence[DecisionPoint], kind: str, evaluation_id: str | None) -> dict[str, str]:
    """What follows the opener of the think block at each decision point, its closing tag included.

    Args:
        points: What is judged.
        kind: ``empty`` or ``shuffled``.
        evaluation_id: Where the model's own thoughts are, for ``shuffled``.

    Raises:
        NoThoughts: The evaluation has no thoughts, or all are of one conversation.
    """
    if kind == "empty":
        return {point.id: THINK_CLOSE for point in points}
    kept = read_evaluations(evaluation_id) if evaluation_id else None
    if kept is None or kept.empty:
        raise NoThoughts("shuffled thoughts need an evaluation with thinking: name it by evaluation.thoughts_of")
    rows = kept.dropna(subset=["reasoning"])
    own = dict(zip(rows["decision_point_id"], rows["reasoning"], strict=True))
    homes = dict(zip(rows["decision_point_id"], rows["conversation_id"], strict=True))
    return shuffled(points, own, homes)


def shuffled(points: Sequence[DecisionPoint], thoughts: Mapping[str, str], homes: Mapping[str, str]) -> dict[str, str]:
    """For each decision point the thought of one of another conversation, by hash of both ids: a fixed mismatch.

    Raises:
        NoThoughts: No thought is of another conversation.
    """
    chosen = {}
    for point in points:
        foreign = [one for one in thoughts if homes[one] != point.conversation_id]
        if not foreign:
            raise NoThoughts("there are thoughts of one conversation only; judge more decision points with thinking")
        source = min(foreign, key=lambda one: hashlib.sha256(f"{point.id} {one}".encode()).digest())
        chosen[point.id] = thoughts[source].strip() + THINK_CLOSE
    return chosen
