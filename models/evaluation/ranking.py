"""How well a score ranks good above bad: AUC with intervals that respect clusters, and paired differences of two AUCs.

AUC is the chance that a good item scores above a bad one, ties counted half (Mann-Whitney). Whole clusters are drawn
with replacement, as in ``statistics``; the same draws for both scores of a difference, so what they share cancels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.evaluation.statistics import RESAMPLES_OF_MANY, Floats, Interval, expanded_tail

_BLOCK_CELLS = 2_000_000


def auc(scores: ArrayLike, good: ArrayLike, clusters: Sequence[object] | ArrayLike, *, seed: int = 0) -> Interval:
    """AUC of ``scores`` for telling ``good`` from the rest, with a 95 % cluster-bootstrap interval.

    Quantiles are expanded as in ``statistics``. NaN if all items are good or all are
    bad; NaN bounds if there is one cluster.

    Raises:
        ValueError: The three sequences differ in length.
    """
    return _interval([(np.asarray(scores, dtype=np.float64), 1)], good, clusters, seed)


def auc_difference(
    scores: ArrayLike, other: ArrayLike, good: ArrayLike, clusters: Sequence[object] | ArrayLike, *, seed: int = 0
) -> Interval:
    """AUC of ``scores`` minus AUC of ``other`` on the same items, with its 95 % interval."""
    first, second = np.asarray(scores, dtype=np.float64), np.asarray(other, dtype=np.float64)
    return _interval([(first, 1), (second, -1)], good, clusters, seed)


def _interval(
    signed: list[tuple[Floats, int]], good: ArrayLike, clusters: Sequence[object] | ArrayLike, seed: int
) -> Interval:
    truth, labels = np.asarray(good, dtype=bool), np.asarray(clusters)
    if any(scores.shape != truth.shape for scores, _ in signed) or truth.shape != labels.shape:
        raise ValueError(
            f"scores, judgements and clusters must pair up: {len(truth)} judgements, {len(labels)} clusters"
        )
    codes = np.unique(labels, return_inverse=True)[1] if len(labels) else np.zeros(0, dtype=np.intp)
    drawn = int(codes.max()) + 1 if len(codes) else 0
    if not truth.any() or truth.all():
        return Interval(math.nan, math.nan, math.nan, len(truth), drawn)
    mean = float(_signed(signed, truth, np.ones((1, len(truth))))[0])
    if drawn == 1:
        return Interval(mean, math.nan, math.nan, len(truth), drawn)  # one cluster says nothing about others
    samples = [_signed(signed, truth, weights) for weights in _draws(codes, drawn, seed)]
    tail = expanded_tail(drawn)
    low, high = np.nanquantile(np.concatenate(samples), [tail, 1 - tail])
    return Interval(mean, float(low), float(high), len(truth), drawn)


def _draws(codes: NDArray[np.intp], clusters: int, seed: int) -> Iterator[Floats]:
    """Blocks of weights, one row a resample: how often the item's cluster was drawn."""
    generator = np.random.default_rng(seed)
    even = np.full(clusters, 1 / clusters)
    block = max(1, min(RESAMPLES_OF_MANY, _BLOCK_CELLS // max(len(codes), clusters)))
    for start in range(0, RESAMPLES_OF_MANY, block):
        counts = generator.multinomial(clusters, even, size=min(block, RESAMPLES_OF_MANY - start))
        yield counts[:, codes].astype(np.float64)


def _signed(signed: list[tuple[Floats, int]], good: NDArray[np.bool_], weights: Floats) -> Floats:
    return np.sum([sign * _weighted_auc(scores, good, weights) for scores, sign in signed], axis=0)


def _weighted_auc(scores: Floats, good: NDArray[np.bool_], weights: Floats) -> Floats:
    """AUC of each row of weights; NaN where a resample has only good or only bad items."""
    order = np.argsort(scores, kind="stable")
    levels = np.flatnonzero(np.diff(scores[order], prepend=-math.inf))
    ordered, truth = weights[:, order], good[order]
    positive = np.add.reduceat(ordered * truth, levels, axis=1)
    negative = np.add.reduceat(ordered * ~truth, levels, axis=1)
    below = np.cumsum(negative, axis=1) - negative / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positive * below).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1)))
