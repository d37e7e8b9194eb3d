"""Is one model better than another? One word with its evidence: better, worse, no difference shown, or underpowered.

Items are paired: both models met the same decision points. Turns of a conversation hang together, and so do all turns
judged under one training seed; both make up the error. A word that claims a difference needs the interval *and* the
test (corrected for the number of comparisons, Holm 1979) on its side; a word that claims none needs a comparison that
would have found one of the size that matters, after the same correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from models.evaluation.detectable import ErrorParts, detectable
from models.evaluation.statistics import (
    CONFIDENCE,
    ROUNDING,
    Floats,
    Interval,
    alike,
    clustered_interval,
    wilson_bounds,
)

Word = Literal["better", "worse", "no difference shown", "underpowered"]
#: What is worth finding: "not at this size" may be said only where a difference this large would have been found.
MARGIN = 0.03


@dataclass(frozen=True)
class Pairs:
    """Two models judged on the same items, position by position: all four columns have one entry an item and seed."""

    before: Floats
    """Scores of the one to beat, usually 0/1; NaN where the metric does not apply."""
    after: Floats
    """Scores of the challenger."""
    clusters: Sequence[object] | ArrayLike
    """The conversation of each item."""
    seeds: Sequence[object] | ArrayLike | None = None
    """The training seed of each pair, where models of several seeds are compared seed by seed; None: one model each."""

    @property
    def differences(self) -> Floats:
        """After minus before."""
        return np.asarray(self.after, dtype=np.float64) - np.asarray(self.before, dtype=np.float64)


@dataclass(frozen=True)
class Verdict:
    """The word, and everything needed to doubt it."""

    word: Word
    difference: Interval
    """Mean of after minus before with its 95 % interval; ``n`` counts items, not items times seeds."""
    p_value: float
    """Two-sided, of the cluster-robust t test; where all conversations differ by the same, of the sign test over them;
    1 where nothing could be tested."""
    adjusted_p: float
    """The same after Holm's correction for ``comparisons``."""
    comparisons: int
    detectable: float
    """Smallest true difference this comparison finds with 80 % power at the 5 % level."""
    adjusted_detectable: float
    """The same where it has to be found after the correction: at the level that Holm's method asks of the smallest of
    ``comparisons`` p values (5 % over their number), which no later one is held to, so the power is at least that."""
    margin: float
    """The smallest difference that matters."""
    seeds: int
    by_seed: tuple[float, ...]
    """Mean difference under each training seed, in the order of the seeds."""
    improved: int
    """Items (times seeds) at which only after is right."""
    regressed: int
    """Items at which only before is right."""
    mcnemar_p: float
    """Exact McNemar test of the two counts; ignores that turns hang together, so it is shown, not used."""

    @property
    def not_worse(self) -> bool:
        """Whether it is shown that after is not worse by more than ``margin`` (non-inferiority: a tie that is too
        wide to exclude such a loss does not count)."""
        return bool(self.difference.clusters > 1 and self.difference.low > -self.margin)

    def as_row(self) -> dict[str, Any]:
        """JSON-ready, to be stored as evidence."""
        return {**asdict(self), "by_seed": list(self.by_seed), "not_worse": self.not_worse}

    def line(self) -> str:
        """``+4.1 points [1.2, 7.0], n = 640, detectable 4.0: better``."""
        low, mean, high = (100 * value for value in (self.difference.low, self.difference.mean, self.difference.high))
        return (
            f"{mean:+.1f} points [{low:+.1f}, {high:+.1f}], n = {self.difference.n}, "
            f"detectable {size_in_points(self.detectable)}: {self.word}"
        )


def size_in_points(share: float) -> str:
    """A dash for what no difference of two shares can be."""
    return f"{100 * share:.1f}" if share <= 1 else "–"


