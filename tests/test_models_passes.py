"""pass^k against enumeration, and what is told of failures."""

from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.passes import causes, pass_hat_k, pass_interval, summarise_episodes


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.integers(1, 7))
def test_the_estimator_is_the_share_of_all_draws_of_k_trials_that_succeed(trials, k):
    if k > len(trials):
        with pytest.raises(ValueError, match="needs at least"):
            pass_hat_k(len(trials), sum(trials), k)
        return
    drawn = [all(some) for some in combinations(trials, k)]
    assert pass_hat_k(len(trials), sum(trials), k) == pytest.approx(sum(drawn) / len(drawn))


def rows(*tasks: tuple[str, str, str]) -> pd.DataFrame:
    """One row per letter: S for success, F for failure."""
    return pd.DataFrame(
        [
            {
                "task_id": task,
                "split": split,
                "domain": "bank",
                "success": letter == "S",
                "state_right": letter == "S",
                "facts": None if letter == "S" else 0.5,
                "breaches": [] if letter == "S" else ["unverified"],
                "turns": 4,
                "calls": 2,
                "call_errors": 0,
                "failed_turn": None if letter == "S" else 3,
                "cause": None if letter == "S" else "breach",
            }
            for task, split, letters in tasks
            for letter in letters
        ]
    )


def test_pass_k_averages_over_tasks_and_leaves_out_those_with_fewer_trials():
    episodes = rows(("a", "validation_seen", "SSSS"), ("b", "validation_seen", "SSFF"), ("c", "validation_seen", "S"))
    assert pass_interval(episodes, 1).mean == pytest.approx((1 + 0.5 + 1) / 3)
    two = pass_interval(episodes, 2)
    assert two.mean == pytest.approx((1 + 1 / 6) / 2)
    assert two.n == two.clusters == 2
    assert pass_interval(episodes, 4).mean == pytest.approx(0.5)


def test_the_summary_has_a_row_for_each_group_and_k_that_can_be_told():
    episodes = rows(("a", "validation_seen", "SF"), ("b", "validation_unseen", "FF"))
    table = summarise_episodes(episodes).set_index(["group", "value", "metric"])["mean"]
    assert table["exposure", "seen", "pass_1"] == 0.5
    assert table["exposure", "unseen", "pass_1"] == 0
    assert table["domain", "bank", "breach"] == 0.75
    assert table["all", "all", "facts"] == 0.5
    assert ("all", "all", "pass_3") not in table.index


def test_causes_are_counted_by_exposure():
    told = causes(rows(("a", "validation_seen", "SF"), ("b", "validation_unseen", "FF")))
    assert told.to_dict("records") == [
        {"value": "seen", "cause": "breach", "episodes": 1, "turn": 3.0, "share": 1.0},
        {"value": "unseen", "cause": "breach", "episodes": 2, "turn": 3.0, "share": 1.0},
    ]
    assert causes(rows(("a", "validation_seen", "S"))).empty
