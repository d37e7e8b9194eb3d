"""AUC against counting pairs, and intervals that respect clusters."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.ranking import auc, auc_difference


def _by_counting(scores: list[float], good: list[bool]) -> float:
    rows = list(zip(scores, good, strict=True))
    pairs = [(better, worse) for better, one in rows if one for worse, other in rows if not other]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=12))
def test_auc_is_the_share_of_rightly_ordered_pairs(rows: list[tuple[int, bool]]) -> None:
    scores, good = [float(score) for score, _ in rows], [one for _, one in rows]
    found = auc(scores, good, list(range(len(rows)))).mean
    if all(good) or not any(good):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(_by_counting(scores, good))


def test_a_constant_has_no_rank_and_half_the_pairs() -> None:
    found = auc([1.0] * 40, [True, False] * 20, list(range(40)))
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)


def test_rows_that_hang_together_widen_the_interval() -> None:
    draw = random.Random(0)
    good = [draw.random() < 0.5 for _ in range(60)]
    scores = [draw.random() + 0.3 * one for one in good]
    alone = auc(scores, good, list(range(60)))
    copied = auc(scores * 5, good * 5, list(range(60)) * 5)
    pretended = auc(scores * 5, good * 5, list(range(300)))
    assert copied.mean == pytest.approx(alone.mean)
    assert copied.high - copied.low > 1.5 * (pretended.high - pretended.low)


def test_the_difference_of_a_score_and_itself_is_nothing() -> None:
    good = [True, False, True, False]
    found = auc_difference([3, 1, 2, 2], [3, 1, 2, 2], good, list("abcd"))
    assert (found.mean, found.low, found.high) == (0, 0, 0)
    better = auc_difference([1, 0] * 20, [0, 1] * 20, [True, False] * 20, list(range(40)))
    assert better.mean == 1.0
    assert better.low > 0.9


def test_sequences_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="pair up"):
        auc([1, 2], [True], ["a"])


def test_one_cluster_gives_no_bounds() -> None:
    found = auc([1, 0, 1], [True, False, True], ["a"] * 3)
    assert found.mean == 1.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)
