"""Evaluation: numbers into the model's own run, every look at the test set noted, tables on common ground."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import profiles
from data.evaluations import files_of, note_seconds, seconds_spent
from data.paths import final_uses
from data.query import run_query
from models import tracking
from models.metric_log import MetricLog
from tasks import evaluation, export, records, results
from tasks.base_model import prepare_base_model
from tasks.doctor import stored_results
from tasks.evaluation import NothingToEvaluate, evaluate, rows_of
from tasks.judged import side_by_side
from tasks.records import MissingUpstream, of_run
from tasks.stage import Interrupted
from tasks.training import train
from tasks.weekly import facts

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


def forge(file: Path) -> None:
    """Other texts under the same verdicts, in a file that can be read."""
    table = pq.read_table(file)
    column = table.schema.get_field_index("text")
    forged = pa.array(["forged"] * table.num_rows)
    pq.write_table(table.set_column(column, table.schema.field(column), forged), file)


def tear(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


@pytest.mark.parametrize("damage", [forge, tear, Path.unlink])
def test_a_finished_evaluation_whose_files_were_changed_is_done_again_as_if_it_had_not_been(
    stages: SimpleNamespace, damage: Any
) -> None:
    _, sft, _ = trained()
    first = evaluate.fn(settings(), sft)
    note_seconds(first, 3600.0)
    (file,) = files_of(first)
    damage(file)
    second = evaluate.fn(settings(), sft)
    assert second != first
    assert seconds_spent(second) == 0
    assert rows_of(second)["text"].tolist() == [""] * 12
    assert [call for call in stages.calls if call[0] == "evaluate sft"] == [("evaluate sft", sft)] * 2
    (record,) = records.every("evaluation")
    assert (record.status, record.outputs["evaluation_id"], records.intact(record)) == ("done", second, True)
    assert evaluate.fn(settings(), sft) == second  # what was done again is reused
    # Nothing that reads all evaluations stumbles over what is left of the first, or takes it for the newer one.
    assert len(run_query("SELECT * FROM evaluations WHERE text = ''")) == 12
    assert [finding.state for finding in stored_results()] == ["good"]


def test_one_that_is_done_again_goes_on_under_its_own_id_when_stopped(stages: SimpleNamespace) -> None:
    _, sft, _ = trained()
    first = evaluate.fn(settings(), sft)
    forge(files_of(first)[0])
    stages.trouble["evaluate sft"] = "interrupted"
    with pytest.raises(Interrupted, match="after 4 of 12"):
        evaluate.fn(settings(), sft)
    (record,) = records.every("evaluation")  # nothing can be told of the first any more
    begun = record.outputs["evaluation_id"]
    assert (record.status, begun != first, len(rows_of(begun))) == ("interrupted", True, 4)
    assert evaluate.fn(settings(), sft) == begun
    assert len(files_of(begun)) == 2  # the four rows and the other eight


def test_force_that_is_stopped_leaves_the_finished_evaluation_to_those_who_tell_of_it(
    stages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sft, _ = trained()
    model = of_run(sft)
    first = evaluate.fn(settings(), sft)
    stages.trouble["evaluate sft"] = "interrupted"
    with pytest.raises(Interrupted):
        evaluate.fn(settings(), sft, force=True)
    told = {record.outputs["evaluation_id"]: record.status for record in records.every("evaluation")}
    (forced,) = told.keys() - {first}
    assert told == {first: "done", forced: "interrupted"}
    assert facts._newest_evaluations() == {sft: first}
    assert export.newest_evaluation(model).outputs["evaluation_id"] == first

    assert evaluate.fn(settings(), sft) == forced  # goes on
    told = [(record.outputs["evaluation_id"], record.status) for record in records.every("evaluation")]
    assert sorted(told) == [(first, "done"), (forced, "done")]
    assert facts._newest_evaluations() == {sft: forced}
    assert export.newest_evaluation(model).outputs["evaluation_id"] == forced
    assert evaluate.fn(settings(), sft) == forced
    assert [finding.says for finding in stored_results()] == ["5 finished stages are as they were left"]

    monkeypatch.setattr(evaluation, "now", lambda: "2126-01-01T00:00:01.000000+00:00")  # ids have a second's precision
    third = evaluate.fn(settings(), sft, force=True)
    assert {record.outputs["evaluation_id"] for record in records.every("evaluation")} == {first, forced, third}


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


@pytest.mark.parametrize("cut", [1, 40])
def test_a_torn_line_among_the_looks_at_test_is_told_and_costs_no_other(
    stages: SimpleNamespace, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    """Torn in its middle, or whole and without its end of line."""
    _, sft, _ = trained()
    evaluate.fn(settings(final=True), sft)
    kept = final_uses().read_bytes()
    final_uses().write_bytes((kept * 2)[:-cut])
    readable = 2 if cut == 1 else 1
    capsys.readouterr()
    assert len(evaluation.final_uses()) == readable
    assert ("line 2 cannot be read" in capsys.readouterr().err) is (cut == 40)
    judged = evaluate.fn(settings(final=True), sft)
    uses = evaluation.final_uses()
    assert [(use["run_id"], use["evaluation_id"]) for use in uses] == [(sft, judged)] * (readable + 1)
    assert final_uses().read_bytes().startswith((kept * 2)[:-cut] + b"\n{")


def test_what_is_no_look_at_all_among_them_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    final_uses().write_bytes(b'{"run_id": "a"}\n\x00\xff\x00\n7\n\n{"run_id": "b"}\n')
    assert [use["run_id"] for use in evaluation.final_uses()] == ["a", "b"]
    assert "lines 2, 3 cannot be read" in capsys.readouterr().err


def test_models_are_compared_on_the_points_all_reached(stages: SimpleNamespace) -> None:
    base, sft, _ = trained()
    whole = evaluate.fn(settings(), base)
    stages.trouble["evaluate sft"] = "interrupted"  # its rows: four of validation_seen, none unseen
    with pytest.raises(Interrupted):
        evaluate.fn(settings(), sft)
    part = next(path.name for path in final_uses().parent.joinpath("evaluations").iterdir() if path.name != whole)
    lines = results.compare(side_by_side([whole, part]))
    assert [(line.where, line.model, line.n) for line in lines] == [("seen", "base", 4), ("seen", "sft", 4)]
    assert lines[1].intervals["turn_success"].mean == 0.5
    assert "| seen | sft | no | 50 % [" in results.markdown_table(lines)
    assert "Intervals are up to" in (results.caution(lines) or "")


def test_a_model_that_was_never_trained_is_missing(stages: SimpleNamespace) -> None:
    with pytest.raises(MissingUpstream, match="no stage has run id"):
        evaluate.fn(settings(), "f" * 32)
