"""Evaluation: numbers into the model's own run, every look at the test set noted, tables on common ground."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data import profiles
from data.paths import final_uses
from models import tracking
from models.metric_log import MetricLog
from tasks import results
from tasks.base_model import prepare_base_model
from tasks.evaluation import NothingToEvaluate, evaluate, rows_of
from tasks.records import MissingUpstream, of_run
from tasks.stage import Interrupted
from tasks.training import train

STAND_INS = Path(__file__).parent / "fixtures" / "stages.py"


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand-ins for the trainers and the evaluator, and no MLflow."""

    def away(uri: str) -> None:
        raise ConnectionError("not in this test")

    monkeypatch.setattr(tracking.store, "connect", away)
    stand_ins = SimpleNamespace(**runpy.run_path(str(STAND_INS)))
    stand_ins.install(monkeypatch)
    return stand_ins


def settings(**evaluation: Any):
    return profiles.resolve("smoke", {"evaluation": evaluation})


def trained(start: str | None = None) -> tuple[str, str, str]:
    base = prepare_base_model.fn(settings(), "d" * 12)
    sft = train.fn("sft", settings(), base)
    return base, sft, train.fn("primed", settings(), sft)


def test_training_hands_on_models_and_facts(stages: SimpleNamespace) -> None:
    base, sft, primed = trained()
    records = [of_run(run) for run in (base, sft, primed)]
    assert [record.thinking for record in records] == [False, False, True]
    assert [record.start_run_id for record in records] == [None, base, sft]
    assert {record.dataset_version for record in records} == {"d" * 12}
    assert records[1].outputs["counts"] == {"used": 3}
    assert (records[2].model_place[0] / "model.safetensors").read_bytes().endswith(b"sftprimed")
    assert trained() == (base, sft, primed)
    assert len(stages.calls) == 2


def test_an_interrupted_training_tells_how_to_go_on_and_resumes(stages: SimpleNamespace) -> None:
    base = prepare_base_model.fn(settings(), "d" * 12)
    stages.trouble["sft"] = "interrupted"
    with pytest.raises(Interrupted, match=r"step 1 of 2; the checkpoint is kept .* Run the same command again"):
        train.fn("sft", settings(), base)
    sft = train.fn("sft", settings(), base)
    assert stages.calls == [("sft", sft), ("sft", sft)]
    assert MetricLog(of_run(sft).model_place[0].parent / "metrics.jsonl").curve("train/loss")[0] == [1, 2]


def test_numbers_stand_under_the_same_names_in_the_models_own_run(stages: SimpleNamespace) -> None:
    base, sft, primed = trained()
    for run in (base, sft, primed):
        evaluate.fn(settings(), run)
    logs = [MetricLog(of_run(run).model_place[0].parent / "metrics.jsonl") for run in (sft, primed)]
    assert [log.curve("eval/seen/turn_success")[1] for log in logs] == [[2 / 6], [3 / 6]]


def test_the_other_mode_and_the_test_splits_have_names_of_their_own(stages: SimpleNamespace) -> None:
    _, sft, _ = trained()
    evaluate.fn(settings(thinking=True), sft)
    evaluate.fn(settings(final=True), sft)
    log = MetricLog(of_run(sft).model_place[0].parent / "metrics.jsonl")
    assert {name.partition("/")[0] for name in log.names()} >= {"eval_thinking", "final"}
    assert "eval/seen/turn_success" not in log.names()


def test_an_evaluation_is_reused_and_force_judges_again(stages: SimpleNamespace) -> None:
    _, sft, _ = trained()
    first = evaluate.fn(settings(), sft)
    assert evaluate.fn(settings(), sft) == first
    forced = evaluate.fn(settings(), sft, force=True)
    assert forced != first
    assert [call for call in stages.calls if call[0] == "evaluate sft"] == [("evaluate sft", sft)] * 2


def test_an_interrupted_evaluation_keeps_its_rows_and_goes_on(stages: SimpleNamespace) -> None:
    _, sft, _ = trained()
    stages.trouble["evaluate sft"] = "interrupted"
    with pytest.raises(Interrupted, match="after 4 of 12 decision points"):
        evaluate.fn(settings(), sft)
    assert len(rows_of(evaluate.fn(settings(), sft))) == 12


def test_empty_splits_are_a_clear_error(stages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    _, sft, _ = trained()
    empty = SimpleNamespace(rows=0, planned=0, seconds=0.0, stopped="finished")
    monkeypatch.setattr(sys.modules["models.evaluation.run"], "evaluate", lambda *given, **named: empty)
    with pytest.raises(NothingToEvaluate, match="no decision points in validation_seen, validation_unseen"):
        evaluate.fn(settings(), sft)


def test_on_another_dataset_the_conversations_of_ones_own_come_first(
    stages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.choices.source_of", lambda version: "sgd-x-v5")
    sft = trained()[1]
    evaluate.fn(settings(), sft)
    evaluate.fn(settings(dataset="e" * 12), sft)
    assert stages.alike_of == [("d" * 12, None), ("e" * 12, "d" * 12)]


def test_only_final_looks_at_test_and_each_use_is_noted(stages: SimpleNamespace) -> None:
    _, sft, _ = trained()
    assert set(rows_of(evaluate.fn(settings(), sft))["split"]) == {"validation_seen", "validation_unseen"}
    assert not final_uses().exists()
    for _ in range(2):
        judged = evaluate.fn(settings(final=True), sft)
    assert set(rows_of(judged)["split"]) == {"test_seen", "test_unseen", "test_mixed"}
    notes = [json.loads(line) for line in final_uses().read_text().splitlines()]
    assert [(note["run_id"], note["evaluation_id"]) for note in notes] == [(sft, judged)] * 2


def test_models_are_compared_on_the_points_all_reached(stages: SimpleNamespace) -> None:
    base, sft, _ = trained()
    whole = evaluate.fn(settings(), base)
    stages.trouble["evaluate sft"] = "interrupted"  # its rows: four of validation_seen, none unseen
    with pytest.raises(Interrupted):
        evaluate.fn(settings(), sft)
    part = next(path.name for path in final_uses().parent.joinpath("evaluations").iterdir() if path.name != whole)
    lines = results.compare([whole, part])
    assert [(line.where, line.model, line.n) for line in lines] == [("seen", "base", 4), ("seen", "sft", 4)]
    assert lines[1].intervals["turn_success"].mean == 0.5
    assert "| seen | sft | no | 50 % [" in results.markdown_table(lines)
    assert "Intervals are up to" in (results.caution(lines) or "")


def test_a_model_that_was_never_trained_is_missing(stages: SimpleNamespace) -> None:
    with pytest.raises(MissingUpstream, match="no stage has run id"):
        evaluate.fn(settings(), "f" * 32)
