"""A training leaves an average of its weights, the same whether it was interrupted or not."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from data.decision_points import decision_points
from data.profiles import resolve
from data.reporting import Silent
from data.schema import Conversation
from models.base import fetch_base_model
from models.training.averaging import FILE, WeightAverage, exponent
from models.training.job import TrainingJob, TrainingOutcome

Weights = dict[str, torch.Tensor]
WIDTH = 0.2


@pytest.fixture(scope="module")
def base_model(_sheltered_session: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


@pytest.fixture(autouse=True)
def conversations(tiny_conversations: list[Conversation], monkeypatch: pytest.MonkeyPatch) -> None:
    """Training stages read these instead of a snapshot."""
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    read = lambda version, splits=None: tiny_conversations * 3  # noqa: E731
    monkeypatch.setattr("models.training.sft.read_conversations", read)
    monkeypatch.setattr("models.training.early_stopping.read_decision_points", lambda version, splits: points[:3])
    for module in ("priming", "grpo"):
        monkeypatch.setattr(f"models.training.{module}.read_decision_points", lambda version, splits: points)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[Weights]:
    """What the trained weights were after each step, as the average sees them."""
    seen: list[Weights] = []
    take_in = WeightAverage.on_optimizer_step

    def noted(self: WeightAverage, *given: Any, **named: Any) -> None:
        take_in(self, *given, **named)
        seen.append({name: one.detach().clone() for name, one in named["model"].named_parameters()})

    monkeypatch.setattr(WeightAverage, "on_optimizer_step", noted)
    return seen


class StopAfter(Silent):
    """Asks for an end after the first step; it is heeded at the end of the second."""

    def metrics(self, values: Any, step: int) -> None:
        if step == 1 and "train/loss" in values:
            os.kill(os.getpid(), signal.SIGTERM)


def trained(base_model: Path, run_dir: Path, *, stop: bool = False, **sft: Any) -> TrainingOutcome:
    from models.training.sft import train_sft

    return train_sft(job(base_model, run_dir, "sft", **sft), StopAfter() if stop else Silent())


def job(base_model: Path, run_dir: Path, section: str, **changes: Any) -> TrainingJob:
    run_dir.mkdir(exist_ok=True)
    stage = {"max_steps": 4, "learning_rate": 1e-2, "averaging": WIDTH, **changes}
    return TrainingJob(run_dir.name, "0" * 12, base_model, run_dir, resolve("smoke", {"device": "cpu", section: stage}))


def weights(outcome: TrainingOutcome) -> Weights:
    return load_file(outcome.model_dir / "model.safetensors")


def judging(monkeypatch: pytest.MonkeyPatch, module: str, score: Callable[[int], float]) -> list[Weights]:
    """The weights that each validation is shown; it scores them by how many there were."""
    judged: list[Weights] = []

    def figures(job: TrainingJob, step: int, twin: Any, *given: Any, **named: Any) -> dict[str, float]:
        judged.append({name: one.float().clone() for name, one in twin.named_parameters()})
        return {"validation/turn_success": score(len(judged))}

    monkeypatch.setattr(f"models.training.{module}.validate", figures)
    return judged


def by_hand(steps: list[Weights], width: float = WIDTH) -> Weights:
    """The average from its definition, in float64: what each step keeps of those before it."""
    average = {name: values.double() for name, values in steps[0].items()}
    for step, now in enumerate(steps[1:], start=2):
        kept = (1 - 1 / step) ** (exponent(width) + 1)
        average = {name: kept * average[name] + (1 - kept) * values.double() for name, values in now.items()}
    return average


@pytest.mark.parametrize(("width", "gamma"), [(0.05, 16.97), (0.1, 6.94)])
def test_exponents_are_those_of_the_paper(width: float, gamma: float) -> None:
    assert exponent(width) == pytest.approx(gamma, abs=0.01)
    share = (exponent(width) + 1) / ((exponent(width) + 2) ** 2 * (exponent(width) + 3))
    assert share**0.5 == pytest.approx(width)


def test_no_average_is_wider_than_that_of_all_steps_alike() -> None:
    assert exponent(0.2886) == pytest.approx(0, abs=0.01)
    with pytest.raises(ValueError, match=r"below 0\.288"):
        exponent(0.3)


def test_steps_count_as_a_power_of_their_number() -> None:
    """Over a long run; the first steps of a short one are rounder."""
    average = WeightAverage(0.1)
    layer = torch.nn.Linear(1, 1, bias=False)
    seen = 400
    from transformers import TrainerControl, TrainerState, TrainingArguments

    arguments, state, control = TrainingArguments(use_cpu=True), TrainerState(), TrainerControl()
    average.on_train_begin(arguments, state, control, model=layer)
    for step in range(seen):
        layer.weight.data.fill_(float(step + 1 > seen // 2))
        state.global_step = step
        average.on_optimizer_step(arguments, state, control)
    with average.shown():
        assert layer.weight.item() == pytest.approx(1 - 0.5 ** (exponent(0.1) + 1), abs=1e-3)
    assert layer.weight.item() == 1.0


def test_the_model_left_has_the_average_of_all_steps(base_model: Path, tmp_path: Path, passed: list[Weights]) -> None:
    left = weights(trained(base_model, tmp_path / "averaged"))
    assert len(passed) == 4
    expected = by_hand(passed)
    for name, values in expected.items():
        assert torch.allclose(left[name].double(), values, atol=1e-6), name
    assert any(not torch.allclose(left[name], passed[-1][name], atol=1e-4) for name in expected)


def test_without_averaging_the_last_weights_are_left(base_model: Path, tmp_path: Path, passed: list[Weights]) -> None:
    """The average only watches: the steps are the same with it."""
    trained(base_model, tmp_path / "averaged")
    last = weights(trained(base_model, tmp_path / "plain", averaging=None))
    assert len(passed) == 4
    assert all(torch.equal(last[name], values) for name, values in passed[-1].items())


@pytest.mark.parametrize("more", [{}, {"lora_rank": 2}], ids=["whole", "lora"])
def test_interrupted_and_resumed_the_average_is_the_same_bit_for_bit(
    base_model: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    straight = trained(base_model, tmp_path / "straight", **more)
    cut = trained(base_model, tmp_path / "cut", stop=True, **more)
    assert (cut.stopped, cut.steps) == ("interrupted", 2)
    (checkpoint,) = (tmp_path / "cut" / "checkpoints").glob("checkpoint-2")
    assert f'"{FILE}"' in (checkpoint / "sealed.json").read_text(encoding="utf-8")
    kept = load_file(checkpoint / FILE)
    assert all("lora" in name for name in kept) == bool(more)
    resumed = trained(base_model, tmp_path / "cut", **more)
    ours, theirs = weights(resumed), weights(straight)
    assert (resumed.steps, ours.keys()) == (4, theirs.keys())
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    start = load_file(base_model / "model.safetensors")
    assert any(not torch.equal(theirs[name], start[name]) for name in start)


def test_validation_judges_and_keeps_the_average(
    base_model: Path, tmp_path: Path, passed: list[Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = judging(monkeypatch, "early_stopping", lambda seen: float(seen == 2))
    left = weights(trained(base_model, tmp_path / "validated", validate_every=1, averaging=0.1))
    assert len(judged) == len(passed) == 4
    for step in range(4):
        expected = by_hand(passed[: step + 1], 0.1)
        assert all(torch.allclose(judged[step][name].double(), expected[name], atol=1e-2) for name in judged[step])
    best = by_hand(passed[:2], 0.1)
    assert all(torch.allclose(left[name].double(), values, atol=1e-6) for name, values in best.items())


def test_priming_leaves_the_average_as_well(base_model: Path, tmp_path: Path, passed: list[Weights]) -> None:
    from models.training.priming import prime_thinking

    left = weights(prime_thinking(job(base_model, tmp_path / "primed", "prime"), Silent()))
    assert len(passed) == 4
    assert all(torch.allclose(left[name].double(), values, atol=1e-6) for name, values in by_hand(passed).items())


def test_grpo_validates_and_keeps_the_average_and_samples_from_its_own_weights(
    base_model: Path, tmp_path: Path, passed: list[Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    from data.rollouts import read_rollouts
    from models.training.grpo import train_grpo

    judged = judging(monkeypatch, "validation", float)
    monkeypatch.setattr("models.training.scoring.BatchScorer._score", pay_every_other)
    left = weights(train_grpo(job(base_model, tmp_path / "averaged", "grpo", validate_every=1), Silent()))
    assert (len(judged), len(passed)) == (5, 4)  # the start as it is, then the average after each step
    start = load_file(base_model / "model.safetensors")
    for step, shown in enumerate(judged):
        expected = by_hand(passed[:step]) if step else {name: one.double() for name, one in start.items()}
        assert all(torch.allclose(shown[name].double(), expected[name], atol=1e-2) for name in shown)
    assert all(torch.allclose(left[name].double(), values, atol=1e-6) for name, values in by_hand(passed).items())
    assert any(not torch.allclose(left[name], passed[-1][name], atol=1e-4) for name in left)

    train_grpo(job(base_model, tmp_path / "plain", "grpo", validate_every=1, averaging=None), Silent())
    assert read_rollouts("plain")["text"].tolist() == read_rollouts("averaged")["text"].tolist()


def pay_every_other(self: Any, completions: list[str], ids: list[str]) -> None:
    """A reward that differs within every group, as a random model never earns one by itself."""
    from models.rewards.compose import RewardParts, Scored
    from models.speech.parsing import parse_completion
    from models.training.scoring import Judged

    self.batch = [
        Judged(
            self.points[identifier],
            text,
            Scored(parse_completion(text, thinking=True, tools=()), RewardParts(float(index % 2), 0.0, None)),
        )
        for index, (identifier, text) in enumerate(zip(ids, completions, strict=True))
    ]
