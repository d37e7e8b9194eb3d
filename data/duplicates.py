"""Which conversations to learn from resemble, or repeat, one that models are judged by.

Exact copies share their content hash. Near copies are found by MinHash (Broder 1997) with locality-sensitive hashing:
signatures are cut into bands, texts that agree in a whole band are compared, and those whose estimated Jaccard index of
three-word shingles reaches ``NEAR`` are near duplicates (the threshold Lee et al. 2022, arXiv 2107.06499, use).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from data.content import PERMUTATIONS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAR = 0.8
#: 25 bands of 5: a pair at 0.8 shares one with 99.99 % (1 - (1 - 0.8^5)^25), a pair at 0.4 with 23 %.
_BAND_ROWS = 5
_BANDS = PERMUTATIONS // _BAND_ROWS
#: Most texts one text is compared with per band; more share a band only where all are alike.
_COMPARED = 64
_MIXER = 0x9E3779B97F4A7C15


class Likeness(NamedTuple):
    """The most similar text of those one may not learn from."""

    learner: int
    """Row among those to learn from."""
    judged: int
    """Row among those to be judged by."""
    similarity: float
    """Estimated Jaccard index; 1.0 does not mean equal."""


def near_duplicates(learners: NDArray[np.uint32], judged: NDArray[np.uint32]) -> list[Likeness]:
    """For each row of ``learners`` that is near one of ``judged``, the nearest, the first of equals.

    Args:
        learners: Signatures (``data.content.signatures``), one row each.
        judged: Likewise.
    """
    import numpy as np

    if not len(learners) or not len(judged):
        return []
    best = np.full(len(learners), -1, dtype=np.int64)
    score = np.zeros(len(learners), dtype=np.float64)
    for band in range(_BANDS):
        columns = slice(band * _BAND_ROWS, (band + 1) * _BAND_ROWS)
        left, right = _pairs(_keys(learners[:, columns]), _keys(judged[:, columns]))
        for some in range(0, len(left), 65_536):
            a, b = left[some : some + 65_536], right[some : some + 65_536]
            _keep_best(best, score, a, b, (learners[a] == judged[b]).mean(axis=1))
    near = np.flatnonzero(score >= NEAR)
    return [Likeness(int(row), int(best[row]), float(score[row])) for row in near]


def _keys(band: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """One number per row of a band; equal rows, equal numbers."""
    import numpy as np

    keys = np.zeros(len(band), dtype=np.uint64)
    for column in range(band.shape[1]):
        keys = (keys ^ band[:, column]) * np.uint64(_MIXER)
    return keys


def _pairs(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ``left`` and ``right`` with equal keys, ``_COMPARED`` of ``right`` at most for each of ``left``."""
    import numpy as np

    order = np.argsort(right, kind="stable")
    ordered = right[order]
    start = np.searchsorted(ordered, left, side="left")
    number = np.minimum(np.searchsorted(ordered, left, side="right") - start, _COMPARED)
    rows = np.repeat(np.arange(len(left)), number)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
    return rows, order[np.repeat(start, number) + within]


def _keep_best(
    best: NDArray[np.int64],
    score: NDArray[np.float64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    similarity: NDArray[np.float64],
) -> None:
    """Remember for each of ``left`` the most similar of ``right``, of equals the one with the lowest row."""
    import numpy as np

    order = np.lexsort((right, -similarity, left))
    left, right, similarity = left[order], right[order], similarity[order]
    first = np.r_[True, left[1:] != left[:-1]]
    left, right, similarity = left[first], right[first], similarity[first]
    better = (similarity > score[left]) | ((similarity == score[left]) & (right < best[left]))
    best[left[better]] = right[better]
    score[left[better]] = similarity[better]
