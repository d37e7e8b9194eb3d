"""The reward of a whole episode: one number for what came of it, whatever path led there.

``outcome`` is τ-bench's product (Yao et al. 2024, arXiv 2406.12045, section 3: reward = r_action * r_output, both 0 or
1) with a third factor for the policy: final rows as after the gold agent's changes, every required fact told, nothing
breached; and two more, that nothing was let go without a look and that the user left content. ``milestones`` adds
partial credit below full success, so that a group whose attempts all fail can still be told apart: half of the share of
the gold agent's calls and of the required facts that were reached, and nothing where the policy was breached. Half, so
that no partial success is worth what success is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from models.practice.outcome import Outcome

EpisodeReward = Literal["outcome", "milestones"]
PARTIAL = 0.5


def outcome_reward(outcome: Outcome) -> float:
    """1.0 for success, else 0.0."""
    return float(outcome.success)


def milestone_reward(outcome: Outcome) -> float:
    """1.0 for success, else up to ``PARTIAL`` for what was reached without a breach."""
    if outcome_reward(outcome) == 1.0:
        return 1.0
    return 0.0 if outcome.breaches else PARTIAL * (outcome.milestones or 0.0)


REWARDS: dict[EpisodeReward, Callable[[Outcome], float]] = {"outcome": outcome_reward, "milestones": milestone_reward}
