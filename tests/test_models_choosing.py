"""Which weights a training keeps: by turn success on validation and, where that is the same, by exact calls."""

import pytest

from models.training.validation import better, standing


def test_standing_is_the_score_and_the_exact_calls_where_there_are_any() -> None:
    figures = {"validation/turn_success": 0.5, "validation/exact_call": 0.2, "validation/format_ok": 1.0}
    assert standing(figures, "turn_success") == {"turn_success": 0.5, "exact_call": 0.2}
    assert standing({"validation/pass_1": 0.25}, "pass_1") == {"pass_1": 0.25}


@pytest.mark.parametrize(
    ("reached", "replaces"),
    [
        ({"turn_success": 0.58, "exact_call": 0.0}, True),
        ({"turn_success": 0.57, "exact_call": 0.19}, True),
        ({"turn_success": 0.57, "exact_call": 0.18}, False),
        ({"turn_success": 0.57, "exact_call": 0.1}, False),
        ({"turn_success": 0.56, "exact_call": 0.9}, False),
    ],
)
def test_equal_scores_are_decided_by_exact_calls(reached: dict[str, float], replaces: bool) -> None:
    best = {"step": 25.0, "turn_success": 0.57, "exact_call": 0.18}
    assert better(reached, best) is replaces
    assert better(reached, None)


def test_a_mark_from_before_exact_calls_counted_loses_no_tie() -> None:
    best = {"step": 25.0, "turn_success": 0.57}
    assert not better({"turn_success": 0.57, "exact_call": 0.9}, best)
    assert better({"turn_success": 0.58, "exact_call": 0.0}, best)
