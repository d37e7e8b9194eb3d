"""Data that is not the model's own: refused for training, taken for judging, and thoughts borrowed for priming."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from data import profiles
from data.evaluations import read_evaluations
from data.ingest import ingest
from data.reporting import Silent
from data.settings import DataSettings
from models import tracking
from models.metric_log import MetricLog
from tasks.base_model import prepare_base_model
from tasks.comparison_datasets import OthersHeldOut, practised
from tasks.evaluation import evaluate
from tasks.ingest import dataset, require_trainable, trainable
from tasks.records import MissingUpstream, of_run
from tasks.training import train

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand-ins for the trainers and the evaluator, and no MLflow."""

    def away(uri: str) -> None:
        raise ConnectionError("not in this test")

    monkeypatch.setattr(tracking.store, "connect", away)
    stand_ins = SimpleNamespace(**runpy.run_path(str(FIXTURES / "stages.py")))
    stand_ins.install(monkeypatch)
    return stand_ins


@pytest.fixture
def versions() -> dict[str, str]:
    """Datasets of a trainable source and, newer, of one for evaluation only."""
    places = {"openai": FIXTURES / "openai" / "library.jsonl", "bfcl": FIXTURES / "bfcl"}
    return {
        name: ingest(DataSettings(source=name, path=place), Silent()).dataset_version for name, place in places.items()
    }


def test_training_takes_the_newest_dataset_that_may_be_trained_on(versions: dict[str, str]) -> None:
    assert dataset(None) == versions["bfcl"]
    assert trainable(None) == versions["openai"]
    assert trainable(None, "openai") == trainable(versions["openai"]) == versions["openai"]


def test_a_dataset_to_practise_on_holds_out_the_same_turns() -> None:
    versions = {
        (number, share): ingest(DataSettings(conversations=number, rename_tools=share), Silent()).dataset_version
        for number, share in ((40, 0.0), (40, 1.0), (60, 1.0))
    }
    judged = versions[40, 0.0]
    assert practised(versions[40, 1.0], judged) == versions[40, 1.0] != judged
    with pytest.raises(OthersHeldOut, match=f"{versions[60, 1.0]} has other conversations in validation and test"):
        practised(versions[60, 1.0], judged)
    with pytest.raises(MissingUpstream):
        practised("f" * 12, judged)


def test_a_dataset_for_evaluation_only_is_refused_with_the_way_out(versions: dict[str, str]) -> None:
    for ask in (lambda: trainable(None, "bfcl"), lambda: require_trainable(versions["bfcl"])):
        with pytest.raises(MissingUpstream, match=r"for evaluation only \(`apprentice evaluate --on bfcl`\)"):
            ask()


def test_no_trainer_is_started_on_it(versions: dict[str, str], stages: SimpleNamespace) -> None:
    settings = profiles.resolve("smoke")
    base = prepare_base_model.fn(settings, versions["bfcl"])
    for stage in ("sft", "primed", "grpo"):
        with pytest.raises(MissingUpstream, match="no train split"):
            train.fn(stage, settings, base)
    assert stages.calls == []


def test_a_model_is_judged_elsewhere_under_names_of_their_own(
    versions: dict[str, str], stages: SimpleNamespace
) -> None:
    sft = train.fn(
        "sft", profiles.resolve("smoke"), prepare_base_model.fn(profiles.resolve("smoke"), versions["openai"])
    )
    own = evaluate.fn(profiles.resolve("smoke"), sft)
    there = evaluate.fn(profiles.resolve("smoke", {"evaluation": {"dataset": versions["bfcl"]}}), sft)
    assert own != there
    assert set(read_evaluations(there)["dataset_version"]) == {versions["bfcl"]}
    assert set(read_evaluations(own)["dataset_version"]) == {versions["openai"]}
    assert any(
        name.startswith("eval_on_bfcl")
        for name in MetricLog(of_run(sft).model_place[0].parent / "metrics.jsonl").names()
    )