def verdict(pairs: Pairs, *, margin: float = MARGIN, seed: int = 0) -> Verdict:
    """The verdict on one comparison.

    Args:
        pairs: Scores of both models on the same items.
        margin: The smallest difference that matters: no difference is only *shown* if one of this size would have been
            found; and for a guarded slice the loss that is still borne (``Verdict.not_worse``).
        seed: Of the bootstrap.

    Raises:
        ValueError: The columns of ``pairs`` differ in length, or ``margin`` is not positive.
    """
    return verdicts({"only": pairs}, margin=margin, seed=seed)["only"]


def verdicts(
    family: Mapping[str, Pairs], *, margin: float | Mapping[str, float] = MARGIN, seed: int = 0
) -> dict[str, Verdict]:
    """Verdicts on a family of comparisons that are reported together: p values are corrected by Holm's method.

    Args:
        family: Name of a comparison → its pairs.
        margin: As in ``verdict``, for all or for each by name.
        seed: Of the bootstrap.

    Raises:
        ValueError: As ``verdict``.
    """
    if not family:
        return {}
    found = {
        name: _uncorrected(pairs, margin[name] if isinstance(margin, Mapping) else margin, seed, len(family))
        for name, pairs in family.items()
    }
    adjusted = _holm([one.p_value for one in found.values()])
    return {
        name: _worded(replace(one, adjusted_p=float(p))) for (name, one), p in zip(found.items(), adjusted, strict=True)
    }


def _holm(p_values: Sequence[float]) -> Sequence[float]:
    from statsmodels.stats.multitest import multipletests

    if len(p_values) == 1:  # multipletests collects garbage on every call, which takes longer than all else here
        return p_values
    return list(multipletests(p_values, alpha=1 - CONFIDENCE, method="holm")[1])


def _worded(one: Verdict) -> Verdict:
    sure = one.adjusted_p <= 1 - CONFIDENCE
    if sure and one.difference.low > 0:
        return replace(one, word="better")
    if sure and one.difference.high < 0:
        return replace(one, word="worse")
    return replace(one, word="no difference shown" if one.adjusted_detectable <= one.margin else "underpowered")


def _uncorrected(pairs: Pairs, margin: float, seed: int, comparisons: int) -> Verdict:
    if margin <= 0:
        raise ValueError(f"margin must be positive, it is the smallest difference that matters; got {margin}")
    differences, clusters, seeds = _applicable(pairs)
    improved, regressed = int((differences > 0).sum()), int((differences < 0).sum())
    difference, parts = _estimate(differences, clusters, seeds, seed)
    p_value = _p_value(difference, parts)
    level = 1 - CONFIDENCE
    return Verdict(
        word="underpowered",
        difference=difference,
        p_value=p_value,
        adjusted_p=p_value,
        comparisons=comparisons,
        detectable=_detectable(difference, parts, level),
        adjusted_detectable=_detectable(difference, parts, level / comparisons),
        margin=margin,
        seeds=len(np.unique(seeds)),
        by_seed=tuple(float(differences[seeds == one].mean()) for one in np.unique(seeds)),
        improved=improved,
        regressed=regressed,
        mcnemar_p=_mcnemar(improved, regressed),
    )


def _applicable(pairs: Pairs) -> tuple[Floats, np.ndarray, np.ndarray]:
    """Differences that are numbers, with the codes of their conversations and seeds."""
    before, after = np.asarray(pairs.before, dtype=np.float64), np.asarray(pairs.after, dtype=np.float64)
    clusters = np.asarray(pairs.clusters)
    seeds = np.zeros(before.shape, dtype=int) if pairs.seeds is None else np.asarray(pairs.seeds)
    if not before.shape == after.shape == clusters.shape == seeds.shape:
        raise ValueError(
            f"{before.size} scores before, {after.size} after, {clusters.size} clusters and {seeds.size} seeds cannot "
            "be paired; judge both models on the same decision points"
        )
    applies = ~np.isnan(after - before)
    coded = [np.unique(labels[applies], return_inverse=True)[1].reshape(-1) for labels in (clusters, seeds)]
    return (after - before)[applies], coded[0], coded[1]


