"""Which decision points GRPO practises on, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.rewards.gold import audit
from models.rewards.variants import load_reward


def practice_points(
    points: Sequence[DecisionPoint], settings: GRPOSettings, seed: int
) -> tuple[list[DecisionPoint], dict[str, int]]:
    """Decision points whose gold reaches the maximum reward, call and answer turns mixed by ``call_share``.

    The order is a shuffle by ``seed``; call and answer turns are interleaved so that every step sees both kinds.

    Args:
        points: All decision points of the train split.
        settings: Gives the reward of the gold check and the share of call turns.
        seed: Of the order.

    Returns:
        The points in order of use, and counts: offered, barred by the gold check, used.
    """
    report = audit(points, load_reward(settings.reward, settings.weights))
    usable = [point for point in points if point.id not in report.barred]
    order = random.Random(f"practice-{seed}")
    kinds = {kind: [point for point in usable if point.kind == kind] for kind in ("call", "answer")}
    for members in kinds.values():
        order.shuffle(members)
    mixed = interleave(kinds["call"], kinds["answer"], settings.call_share)
    return mixed, {"offered": len(points), "barred": len(points) - len(usable), "used": len(mixed)}


def interleave(calls: list[DecisionPoint], answers: list[DecisionPoint], call_share: float) -> list[DecisionPoint]:
    """Both kinds in the given proportion until one is used up; if one is missing altogether, the other alone."""
    if not calls or not answers:
        return calls or answers
    mixed: list[DecisionPoint] = []
    taken = 0
    while taken < len(calls) and len(mixed) - taken < len(answers):
        call_due = taken < call_share * (len(mixed) + 1)
        mixed.append(calls[taken] if call_due else answers[len(mixed) - taken])
        taken += call_due
    return mixed
