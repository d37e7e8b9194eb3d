"""How sure we are: intervals and paired differences that respect that turns of one conversation hang together.

Decision points of a conversation share its topic, its tools and its noise, so they are resampled together (cluster
bootstrap). After Miller, "Adding Error Bars to Evals" (arXiv 2411.00640): errors clustered by conversation, differences
paired by item, and the smallest detectable difference printed beside every difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

CONFIDENCE = 0.95
#: Draws of a bootstrap: bounds are then within a tenth of a point or so of what endless draws would give.
RESAMPLES = 10_000
#: Of more than ``_KEPT_CLUSTERS``, whose bounds lie closer together, and which would take seconds.
RESAMPLES_OF_MANY = 2000
POWER = 0.8
#: Cells of one block of resampling weights: bounds memory to some 30 MB whatever the number of conversations.
_BLOCK_CELLS = 4_000_000
#: Up to so many clusters the weights are kept (20 MB at most): a table asks for the same draws metric after metric.
_KEPT_CLUSTERS = 250
#: Below so many clusters resampled means do not reach as far as Student's t: of two, one in four is the lower one's.
_FEW_CLUSTERS = 4
#: What sums of deviations leave of rounding; a real one is a turn's share of a conversation at least.
ROUNDING = 1e-9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; NaN throughout if there was nothing to average."""

    mean: float
    low: float
    high: float
    n: int
    clusters: int


@dataclass(frozen=True)
class PairedDifference:
    """How much better b is than a on the same decision points."""

    difference: Interval
    """Mean of b minus a with its 95 % interval."""
    only_a: int
    """Points at which a is above b."""
    only_b: int
    """Points at which b is above a."""
    p_value: float
    """Exact McNemar (sign) test of ``only_a`` against ``only_b``; ignores clustering, so read the interval first."""
    minimum_detectable: float
    """Smallest true difference found with 80 % power at the 5 % level, from the clustered standard error."""


def clustered_interval(
    values: ArrayLike, clusters: Sequence[object] | ArrayLike, *, seed: int = 0, signed: bool = False
) -> Interval:
    """Mean of ``values`` with a cluster-bootstrap interval.

    Whole clusters are drawn with replacement; the quantiles are Hesterberg's expanded percentiles (2015, "What Teachers
    Should Know About the Bootstrap"), which correct the interval being too narrow with few clusters. Below four
    clusters it is no narrower than Student's t interval of the clustered error, within what shares can be. Where no
    cluster differs from another, or there is one cluster, the bootstrap knows nothing: then Wilson's bounds with
    n = clusters are given, and NaN for what is no share (a count of turns, say), of which they would say nothing.

    Args:
        values: Numbers, usually 0/1 or shares; NaN means "does not apply" and is left out.
        clusters: The conversation of each value.
        seed: Seed of the resampling; the same input gives the same interval.
        signed: Whether values are differences, which could have gone either way.

    Raises:
        ValueError: ``values`` and ``clusters`` differ in length.
    """
    numbers, codes = _applicable(values, clusters)
    if not len(numbers):
        return Interval(math.nan, math.nan, math.nan, 0, 0)
    sums, counts = np.bincount(codes, numbers).astype(np.float64), np.bincount(codes).astype(np.float64)
    mean, drawn = float(numbers.mean()), len(counts)
    if alike(sums - counts * mean):
        low, high = _unvaried_bounds(mean, drawn, signed=signed)
    else:
        tail = expanded_tail(drawn)
        low, high = np.quantile(_resampled_means(sums, counts, seed), [tail, 1 - tail])
        if drawn < _FEW_CLUSTERS:
            below, above = _by_students_t(numbers, codes, signed=signed)
            low, high = min(low, below), max(high, above)
    return Interval(mean, float(low), float(high), len(numbers), drawn)


def paired_difference(
    values_a: ArrayLike, values_b: ArrayLike, clusters: Sequence[object] | ArrayLike, *, seed: int = 0
) -> PairedDifference:
    """Compare two models judged on the same decision points, position by position.

    Raises:
        ValueError: The three sequences differ in length.
    """
    from scipy.stats import binomtest

    a, b = np.asarray(values_a, dtype=np.float64), np.asarray(values_b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} values of a cannot be paired with {len(b)} of b")
    differences = b - a
    only_a, only_b = int((differences < 0).sum()), int((differences > 0).sum())
    return PairedDifference(
        difference=clustered_interval(differences, clusters, seed=seed, signed=True),
        only_a=only_a,
        only_b=only_b,
        p_value=float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
        minimum_detectable=minimum_detectable(differences, clusters),
    )


def relative_change(
    before: ArrayLike, after: ArrayLike, clusters: Sequence[object] | ArrayLike, *, seed: int = 0
) -> Interval:
    """How much of ``before`` is gained or lost: the ratio of the two means less 1, by the same cluster bootstrap.

    Bounds are NaN where a draw of conversations can have nothing right before, of which no share can be taken, where no
    conversation's change differs from another's, of which the bootstrap knows nothing, and below four conversations.

    Raises:
        ValueError: The three sequences differ in length.
    """
    was, now = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if was.shape != now.shape:
        raise ValueError(f"{len(was)} values before cannot be paired with {len(now)} after")
    nothing = np.isnan(was + now)  # where either does not apply
    was, codes = _applicable(np.where(nothing, math.nan, was), clusters)
    now, _ = _applicable(np.where(nothing, math.nan, now), clusters)
    drawn = len(np.unique(codes))
    if not was.sum():
        return Interval(math.nan, math.nan, math.nan, len(was), drawn)
    gained, had = (np.bincount(codes, numbers).astype(np.float64) for numbers in (now, was))
    ratio, low, high = float(gained.sum() / had.sum()), math.nan, math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = _resampled_means(gained, had, seed)
    if drawn >= _FEW_CLUSTERS and np.isfinite(ratios).all() and not alike(gained - ratio * had):
        tail = expanded_tail(drawn)
        low, high = (float(one) - 1 for one in np.quantile(ratios, [tail, 1 - tail]))
    return Interval(ratio - 1, low, high, len(was), drawn)