def seeded_interval(
    values: ArrayLike, clusters: Sequence[object] | ArrayLike, seeds: Sequence[object] | ArrayLike, *, seed: int = 0
) -> Interval:
    """Mean of scores (not differences) over items and training seeds, with an interval that counts both as chance."""
    scores = np.asarray(values, dtype=np.float64)
    applies = ~np.isnan(scores)
    labels, drawn = np.asarray(clusters)[applies], np.unique(np.asarray(seeds)[applies], return_inverse=True)[1]
    if len(np.unique(drawn)) < 2:
        return clustered_interval(scores[applies], labels, seed=seed)
    codes = np.unique(labels, return_inverse=True)[1].reshape(-1)
    found = _estimate(scores[applies], codes, drawn.reshape(-1), seed)[0]
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _estimate(
    differences: Floats, clusters: np.ndarray, seeds: np.ndarray, seed: int
) -> tuple[Interval, ErrorParts | None]:
    """Mean difference with its interval, and its error; None where nothing varied, or nothing is known of it."""
    one = clustered_interval(differences, clusters, seed=seed, signed=True)
    parts = robust_error(differences, clusters, seeds)
    drawn = max(1, len(np.unique(seeds)))
    one = replace(one, n=round(one.n / drawn))
    if parts is None or not parts.error > 0:
        return one, None
    if drawn < 2:
        return one, parts
    half = _quantile((1 + CONFIDENCE) / 2, parts.freedom) * parts.error
    # Never narrower than what the items alone say.
    low, high = min(one.low, one.mean - half), max(one.high, one.mean + half)
    return Interval(one.mean, low, high, one.n, one.clusters), parts


def robust_error(differences: Floats, clusters: np.ndarray, seeds: np.ndarray) -> ErrorParts | None:
    """The parts of the standard error of the mean difference, with its degrees of freedom.

    With one seed, clustered by conversation, with (conversations − 1) degrees of freedom. With several, clustered both
    ways (Cameron, Gelbach and Miller 2011), since another training run would have erred elsewhere; degrees of freedom
    by Satterthwaite from both parts, because few seeds say little about how much seeds vary. None below two clusters;
    zero where no conversation and no seed differs from another, whatever the regression leaves of rounding.
    """
    from statsmodels.regression.linear_model import OLS
    from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups

    drawn, seeded = len(np.unique(clusters)), len(np.unique(seeds))
    if drawn < 2:
        return None
    residuals = differences - differences.mean()
    if all(alike(np.bincount(labels, residuals).astype(np.float64)) for labels in (clusters, seeds)):
        return ErrorParts(0.0, drawn)
    fitted = OLS(differences, np.ones(len(differences))).fit()
    if seeded < 2:
        return ErrorParts(max(0.0, float(cov_cluster(fitted, clusters)[0, 0])), drawn)
    both, by_item, by_seed = (float(one[0, 0]) for one in cov_cluster_2groups(fitted, clusters, seeds))
    return ErrorParts(by_item, drawn, by_seed, both, seeded)


def _p_value(difference: Interval, parts: ErrorParts | None) -> float:
    from scipy.stats import binomtest, t

    if parts is not None:
        return float(2 * t.sf(abs(difference.mean) / parts.error, parts.freedom))
    if difference.clusters < 2 or abs(difference.mean) <= ROUNDING:
        return 1.0
    return float(binomtest(difference.clusters, difference.clusters).pvalue)  # all differ by the same: signs are left


def _detectable(difference: Interval, parts: ErrorParts | None, level: float) -> float:
    """From the error; where nothing varied, how large a difference could have gone unseen; infinite if nothing is."""
    if difference.clusters < 2:
        return math.inf
    if parts is None:
        return wilson_bounds(0.0, difference.clusters, 1 - level)[1]
    return detectable(parts, level)


def _quantile(share: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf(share, freedom))


def _mcnemar(improved: int, regressed: int) -> float:
    from statsmodels.stats.contingency_tables import mcnemar

    if not improved + regressed:
        return 1.0
    return float(mcnemar([[0, improved], [regressed, 0]], exact=True).pvalue)
