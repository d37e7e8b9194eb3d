"""Which weights a training keeps: by turn success on validation and, where that is the same, by exact calls."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data.profiles import resolve
from models.training.job import TrainingJob
from models.training.loop import read_best
from models.training.validation import ValidationCallback, better, given_up, standing


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


def figures(success: float, call_right: float, no_call_right: float) -> dict[str, float]:
    told = {"turn_success": success, "exact_call": 0.4, "call_right": call_right, "no_call_right": no_call_right}
    return {f"validation/{name}": value for name, value in told.items()}


def test_weights_that_withhold_calls_or_call_everywhere_have_given_something_up() -> None:
    start = figures(0.65, 0.91, 0.96)
    assert given_up(figures(0.68, 0.66, 0.98), start, 0.05) == (
        "decides right on 66% of call turns and 98% of others, the start on 91% of call turns and 96% of others"
    )
    assert "97% of call turns and 75%" in given_up(figures(0.68, 0.97, 0.75), start, 0.05)
    assert given_up(figures(0.6, 0.82, 0.96), start, 0.05) == ""
    assert given_up(figures(0.68, 0.0, 0.0), start, 1.0) == ""
    assert given_up({"validation/pass_1": 0.5}, start, 0.0) == given_up(start, {}, 0.0) == ""


def test_a_start_that_never_calls_may_learn_to() -> None:
    assert given_up(figures(0.4, 0.8, 0.7), figures(0.2, 0.0, 1.0), 0.05) == ""


@pytest.mark.parametrize(("guard", "kept"), [(0.05, 40), (1.0, 20)])
def test_they_are_not_kept_also_where_the_run_was_resumed_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: float, kept: int
) -> None:
    reached = {0: figures(0.65, 0.91, 0.96), 20: figures(0.68, 0.66, 0.98), 40: figures(0.67, 0.91, 0.95)}
    said: list[str] = []
    monkeypatch.setattr("models.training.validation.refresh", lambda twin, model: None)
    monkeypatch.setattr("models.training.validation.save_weights", lambda model, directory: directory.mkdir())
    reporter: Any = SimpleNamespace(metrics=lambda values, step: None, say=said.append)
    (tmp_path / "checkpoints").mkdir()
    for step, its in reached.items():
        job = TrainingJob("run", "0" * 12, tmp_path, tmp_path, resolve("smoke", {"grpo": {"guard": guard}}))
        budget: Any = SimpleNamespace(reserve=0.0)
        again = ValidationCallback(job, [object()], None, None, reporter, budget)
        monkeypatch.setattr(again, "_figures", lambda step, its=its: its)
        again._validate(None, step)
    best = read_best(tmp_path / "checkpoints")
    assert best is not None
    assert best["step"] == kept
    assert any("step 20 are not kept" in line for line in said) == (guard < 1)
