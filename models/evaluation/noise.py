"""The noise floor: how far two runs of one model lie apart when it samples; less is no difference at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from models.evaluation.statistics import CONFIDENCE


@dataclass(frozen=True)
class NoiseFloor:
    """What sampling alone does."""

    floor: float
    """Two runs of one model differ by less than this in 95 % of cases."""
    flip_rate: float
    """Share of items judged differently by two runs, on average over the pairs of runs."""
    runs: int
    items: int

    def over(self, items: int) -> float:
        """The floor of a difference over so many other items of the same kind: it falls with their square root. Those
        of several training seeds count each, since every one of their models samples for itself."""
        return self.floor * math.sqrt(self.items / items) if items else math.nan


def noise_floor(runs: Sequence[ArrayLike]) -> NoiseFloor:
    """From several sampled runs of one model over the same items, item by item 0 or 1.

    Sampling is independent from item to item, so the variance of a run's mean is the sum of the items' own variances,
    each estimated without bias from its runs; two runs differ with twice that. That uses every item, where the spread
    of a handful of means would be a guess.

    Raises:
        ValueError: Fewer than two runs, or runs over different numbers of items.
    """
    from scipy.stats import norm

    try:
        scored = np.asarray(runs, dtype=np.float64)
    except ValueError as error:
        raise ValueError("runs of one model must be over the same items, in the same order") from error
    if scored.ndim != 2 or len(scored) < 2:
        raise ValueError("a noise floor needs at least two runs of one model over the same items")
    items = scored.shape[1]
    variances = scored.var(axis=0, ddof=1)
    spread = math.sqrt(2 * float(variances.sum())) / items if items else math.nan
    return NoiseFloor(
        floor=float(norm.ppf((1 + CONFIDENCE) / 2)) * spread,
        # Of two draws with variance v one in 2v differs, which the unbiased estimate gives without forming the pairs.
        flip_rate=float(2 * variances.mean()) if items else math.nan,
        runs=len(scored),
        items=items,
    )
