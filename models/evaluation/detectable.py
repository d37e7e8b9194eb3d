"""The smallest true difference that a comparison finds: how large it has to be for the test to see it in 80 of 100.

Few numbers say how far trainings of several seeds lie apart, or how far a handful of conversations do: the variance
that was seen may be a fraction of the true one, another study would see another, and its test would have other degrees
of freedom. A size that takes the error that was seen for the true one is found in 52 to 75 of 100 with two or three
seeds, and in 70 with six conversations. So the power is averaged over what the true variance may be, given the one seen
(its fiducial distribution, Fisher 1935), and over what another study would see of it: *assurance*, after O'Hagan,
Stevens and Campbell (2005), "Assurance in clinical trial design". With several seeds that is the seeds' variance, with
one the conversations'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models.evaluation.statistics import POWER, Floats

#: Midpoints of equal probability at which a variance is looked at: of conversations beside seeds, of seeds, and of
#: conversations alone.
_CONVERSATIONS, _SEEDS, _ALONE = 8, 32, 96
#: Halvings of what is searched: to a millionth of it.
_HALVINGS = 20


@dataclass(frozen=True)
class ErrorParts:
    """The variance of a mean difference by what it is chance of, each an estimate from so many clusters.

    ``both`` counts conversations and seeds together (Cameron, Gelbach and Miller 2011); with one seed all but
    ``by_item`` are NaN.
    """

    by_item: float
    conversations: int
    by_seed: float = math.nan
    both: float = math.nan
    seeds: int = 1

    @property
    def error(self) -> float:
        """Standard error; the two-way estimate can fall below either part, or below zero, and is not taken there."""
        return math.sqrt(self.by_item if self.seeds < 2 else max(self.both, self.by_item, self.by_seed))

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the error: of conversations, or by Satterthwaite (1946) from both parts."""
        if self.seeds < 2 or not self.by_item + self.by_seed:
            return self.conversations - 1.0
        item, seed = np.asarray(self.by_item), np.asarray(self.by_seed)
        return float(_satterthwaite(item, seed, self.conversations, self.seeds))


@lru_cache(maxsize=4096)
def detectable(parts: ErrorParts, level: float) -> float:
    """Smallest true difference found with 80 % power by a two-sided test at ``level``."""
    if parts.seeds < 2:
        return parts.error * _assured_errors(parts.conversations - 1, level)
    may_be = np.maximum(parts.by_seed / _variances(parts.seeds - 1, _SEEDS), _least(parts))
    return assured(parts, may_be, level)


@lru_cache(maxsize=4096)
def _assured_errors(freedom: int, level: float) -> float:
    """How many of its standard errors, as they were seen, a mean must differ by: of one part, its variance unknown."""
    from scipy.stats import t

    estimates = _variances(freedom, _ALONE)
    true = 1 / estimates  # what a variance that was seen as 1 may truly be
    critical = float(t.ppf(1 - level / 2, freedom)) * np.sqrt(estimates[:, None] * true)
    return _at_power(critical, np.sqrt(true))


def assured(parts: ErrorParts, by_seed: Floats, level: float) -> float:
    """The difference whose power is 80 % in the mean over ``by_seed``, what the variance between seeds may truly be.

    A study of that truth is one draw of the mean difference and, independent of it, of both estimated parts, which are
    scaled chi-squared variables; it finds the difference where the mean is above the critical value that they give.
    """
    from scipy.stats import t

    within = max(0.0, parts.by_item + parts.by_seed - parts.both)
    seen_item = parts.by_item * _variances(parts.conversations - 1, _CONVERSATIONS)[:, None, None]
    seen_seed = by_seed * _variances(parts.seeds - 1, _SEEDS)[None, :, None]
    seen = np.maximum(np.maximum(seen_item + seen_seed - within, seen_item), seen_seed)
    freedom = _satterthwaite(seen_item, seen_seed, parts.conversations, parts.seeds)
    critical = t.ppf(1 - level / 2, freedom) * np.sqrt(seen)
    spread = np.sqrt(np.maximum(np.maximum(parts.by_item + by_seed - within, parts.by_item), by_seed))
    return _at_power(critical, spread)


def _at_power(critical: Floats, spread: Floats) -> float:
    """The difference that, in the mean over studies, is above ``critical`` in 80 of 100 draws with this ``spread``."""
    from scipy.special import ndtr

    low, high = 0.0, float(critical.max() + 10 * spread.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if ndtr((middle - critical) / spread).mean() >= POWER else (middle, high)
    return high


def _least(parts: ErrorParts) -> float:
    """What seeds differ by where trainings are alike: the chance that is in each turn under each seed."""
    return min(parts.by_item, max(0.0, parts.by_item + parts.by_seed - parts.both))


def _satterthwaite(by_item: Floats, by_seed: Floats, conversations: int, seeds: int) -> Floats:
    found: Floats = (by_item + by_seed) ** 2 / (by_item**2 / (conversations - 1) + by_seed**2 / (seeds - 1))
    return found


@lru_cache(maxsize=256)
def _variances(freedom: int, points: int) -> Floats:
    """What an estimate of a variance of 1 may be: midpoints of equal probability."""
    from scipy.stats import chi2

    found: Floats = chi2.ppf((np.arange(points) + 0.5) / points, freedom) / freedom
    return found
