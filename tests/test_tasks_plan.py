"""What ``apprentice plan`` foretells is what a run then does, and it says why."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data import paths, profiles
from data.evaluations import files_of
from data.settings import Settings
from models import tracking
from tasks import locks, records
from tasks.base_model import prepare_base_model
from tasks.evaluation import evaluate
from tasks.plan import Step, plan
from tasks.selection import STAGES, Selection, SelectionError, forced, select
from tasks.training import train
from tasks.upstream import ancestry, handed_on, start_of, start_or_base

STAND_INS = Path(__file__).parent / "fixtures" / "stages.py"
VERSION = "d" * 12
WHOLE = Selection()


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand-ins for the trainers and the evaluator, and no MLflow."""

    def away(uri: str) -> None:
        raise ConnectionError("not in this test")

    monkeypatch.setattr(tracking.store, "connect", away)
    stand_ins = SimpleNamespace(**runpy.run_path(str(STAND_INS)))
    stand_ins.install(monkeypatch)
    return stand_ins


def smoke(**changes: Any) -> Settings:
    return profiles.resolve("smoke", changes)


def run_everything(settings: Settings) -> dict[str, str]:
    """The whole job as the flow does it, without Prefect."""
    base = prepare_base_model.fn(settings, VERSION)
    sft = train.fn("sft", settings, base)
    primed = train.fn("primed", settings, sft)
    grpo = train.fn("grpo", settings, primed)
    made = {"base": base, "sft": sft, "primed": primed, "grpo": grpo}
    for run_id in made.values():
        evaluate.fn(settings, run_id)
    return made


def told(steps: list[Step]) -> dict[str, str]:
    return {step.stage: step.does for step in steps}


def why(steps: list[Step], stage: str) -> str:
    return next(step.why for step in steps if step.stage == stage)


def test_nothing_done_everything_runs(stages: SimpleNamespace) -> None:
    steps = plan(smoke(), WHOLE, {})
    assert [step.does for step in steps[1:]] == ["runs"] * 8
    assert why(steps, "base") == "random:qwen3 has to be fetched"


def test_what_is_done_is_reused_and_a_changed_weight_is_named(stages: SimpleNamespace) -> None:
    made = run_everything(smoke())
    assert set(told(plan(smoke(), WHOLE, {})).values()) == {"reused"}
    steps = plan(smoke(grpo={"weights": {"format": 1.0}}), WHOLE, {})
    assert told(steps) == {
        **{"ingest": "reused", "base": "reused", "sft": "reused", "primed": "reused", "grpo": "runs"},
        **{f"evaluate {stage}": "reused" for stage in ("base", "sft", "primed")},
        "evaluate grpo": "runs",
    }
    assert why(steps, "grpo") == f"against run {made['grpo'][:8]}…: weights.format 0.5 → 1.0"
    assert next(step.seconds for step in steps if step.stage == "grpo") == 1.0
    before = len(stages.calls)
    run_everything(smoke(grpo={"weights": {"format": 1.0}}))
    assert [name for name, _ in stages.calls[before:]] == ["grpo", "evaluate grpo"]


def test_changed_code_names_the_files(stages: SimpleNamespace) -> None:
    run_everything(smoke())
    record = next(records.every("sft"))
    older = {"models/training/sft.py": "other", "models/gone.py": "x"}
    remembered = json.loads((paths.code_files() / f"{record.code}.json").read_text())
    (paths.code_files() / "older.json").write_text(json.dumps({**remembered, **older}))
    (paths.stages() / "sft" / f"{record.key}.json").unlink()
    records.save(record.model_copy(update={"code": "older", "key": "k"}))
    assert why(plan(smoke(), WHOLE, {}), "sft").endswith("code changed: models/gone.py, models/training/sft.py")


def test_changed_code_of_the_judge_names_the_files_also_where_no_episodes_are_played(stages: SimpleNamespace) -> None:
    made = prepare_base_model.fn(smoke(), VERSION)
    evaluate.fn(smoke(), made)
    (record,) = records.every("evaluation")
    changed_behind(record, {"models/evaluation/metrics.py": "other"})
    assert why(plan(smoke(), WHOLE, {}), "evaluate base").endswith("…: code changed: models/evaluation/metrics.py")
    # It never came of what plays episodes, so that has not changed either.
    steps = plan(smoke(evaluation=PLAYS), WHOLE, {})
    assert why(steps, "evaluate base").endswith("code changed: models/evaluation/metrics.py")
    assert "episodes.any_source False → True" in why(steps, "evaluate base")


