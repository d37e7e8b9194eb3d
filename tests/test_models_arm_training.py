"""The trainings that only a comparison makes: SFT that ends in time, SFT that goes on, SFT on the best rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data.decision_points import decision_points
from data.profiles import resolve
from data.reporting import Silent
from data.schema import Conversation
from models.base import fetch_base_model
from models.speech.template import completion_text
from models.training.job import TrainingJob
from models.training.rejection import best_completions
from models.training.sft import EmptySplit


@pytest.fixture(scope="module")
def base_model(_sheltered_session: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(_sheltered_session))
        return fetch_base_model("random:qwen3", Silent())


@pytest.fixture
def conversations(tiny_conversations: list[Conversation], monkeypatch: pytest.MonkeyPatch) -> list[Conversation]:
    """Training stages read these instead of a snapshot."""
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    read = lambda version, splits=None: tiny_conversations  # noqa: E731
    monkeypatch.setattr("models.training.sft.read_conversations", read)
    monkeypatch.setattr("models.training.early_stopping.read_decision_points", lambda version, splits: points[:3])
    monkeypatch.setattr(
        "models.training.rejection.read_points_by_id",
        lambda version, wanted: {point.id: point for point in points if point.id in wanted},
    )
    return tiny_conversations


def job(base_model: Path, run_dir: Path, **changes: Any) -> TrainingJob:
    run_dir.mkdir(parents=True, exist_ok=True)
    return TrainingJob(run_dir.name, "0" * 12, base_model, run_dir, resolve("smoke", {"device": "cpu", **changes}))


def test_sft_ends_once_validation_no_longer_improves(
    base_model: Path, conversations: list[Conversation], tmp_path: Path
) -> None:
    """The tiny model never gets a turn right, so its first weights stay the best."""
    from models.training.sft import train_sft

    sft = {"max_steps": 6, "validate_every": 1, "patience": 2, "validation_decision_points": 4}
    outcome = train_sft(job(base_model, tmp_path / "sft", sft=sft), Silent())
    assert (outcome.steps, outcome.planned_steps, outcome.stopped) == (3, 6, "finished")
    assert outcome.metrics == {"best_step": 1, "best_turn_success": 0.0, "best_exact_call": 0.0}


def test_sft_goes_on_in_another_order(base_model: Path, conversations: list[Conversation], tmp_path: Path) -> None:
    from models.training.continued import continue_sft

    small = {"max_steps": 1, "batch_size": 1, "warmup_steps": 0, "max_length": 4096, "learning_rate": 1e-2}
    outcome = continue_sft(job(base_model, tmp_path / "more", continued=small), Silent())
    assert outcome.steps == 1
    assert (outcome.model_dir / "model.safetensors").read_bytes() != (base_model / "model.safetensors").read_bytes()


def rollout(point: str, index: int, reward: float, **changes: Any) -> dict[str, Any]:
    made = {"decision_point_id": point, "completion_index": index, "reward": reward, "text": f"{point} {index}"}
    return {**made, "parse_status": "ok", "passed": False, "completion_tokens": 10, "thinking": False, **changes}


def test_the_best_of_each_group_is_learned_if_there_is_anything_to_learn() -> None:
    rows = [
        rollout("a#1", 0, 0.2),
        rollout("a#1", 1, 0.9, completion_tokens=30),
        rollout("a#1", 2, 0.9, completion_tokens=20),
        rollout("b#1", 0, 0.5),
        rollout("b#1", 1, 0.5),  # nothing is above the mean, nothing solved
        rollout("c#1", 0, 2.0, passed=True),
        rollout("c#1", 1, 2.0, passed=True, completion_tokens=5),  # all solved
        rollout("d#1", 0, 0.1),
        rollout("d#1", 1, 0.8, parse_status="malformed_call"),  # the best cannot be read
    ]
    assert best_completions(pd.DataFrame(rows))["text"].tolist() == ["a#1 2", "c#1 1"]


def test_chosen_completions_are_trained_on_and_none_says_so(
    base_model: Path, conversations: list[Conversation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.training.rejection import train_on_best

    points = [point for conversation in conversations for point in decision_points(conversation)][:4]
    rows = [
        rollout(point.id, 0, 1.0, passed=True, text=completion_text(point.expected, "I know."), thinking=True)
        for point in points
    ]
    monkeypatch.setattr("models.training.rejection.read_rollouts", lambda run: pd.DataFrame(rows))
    small = {"batch_size": 2, "warmup_steps": 0, "max_length": 4096, "epochs": 1, "rollouts_of": "g"}
    outcome = train_on_best(job(base_model, tmp_path / "best", rejection=small), Silent())
    assert (outcome.steps, outcome.counts["used"]) == (2, 4)
    failed = pd.DataFrame(rows).assign(passed=False)
    monkeypatch.setattr("models.training.rejection.read_rollouts", lambda run: failed)
    with pytest.raises(EmptySplit, match="solved nothing"):
        train_on_best(job(base_model, tmp_path / "none", rejection=small), Silent())
