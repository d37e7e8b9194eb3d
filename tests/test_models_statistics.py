"""Intervals, paired differences and the table of results, against closed forms and known coverage."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from models.evaluation.statistics import (
    clustered_error,
    clustered_interval,
    expanded_tail,
    minimum_detectable,
    paired_difference,
    relative_change,
    wilson_bounds,
)
from models.evaluation.table import METRICS, SUMMARY_COLUMNS, exposure, flat_metrics, summarise

RANDOM = np.random.default_rng(7)


def test_without_clustering_it_is_the_t_interval():
    values = RANDOM.normal(3, 2, size=400)
    interval = clustered_interval(values, np.arange(400))
    half = t.ppf(0.975, 399) * values.std(ddof=1) / math.sqrt(400)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert (interval.n, interval.clusters) == (400, 400)


def test_a_share_without_clustering_is_close_to_wilson():
    values = np.arange(300) < 210
    interval = clustered_interval(values, np.arange(300))
    wilson = binomtest(210, 300).proportion_ci(method="wilson")
    assert interval.low == pytest.approx(wilson.low, abs=0.01)
    assert interval.high == pytest.approx(wilson.high, abs=0.01)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 7), (1, 1)])
def test_wilson_bounds_equal_scipy(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson_bounds(hits / n, n) == pytest.approx((expected.low, expected.high))


def test_turns_that_repeat_each_other_add_no_certainty():
    values = RANDOM.random(100) < 0.6
    alone = clustered_interval(values, np.arange(100))
    repeated = clustered_interval(np.repeat(values, 10), np.repeat(np.arange(100), 10))
    naive = clustered_interval(np.repeat(values, 10), np.arange(1000))
    assert repeated.high - repeated.low == pytest.approx(alone.high - alone.low, rel=0.05)
    assert repeated.high - repeated.low > 2.5 * (naive.high - naive.low)
    assert (repeated.n, repeated.clusters) == (1000, 100)


@pytest.mark.parametrize(("clusters", "size"), [(8, 5), (40, 4)])
def test_intervals_cover_the_truth_about_as_often_as_they_say(clusters, size):
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(clusters), size)
    covered = 0
    for trial in range(150):
        values = np.repeat(random.normal(size=clusters), size) + random.normal(size=clusters * size)
        interval = clustered_interval(values, labels, seed=trial)
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 150 <= 0.99


def test_degenerate_cases():
    nothing = clustered_interval([], [])
    assert (nothing.n, nothing.clusters) == (0, 0)
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.low)
    assert clustered_interval([math.nan, math.nan], ["a", "b"]).n == 0
    perfect = clustered_interval([1.0] * 60, np.arange(60) // 2)
    assert (perfect.mean, perfect.high) == (1.0, 1.0)
    assert perfect.low == pytest.approx(wilson_bounds(1.0, 30)[0])
    assert 1 - 4 / 30 < perfect.low < 1 - 3 / 30
    single = clustered_interval([0, 1, 1, 1], ["a"] * 4)
    assert single.low < 0.3 < 0.9 < single.high


def test_values_that_do_not_apply_are_left_out():
    interval = clustered_interval([1.0, math.nan, 0.0, 1.0], ["a", "a", "b", "c"])
    assert (interval.mean, interval.n, interval.clusters) == (pytest.approx(2 / 3), 3, 3)
    with pytest.raises(ValueError, match="3 values but 2 cluster labels"):
        clustered_interval([1, 0, 1], ["a", "b"])


def test_the_same_input_gives_the_same_interval():
    values, labels = RANDOM.random(50), RANDOM.integers(0, 12, 50)
    assert clustered_interval(values, labels, seed=3) == clustered_interval(values, labels, seed=3)


def test_memory_stays_bounded_with_many_conversations():
    values = RANDOM.random(10_000)
    tracemalloc.start()
    clustered_interval(values, np.arange(10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_the_interval_holds_the_mean_and_stays_in_range(pairs):
    interval = clustered_interval([value for value, _ in pairs], [label for _, label in pairs])
    assert -1e-9 <= interval.low <= interval.mean + 1e-9
    assert interval.mean - 1e-9 <= interval.high <= 1 + 1e-9


def test_clustered_error_equals_the_closed_forms():
    values = RANDOM.normal(size=200)
    assert clustered_error(values, np.arange(200)) == pytest.approx(values.std(ddof=1) / math.sqrt(200))
    labels = np.repeat(np.arange(40), 5)
    means = values.reshape(40, 5).mean(axis=1)
    assert clustered_error(values, labels) == pytest.approx(means.std(ddof=1) / math.sqrt(40))
    assert math.isnan(clustered_error([1.0, 2.0], ["a", "a"]))


def test_paired_difference():
    a = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0] * 20, dtype=bool)
    b = np.array([1, 1, 0, 1, 1, 1, 0, 0, 0, 0] * 20, dtype=bool)
    found = paired_difference(a, b, np.arange(200))
    assert found.difference.mean == pytest.approx(0.2)
    assert found.difference.low > 0
    assert (found.only_a, found.only_b) == (20, 60)
    assert found.p_value == pytest.approx(binomtest(20, 80).pvalue)
    error = (b.astype(float) - a).std(ddof=1) / math.sqrt(200)
    assert found.minimum_detectable == pytest.approx((1.959964 + 0.841621) * error, rel=1e-5)


def test_paired_difference_of_equals_is_unsure_in_both_directions():
    found = paired_difference([1, 0, 1, 1], [1, 0, 1, 1], ["a", "b", "c", "d"])
    assert (found.difference.mean, found.p_value, found.only_a, found.only_b) == (0.0, 1.0, 0, 0)
    assert found.difference.low == -found.difference.high < 0
    assert found.minimum_detectable == 0.0


def test_paired_difference_skips_what_was_not_judged_and_refuses_the_unpaired():
    found = paired_difference([1, math.nan, 0], [1, 1, math.nan], ["a", "b", "c"])
    assert found.difference.n == 1
    assert paired_difference([], [], []).difference.n == 0
    assert math.isnan(minimum_detectable([], []))
    with pytest.raises(ValueError, match="2 values of a cannot be paired with 1 of b"):
        paired_difference([1, 0], [1], ["a", "b"])


@pytest.fixture
def frame() -> pd.DataFrame:
    call = {
        "kind": "call",
        "tool": "FindRoom",
        "tool_name_correct": True,
        "argument_names_correct": True,
        "argument_values": 1.0,
        "facts": None,
    }
    answer = {"kind": "answer", "tool": None, "tool_name_correct": None, "argument_names_correct": None}
    answer["argument_values"] = None
    rows = [
        {"split": "validation_seen", "turn_success": True, "exact_call": True, "decision_correct": True, **call},
        {"split": "validation_seen", "turn_success": False, "exact_call": False, "decision_correct": True, **call},
        {"split": "validation_unseen", "turn_success": False, "exact_call": None, "decision_correct": False}
        | {**answer, "facts": 0.0},
        {"split": "validation_unseen", "turn_success": True, "exact_call": None, "decision_correct": True}
        | {**answer, "facts": 1.0},
        {"split": "test_mixed", "turn_success": True, "exact_call": None, "decision_correct": True}
        | {**answer, "facts": None},
    ]
    return pd.DataFrame(
        [
            {"domain": "Rooms", "format_ok": True, "conversation_id": f"made/{i // 2}", **row}
            for i, row in enumerate(rows)
        ]
    )


def found(summary: pd.DataFrame, group: str, value: str, metric: str) -> pd.Series | None:
    rows = summary[(summary["group"] == group) & (summary["value"] == value) & (summary["metric"] == metric)]
    return rows.iloc[0] if len(rows) else None


def test_summary_by_group(frame):
    summary = summarise(frame)
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert set(summary["group"]) == {"all", "exposure", "split", "kind", "domain", "tool"}
    assert set(summary["metric"]) == set(METRICS)
    overall = found(summary, "all", "all", "turn_success")
    assert (overall["mean"], overall["n"], overall["clusters"]) == (pytest.approx(0.6), 5, 3)
    assert overall["low"] < 0.6 < overall["high"]
    assert found(summary, "split", "validation_seen", "exact_call")["mean"] == 0.5
    assert found(summary, "all", "all", "no_call_right")["mean"] == pytest.approx(2 / 3)
    assert found(summary, "all", "all", "call_right")["mean"] == 1.0
    assert found(summary, "all", "all", "facts")["n"] == 2
    assert found(summary, "tool", "FindRoom", "exact_call")["n"] == 2


def test_metrics_that_do_not_apply_have_no_row(frame):
    summary = summarise(frame)
    assert found(summary, "split", "validation_unseen", "exact_call") is None
    assert found(summary, "split", "test_mixed", "facts") is None
    assert not summary["mean"].isna().any()
    assert summarise(frame.iloc[:0]).empty


def test_flat_names(frame):
    flat = flat_metrics(summarise(frame))
    assert flat["eval/seen/turn_success"] == 0.5
    assert flat["eval/unseen/no_call_right"] == 0.5
    assert flat["eval/mixed/turn_success"] == 1.0
    assert flat["eval/all/turn_success"] == pytest.approx(0.6)
    assert all(type(value) is float and name.count("/") == 2 for name, value in flat.items())
    assert flat_metrics(summarise(frame.iloc[:0])) == {}


def test_exposure_joins_validation_and_test():
    assert [exposure(split) for split in ("validation_seen", "test_unseen", "test_mixed", "train")] == [
        "seen",
        "unseen",
        "mixed",
        "train",
    ]


@pytest.mark.parametrize("values", [[6.0, 6.0], [3.0], [1.5, 4.5, 3.0, 3.0]])
def test_a_count_that_does_not_vary_has_no_bounds_and_none_beside_its_mean(values):
    """Wilson's bounds are of shares; of six turns they said [2.05, 1.0]."""
    found = clustered_interval(values, np.arange(len(values)) // 2)
    assert (found.mean, math.isnan(found.low), math.isnan(found.high)) == (np.mean(values), True, True)


@pytest.mark.parametrize("clusters", [2, 5, 20, 400])
def test_few_clusters_widen_the_tails_as_hesterberg_has_it(clusters):
    """Student's t for the normal, and the bootstrap's variance that lacks C / (C - 1)."""
    wide = math.sqrt(clusters / (clusters - 1)) * t.ppf(0.975, clusters - 1)
    assert expanded_tail(clusters) == pytest.approx(norm.cdf(-wide))
    assert expanded_tail(clusters) < 0.025


def test_conversations_alike_have_the_bounds_of_as_many_equal_shares():
    mixed = clustered_interval([1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2])
    assert (mixed.low, mixed.high) == pytest.approx(wilson_bounds(0.5, 3))


@pytest.mark.parametrize("clusters", [2, 3])
def test_of_two_or_three_conversations_the_interval_is_students(clusters):
    """Resampled, two conversations can give no mean beyond the two of them: 3.7 % [0, 9] of 27 turns, one right."""
    values = np.r_[np.ones(3), np.zeros(5), np.tile(np.r_[np.ones(4), np.zeros(4)], clusters - 1)]
    homes = np.repeat(np.arange(clusters), 8)
    found, mean = clustered_interval(values, homes), values.mean()
    half = t.ppf(0.975, clusters - 1) * clustered_error(values, homes)
    assert (found.low, found.high) == pytest.approx((max(0.0, mean - half), min(1.0, mean + half)))
    gained = clustered_interval(values - 0.5, homes, signed=True)
    assert (gained.low, gained.high) == pytest.approx((max(-1.0, mean - 0.5 - half), min(1.0, mean - 0.5 + half)))
    counted = clustered_interval(values * 40, homes)
    assert (counted.low, counted.high) == pytest.approx((40 * (mean - half), 40 * (mean + half)))
    assert math.isnan(relative_change(np.ones(8 * clusters), values, homes).low)


@pytest.mark.parametrize("clusters", [2, 3, 4, 6])
def test_few_conversations_cover_the_truth_as_often_as_promised(clusters):
    random = np.random.default_rng(clusters)
    held = 0
    for _ in range(300):
        hard = np.clip(0.5 + random.normal(0, 0.15, clusters), 0, 1)
        found = clustered_interval(random.random(8 * clusters) < np.repeat(hard, 8), np.repeat(np.arange(clusters), 8))
        held += found.low <= 0.5 <= found.high
    assert held / 300 >= 0.92


def test_a_relative_change_has_the_interval_of_a_ratio_of_clustered_means():
    """Against the delta method (Cochran 1977, 6.3): the variance of sums of after − ratio · before, over before's."""
    random = np.random.default_rng(31)
    homes = np.repeat(np.arange(300), 4)
    hard = np.repeat(random.normal(0, 0.2, 300), 4)
    before, after = (random.random((2, 1200)) < np.array([0.6 + hard, 0.4 + hard])).astype(float)
    found = relative_change(before, after, homes)
    ratio = after.sum() / before.sum()
    sums = np.bincount(homes, after - ratio * before)
    error = math.sqrt(300 / 299 * float(sums @ sums)) / before.sum()
    assert found.mean == pytest.approx(ratio - 1)
    assert (found.low, found.high) == pytest.approx(
        (ratio - 1 - t.ppf(0.975, 299) * error, ratio - 1 + t.ppf(0.975, 299) * error), abs=0.15 * error
    )
    assert (found.n, found.clusters) == (1200, 300)


def test_a_relative_change_says_no_bounds_that_it_does_not_know():
    assert math.isnan(relative_change([0, 0], [1, 0], ["a", "b"]).mean)
    rare = relative_change([1, 0, 0], [0, 0, 1], ["a", "b", "c"])
    assert (rare.mean, math.isnan(rare.low)) == (0.0, True), "two of three conversations have nothing to lose"
    same = relative_change([1, 0, 1, 0], [1, 0, 1, 0], ["a", "a", "b", "b"])
    assert (same.mean, math.isnan(same.high)) == (0.0, True)
    alike = relative_change([1, 0, 1, 0] * 3, [1, 0, 1, 0] * 3, np.repeat(list("abcdef"), 2))
    assert (alike.mean, math.isnan(alike.high)) == (0.0, True)
    whole = relative_change(np.ones(6), [0, 0, 1, 1, 1, 1], list("abcdef"))
    assert whole.low < whole.mean < whole.high
    assert relative_change([1, math.nan, 1], [0.5, 1, math.nan], ["a", "b", "c"]).n == 1
    with pytest.raises(ValueError, match="2 values before"):
        relative_change([1, 0], [1], ["a", "b"])
