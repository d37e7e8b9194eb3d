"""A step that fails costs what needs it and nothing else, and what cannot be done here is left as it is."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data import paths
from data.arms import chosen_arms
from data.profiles import resolve
from flows import compare_arms
from tasks import comparison, comparison_lost, comparison_steps, evaluation, records, training
from tasks.comparison import State, Step, opened, steps
from tasks.locks import Busy
from tasks.slices import SliceOver

COMPARISONS = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "fixtures" / "comparisons.py")))
VERSION, stand_ins = COMPARISONS.VERSION, COMPARISONS.stand_ins


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch) -> None:
    COMPARISONS.without_a_dataset(monkeypatch)
    monkeypatch.setattr("tasks.comparison_pages.plots", lambda *one, **other: None)
    monkeypatch.setattr(compare_arms, "whole", lambda version: version)
    monkeypatch.setattr(compare_arms, "elsewhere", dict)


def call(**how: Any) -> str:
    asked = {"preset": "minimum", "profile": "smoke", "dataset_version": VERSION, "seeds": 1, **how}
    return str(compare_arms.compare_arms.fn(**asked))


def there() -> State:
    found = comparison.newest()
    assert found is not None
    return found


def left(state: State) -> list[str]:
    return [step.key for step in comparison.left(state)]


def test_arms_that_do_not_need_the_failed_one_are_made_before_the_call_fails(stand_ins: SimpleNamespace) -> None:
    stand_ins.trouble["grpo"] = "fails"  # the first of them: with thinking, since another arm needs its clock
    with pytest.raises(RuntimeError, match=r"grpo-thinking/0/train failed .*grpo fell over"):
        call()
    made = there()
    # SFT that goes on would get another time than GRPO's, and keep it for ever.
    assert {key.split("/")[0] for key in left(made)} == {"grpo-thinking", "sft-continued"}
    assert "| 7 |" in (made.directory / "results.md").read_text()
    assert call() == made.id
    assert left(there()) == []


def test_what_is_judged_otherwise_waits_for_the_judgement_that_it_needs(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = evaluation.evaluate

    def evaluate(settings: Any, run: str) -> str:
        if records.of_run(run).stage == "grpo" and settings.evaluation.thoughts == "own":
            raise ZeroDivisionError("once")
        return judge(settings, run)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    with pytest.raises(RuntimeError, match="grpo-thinking/0/judge failed"):
        call(preset="paper-table", arms=("thoughts-shuffled",))
    assert {"thoughts-shuffled/0/judge", "grpo-from-base/0/judge"} <= set(left(there()))
    assert "grpo-from-base/0/train" in there().done


@pytest.mark.parametrize("error", [Busy("another holds it"), OSError(28, "No space left on device")])
def test_what_every_arm_would_meet_ends_the_call_at_once(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real = training.train

    def train(stage: str, *one: Any, **other: Any) -> str:
        if stage == "primed":
            raise error
        return str(real(stage, *one, **other))  # type: ignore[arg-type]

    monkeypatch.setattr(training, "train", train)
    with pytest.raises(type(error)):
        call()
    assert "grpo-plain/0/train" not in there().done
    assert "| 3 |" in (there().directory / "results.md").read_text()


def test_the_end_of_a_slice_does_not_hide_a_failure(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a loop of slices would begin the training that fails again and again."""
    stand_ins.trouble["primed"] = "fails"
    real = comparison_steps.do

    def do(state: State, step: Step) -> None:
        if step.arm == "grpo-plain":
            raise SliceOver("over")
        real(state, step)

    monkeypatch.setattr(comparison_steps, "do", do)
    with pytest.raises(RuntimeError, match="primed/0/train failed"):
        call()


def test_a_page_that_cannot_be_written_does_not_hide_what_failed(
    stand_ins: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def report(*one: Any, **other: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compare_arms, "report", report)
    stand_ins.trouble["sft"] = "fails"
    with pytest.raises(RuntimeError, match="sft fell over"):
        call()


def test_a_judgement_of_a_model_that_is_not_here_stays_done(stand_ins: SimpleNamespace) -> None:
    made = opened("minimum", chosen_arms("minimum", ("sft",)), range(1), resolve("smoke", {}), VERSION, {}, None)
    for step in steps(made):
        comparison_steps.do(made, step)
    model = records.of_run(str(made.result(Step("sft", 0, "train")))).model_dir
    assert model is not None
    shutil.rmtree(model)
    for arm in ("sft", "base"):
        shutil.rmtree(paths.evaluations() / str(made.result(Step(arm, 0, "judge"))))
    comparison_lost.judge_again(made)
    assert left(made) == ["base/0/judge"]
    comparison_lost.make_again(made)  # as --again asks
    assert {key.split("/")[0] for key in left(made)} == {"sft", "base"}
