"""Whether a loss on a guarded slice is ruled out.

The interval of a difference knows only what happened: a loss that falls on whole conversations, few of them, may not
have been met at all, and where hardly any turn differs the bootstrap's interval is next to nothing. So two more bounds
must hold beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.statistics import clustered_interval, wilson_bounds
from models.evaluation.verdicts import Pairs, Verdict, verdict


@dataclass(frozen=True)
class Guard:
    """A guarded slice: its verdict, and how large a loss has to be reckoned with."""

    verdict: Verdict
    lowest: float
    """The lowest of three bounds of the difference: of its interval; of the interval with one conversation more that is
    lost whole (as Agresti and Coull 1998 add to the counts of a share, since resampling few losses says too little);
    and the difference less what may have gone ``unmet``."""

    @property
    def ruled_out(self) -> bool:
        """Whether a loss of more than the margin is ruled out."""
        return bool(self.verdict.difference.clusters > 1 and self.lowest > -self.verdict.margin)

    @property
    def needed(self) -> int | None:
        """Conversations with which ``unmet`` is borne beside the difference that was met; None where no number is
        enough."""
        room = self.verdict.margin + self.verdict.difference.mean
        odds = unmet(1) / (1 - unmet(1))  # z²: ``unmet(n)`` is z² / (n + z²)
        return max(1, math.floor(odds * (1 - room) / room) + 1) if room > 0 else None

    def as_row(self) -> dict[str, Any]:
        """JSON-ready, to be stored as evidence."""
        return {**self.verdict.as_row(), "lowest": self.lowest, "ruled_out": self.ruled_out, "needed": self.needed}


def unmet(conversations: int) -> float:
    """Loss that none of so many conversations may show although it is there: the share of them that could be lost
    whole without one being among those judged (Wilson's upper bound of none in ``conversations``, close to the rule of
    three); 1 where there are none."""
    return wilson_bounds(0.0, conversations)[1] if conversations else 1.0


def guarded(pairs: Pairs, margin: float, *, seed: int = 0) -> Guard:
    """How a guarded slice stands.

    Args:
        pairs: Scores of both on the same items.
        margin: Loss that is still borne.
        seed: Of the bootstrap.

    Raises:
        ValueError: As ``verdict``.
    """
    judged = verdict(pairs, margin=margin, seed=seed)
    found = judged.difference
    if not found.clusters:
        return Guard(judged, -1.0)
    turns = max(1, round(found.n * judged.seeds / found.clusters))  # under every seed
    differences = np.concatenate([pairs.differences, np.full(turns, -1.0)])
    homes = np.concatenate([np.asarray(pairs.clusters).astype(str), np.full(turns, "\0one more")])
    with_one_more = clustered_interval(differences, homes, seed=seed, signed=True)
    return Guard(judged, min(found.low, with_one_more.low, found.mean - unmet(found.clusters)))