def test_code_has_not_changed_where_episodes_are_only_added_or_left_out(
    stages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.evaluation._play", lambda *given: None)
    without, having = {"episodes": {**PLAYS["episodes"], "tasks": 0}}, PLAYS
    made = prepare_base_model.fn(smoke(), VERSION)
    for before, after, said in ((without, having, "0 → 1"), (having, without, "1 → 0")):
        evaluate.fn(smoke(evaluation=before), made)
        (record,) = records.every("evaluation")
        assert why(plan(smoke(evaluation=after), WHOLE, {}), "evaluate base") == (
            f"against run {made[:8]}…: episodes.tasks {said}"
        )
        (paths.stages() / "evaluation" / f"{record.key}.json").unlink()
    changed_behind(record, {"models/practice/play.py": "other"})
    said = why(plan(smoke(evaluation={"episodes": {**PLAYS["episodes"], "tasks": 2}}), WHOLE, {}), "evaluate base")
    assert said.endswith("…: episodes.tasks 1 → 2; code changed: models/practice/play.py")


PLAYS: dict[str, Any] = {"episodes": {"tasks": 1, "any_source": True}}


def changed_behind(record: records.Record, files: dict[str, str]) -> None:
    """Let the result have come of code in which these files were other ones."""
    remembered = json.loads((paths.code_files() / f"{record.code}.json").read_text())
    assert files.keys() <= remembered.keys()
    (paths.code_files() / "older.json").write_text(json.dumps({**remembered, **files}))
    (paths.stages() / record.stage / f"{record.key}.json").unlink(missing_ok=True)
    records.save(record.model_copy(update={"code": "older", "key": "k"}))


def test_force_interruption_and_damage_are_told_apart(stages: SimpleNamespace) -> None:
    made = run_everything(smoke())
    steps = plan(smoke(), select(force=["sft"]), {})
    assert why(steps, "sft") == f"forced, although run {made['sft'][:8]}… is there"
    assert told(steps)["primed"] == "runs"

    for file in files_of(next(records.every("evaluation")).outputs["evaluation_id"]):
        file.write_bytes(file.read_bytes()[:-4])
    damaged = [step for step in plan(smoke(), WHOLE, {}) if step.does != "reused"]
    assert [step.stage.split()[0] for step in damaged] == ["evaluate"]
    assert "gone or was changed" in damaged[0].why

    grpo = records.of_run(made["grpo"])
    records.save(grpo.model_copy(update={"status": "running", "lock": "training"}))
    assert why(plan(smoke(), WHOLE, {}), "grpo") == f"run {made['grpo'][:8]}… was killed"
    with locks.hold("training", "grpo"):
        assert "under way in another process" in why(plan(smoke(), WHOLE, {}), "grpo")
    (records.of_run(made["primed"]).model_place[0] / "model.safetensors").write_bytes(b"x")
    assert "gone or was changed" in why(plan(smoke(), WHOLE, {}), "primed")


def test_a_part_begins_with_the_latest_good_or_the_run_given(stages: SimpleNamespace) -> None:
    made = run_everything(smoke())
    other = run_everything(smoke(seed=5))
    assert handed_on(select("grpo"), "primed", None, None) == {
        "dataset_version": VERSION,
        **{stage: other[stage] for stage in ("base", "sft", "primed")},
    }
    assert handed_on(select("grpo"), "sft", made["sft"], None)["sft"] == made["sft"]
    assert handed_on(select(only="evaluate"), "primed", made["grpo"], None)["primed"] == made["primed"]
    assert handed_on(WHOLE, "primed", None, None) == {}
    with pytest.raises(
        records.MissingUpstream, match=r"is of stage sft, and grpo starts from primed.*--set grpo.start"
    ):
        handed_on(select("grpo"), "primed", made["sft"], None)
    with pytest.raises(records.MissingUpstream, match=r"is of stage base, and prime starts from sft: name a run of"):
        handed_on(select("prime"), "primed", made["base"], None)
    for first in (None, "sft"):
        with pytest.raises(SelectionError, match=r"--run .* names a model to begin with, and (ingest|sft) begins"):
            handed_on(select(first), "primed", made["sft"], None)
    # A stage by itself takes a run of the stage that it starts from; only GRPO may start from any.
    assert start_of("sft", made["sft"], None).run_id == made["sft"]
    with pytest.raises(records.MissingUpstream, match="is of stage grpo, and sft is what this starts from"):
        start_of("sft", made["grpo"], None)
    assert start_or_base("primed", made["sft"], None, smoke(), None).run_id == made["sft"]
    given = ancestry(records.of_run(made["primed"]))
    steps = plan(smoke(), select("grpo"), given)
    assert told(steps)["grpo"] == "reused"
    assert [step.does for step in steps[:4]] == ["given"] * 4


def test_stages_that_cannot_be_chosen_together() -> None:
    assert select().stages == STAGES
    assert select("prime").stages == ("prime", "grpo", "evaluate")
    assert select(only="grpo", force=["all"]).force == {"grpo"}
    with pytest.raises(SelectionError, match="exclude each other"):
        select("sft", "grpo")
    with pytest.raises(SelectionError, match="does not execute it, only evaluate"):
        select(only="evaluate", force=["sft"])
    with pytest.raises(SelectionError, match="choose among sft"):
        forced(["ingest"])