def minimum_detectable(differences: ArrayLike, clusters: Sequence[object] | ArrayLike) -> float:
    """Smallest true mean difference a two-sided 5 % test finds with 80 % power; NaN below two clusters."""
    return (_normal_quantile((1 + CONFIDENCE) / 2) + _normal_quantile(POWER)) * clustered_error(differences, clusters)


def clustered_error(values: ArrayLike, clusters: Sequence[object] | ArrayLike) -> float:
    """Cluster-robust standard error of the mean, with the C / (C - 1) correction; NaN below two clusters."""
    numbers, codes = _applicable(values, clusters)
    counts = np.bincount(codes)
    drawn = len(counts)
    if drawn < 2:
        return math.nan
    residuals = np.bincount(codes, numbers) - counts * numbers.mean()
    return float(math.sqrt(drawn / (drawn - 1) * float(residuals @ residuals)) / len(numbers))


def alike(residuals: Floats) -> bool:
    """Whether sums of deviations from the mean, one a cluster, are all zero but for rounding: clusters that do not
    differ say nothing of how much others would, however much the values within each of them vary."""
    return bool(np.abs(residuals).max() <= ROUNDING)


def wilson_bounds(mean: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's bounds of a share; with none or all of n those of 95 % are close to the rule of three."""
    z2 = _normal_quantile((1 + confidence) / 2) ** 2
    centre = (mean + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) / (1 + z2 / n) * math.sqrt(max(0.0, mean * (1 - mean)) / n + z2 / (4 * n * n))
    return max(0.0, min(mean, centre - half)), min(1.0, max(mean, centre + half))


def _applicable(values: ArrayLike, clusters: Sequence[object] | ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """The values that are numbers, and for each the index of its cluster."""
    numbers = np.asarray(values, dtype=np.float64)
    labels = np.asarray(clusters)
    if numbers.shape != labels.shape:
        raise ValueError(f"{len(numbers)} values but {len(labels)} cluster labels")
    applies = ~np.isnan(numbers)
    return numbers[applies], np.unique(labels[applies], return_inverse=True)[1]


def _by_students_t(numbers: Floats, codes: NDArray[np.intp], *, signed: bool) -> tuple[float, float]:
    """The mean's t interval by the clustered error, held to [0, 1] or [-1, 1] where all values are within."""
    from scipy.stats import t

    mean, drawn = float(numbers.mean()), len(np.unique(codes))
    half = float(t.ppf((1 + CONFIDENCE) / 2, drawn - 1)) * clustered_error(numbers, codes)
    least = -1.0 if signed else 0.0
    if numbers.min() < least or numbers.max() > 1:
        return mean - half, mean + half
    return max(least, mean - half), min(1.0, mean + half)


def _unvaried_bounds(mean: float, clusters: int, *, signed: bool) -> tuple[float, float]:
    """Bounds of what is the same everywhere; of a difference what could have gone unseen, in either direction."""
    if not signed:
        return wilson_bounds(mean, clusters) if 0 <= mean <= 1 else (math.nan, math.nan)
    unseen = wilson_bounds(0.0, clusters)[1]
    return max(-1.0, mean - unseen), min(1.0, mean + unseen)


@lru_cache
def _normal_quantile(share: float) -> float:
    """Kept, because a table of results asks for the same one hundreds of times."""
    from scipy.stats import norm

    return float(norm.ppf(share))


@lru_cache(maxsize=4096)
def expanded_tail(clusters: int) -> float:
    """The share beyond either quantile: Student's t instead of the normal, and the bootstrap's lost C / (C - 1)."""
    from scipy.stats import norm, t

    stretched = math.sqrt(clusters / (clusters - 1)) * t.ppf((1 + CONFIDENCE) / 2, clusters - 1)
    return float(norm.cdf(-stretched))


def _resampled_means(sums: Floats, counts: Floats, seed: int) -> Floats:
    """Means of draws of as many clusters as there are, with replacement: ``RESAMPLES``, of many clusters fewer."""
    clusters = len(sums)
    if clusters <= _KEPT_CLUSTERS:
        kept = _weights(clusters, RESAMPLES, seed)
        return (kept @ sums) / (kept @ counts)
    generator = np.random.default_rng(seed)
    even = np.full(clusters, 1 / clusters)
    draws = min(RESAMPLES, RESAMPLES_OF_MANY)
    block = max(1, min(draws, _BLOCK_CELLS // clusters))
    means = []
    for start in range(0, draws, block):
        weights = generator.multinomial(clusters, even, size=min(block, draws - start))
        means.append((weights @ sums) / (weights @ counts))
    return np.concatenate(means)


@lru_cache(maxsize=8)
def _weights(clusters: int, draws: int, seed: int) -> Floats:
    """How often each cluster is drawn in each resample; the same draws as in blocks."""
    even = np.full(clusters, 1 / clusters)
    weights = np.random.default_rng(seed).multinomial(clusters, even, size=draws).astype(np.float64)
    weights.flags.writeable = False
    return weights
