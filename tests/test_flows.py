"""The flows in order, on stand-ins that take no time: what is handed on, reused, resumed and left behind."""

from __future__ import annotations

import importlib
import inspect
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from data import paths
from tasks.locks import Busy, hold
from tasks.records import MissingUpstream
from tasks.stage import Interrupted

STAND_INS = Path(__file__).parent / "fixtures" / "stages.py"
DEPLOYMENTS = yaml.safe_load((paths.PROJECT_ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.fixture(scope="module")
def api() -> Iterator[None]:
    """One temporary Prefect server for the module: it takes some ten seconds to start."""
    from prefect.testing.utilities import prefect_test_harness

    import flows  # noqa: F401 - prepares the environment before Prefect is imported

    with prefect_test_harness(server_startup_timeout=90):
        yield


@pytest.fixture
def stages(api: None, module_var: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stand-ins for trainers and evaluator; MLflow is real, its store shared by the tests of this module."""
    stand_ins = SimpleNamespace(**runpy.run_path(str(STAND_INS)))
    stand_ins.install(monkeypatch)
    return stand_ins


@pytest.mark.slow
def test_the_whole_job_runs_resumes_and_reuses(stages: SimpleNamespace, capsys: pytest.CaptureFixture[str]) -> None:
    from flows.pipeline import pipeline
    from models import tracking

    stages.trouble["grpo"] = "interrupted"
    with pytest.raises(Interrupted):
        pipeline(profile="smoke")
    made = pipeline(profile="smoke")
    out = capsys.readouterr().out
    assert made["dataset_version"] == "d" * 12
    assert f"sft: reused, run {made['sft']}" in out
    assert f"resuming run {made['grpo']} (interrupted)" in out
    assert "Results, with 95 % intervals" in out
    assert "apprentice query" in out
    assert [name for name, _ in stages.calls] == [
        *("sft", "primed", "grpo", "grpo"),
        *("evaluate base", "evaluate sft", "evaluate primed", "evaluate grpo"),
    ]

    client, experiment = tracking.store.connect(tracking.store.tracking_uri())
    runs = client.search_runs([experiment])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert sorted(run.data.tags["stage"] for run in runs) == ["base", "grpo", "pipeline", "primed", "sft"]
    whole = next(run for run in runs if run.data.tags["stage"] == "pipeline")
    children = [run for run in runs if run is not whole]
    assert {run.data.tags[tracking.PARENT_TAG] for run in children} == {whole.info.run_id}
    assert all("eval/seen/turn_success" in run.data.metrics for run in children)
    assert "| seen | grpo | yes |" in whole.data.tags["mlflow.note.content"]

    again = pipeline(profile="smoke")
    assert again == made
    assert len(stages.calls) == 8
    assert capsys.readouterr().out.count(": reused, run ") == 8


@pytest.mark.slow
def test_single_stages_start_from_the_latest_good(stages: SimpleNamespace) -> None:
    from flows.evaluate_model import evaluate_model
    from flows.prime_thinking import prime_thinking
    from flows.train_grpo import train_grpo
    from flows.train_sft import train_sft
    from tasks.records import of_run

    sft = train_sft(profile="smoke", seed=7)
    primed = prime_thinking(profile="smoke", seed=7)
    assert of_run(primed).start_run_id == sft
    plain = train_grpo(profile="smoke", start="sft", thinking=False, minutes=5)  # so with a deadline
    assert of_run(plain).start_run_id == sft
    assert not of_run(plain).thinking
    assert of_run(train_grpo(profile="smoke", start="base")).start_run_id == of_run(sft).start_run_id
    evaluate_model(profile="smoke", run_id=plain)
    assert stages.calls[-1] == ("evaluate grpo", plain)


@pytest.mark.slow
def test_a_model_goes_on_with_another_dataset(stages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    from data import snapshot
    from flows.prime_thinking import prime_thinking
    from flows.train_grpo import train_grpo
    from flows.train_sft import train_sft
    from tasks.held_out import ReadBefore
    from tasks.records import MissingUpstream, of_run

    held_out: list[str] = []
    monkeypatch.setattr(snapshot, "exists", lambda version: True)
    monkeypatch.setattr(snapshot, "read_conversations", lambda version, splits: held_out)
    sft = train_sft(profile="smoke", seed=8)
    primed = prime_thinking(profile="smoke", sft_run_id=sft, dataset_version="e" * 12)
    assert of_run(primed).dataset_version == "e" * 12
    own, named, other = (
        train_grpo(profile="smoke", start_run_id=primed, dataset_version=version)
        for version in (None, "e" * 12, "f" * 12)
    )
    assert own == named  # the start model's dataset, whether it is said or not
    with pytest.raises(MissingUpstream, match="is of stage primed, not sft: leave out either the stage or the run"):
        train_grpo(profile="smoke", start="sft", start_run_id=primed)
    assert of_run(other).dataset_version == "f" * 12
    assert of_run(other).start_run_id == primed
    monkeypatch.setattr("tasks.held_out.words_of", lambda said: ["hello"])
    held_out.append(SimpleNamespace(id="s/1"))  # type: ignore[arg-type]
    with pytest.raises(ReadBefore, match="s/1"):
        train_grpo(profile="smoke", start_run_id=primed, dataset_version="d" * 12)


@pytest.mark.slow
def test_a_model_challenges_the_champion_on_the_challenger_s_dataset(
    stages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from data.evaluation_set import SharedItem
    from data.schema import VALIDATION_SPLITS
    from flows.promote_model import promote_model
    from flows.train_grpo import train_grpo
    from flows.train_sft import train_sft
    from models import champions
    from tasks import promotion

    frozen = [SharedItem(f"{split}/{n}", split, "", "") for split in VALIDATION_SPLITS for n in range(6)]
    monkeypatch.setattr("data.evaluation_set.shared_items", lambda versions, splits: frozen)
    monkeypatch.setattr(promotion, "export", lambda run_id, name, target: paths.run(run_id) / "model")
    monkeypatch.setattr("tasks.promotion_scope.turns_of", lambda version, splits, conversations: 2 * conversations)
    monkeypatch.setattr(champions, "save_package", lambda export, target: target.mkdir())
    sft, grpo = train_sft(profile="smoke", seed=21), train_grpo(profile="smoke", start="base", seed=21)
    assert promote_model(profile="smoke", run_id=sft, name="flows")["outcome"] == "first"
    assert promote_model(profile="smoke", run_id=sft, name="flows")["outcome"] == "is champion"
    kept = promote_model(profile="smoke", run_id=grpo, name="flows")
    # Four right of six against two: a gain, on too few conversations to be shown.
    assert kept["outcome"] == "kept"
    assert kept["decision"]["headline"]["improved"] == 2
    assert kept["evaluations"]["champion"] != kept["evaluations"]["challenger"]
    assert promotion.champion_run("flows") == sft
    assert "version 1 stays champion of flows" in capsys.readouterr().out


@pytest.mark.slow
def test_errors_come_through_prefect_as_they_are(stages: SimpleNamespace) -> None:
    from flows.prime_thinking import prime_thinking
    from flows.train_sft import train_sft
    from models import tracking

    with pytest.raises(MissingUpstream, match="no stage has run id nonsense"):
        prime_thinking(profile="smoke", sft_run_id="nonsense")
    stages.trouble["sft"] = "fails"
    with pytest.raises(RuntimeError, match="sft fell over"):
        train_sft(profile="smoke", seed=11)
    client, experiment = tracking.store.connect(tracking.store.tracking_uri())
    assert len(client.search_runs([experiment], "attributes.status = 'FAILED'")) == 1
    with hold("training", "grpo"), pytest.raises(Busy, match="sft: the training lock is held by grpo"):
        train_sft(profile="smoke", seed=12)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["name"])
def test_deployments_name_flows_and_parameters_that_exist(deployment: dict) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    accepted = inspect.signature(flow.fn).parameters
    assert set(deployment["parameters"]) <= set(accepted)
    assert all(parameter.default is not inspect.Parameter.empty for parameter in accepted.values())
    assert deployment["concurrency_limit"]["limit"] == 1
    flow.validate_parameters(deployment["parameters"])


def test_every_flow_has_a_deployment_and_one_runs_by_itself() -> None:
    deployed = {each["entrypoint"].rpartition(".")[0].removeprefix("flows.") for each in DEPLOYMENTS}
    files = {file.stem for file in (paths.PROJECT_ROOT / "flows").glob("*.py") if "@flow(" in file.read_text()}
    assert deployed == files
    scheduled = [each for each in DEPLOYMENTS if each.get("schedules")]
    active = {each["name"]: each["schedules"][0]["active"] for each in scheduled}
    assert active == {"weekly": True, "compare": False}, "a comparison's nights begin when somebody wants them"
    assert all(each["schedules"][0]["timezone"] for each in scheduled)


def test_deploying_imports_no_torch() -> None:
    modules = sorted({each["entrypoint"].rpartition(".")[0] for each in DEPLOYMENTS})
    code = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'mlflow', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_each_flow_documents_its_form() -> None:
    for deployment in DEPLOYMENTS:
        module, _, name = deployment["entrypoint"].rpartition(".")
        schema = getattr(importlib.import_module(module), name).parameters
        described = {key: value.get("description") for key, value in schema.properties.items()}
        assert all(described.values()), f"{name}: {[key for key, text in described.items() if not text]}"


def test_serving_from_one_process_has_the_same_presets() -> None:
    from flows.serving import deployments

    served = {each.name: each for each in deployments()}
    assert {name: each.parameters for name, each in served.items()} == {
        each["name"]: each["parameters"] for each in DEPLOYMENTS
    }
    (schedule,) = served["weekly"].schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 22 * * 6", "Europe/Berlin")
    assert schedule.active
    assert [one.active for one in served["compare"].schedules] == [False]
    assert served["weekly"].concurrency_options.collision_strategy == "CANCEL_NEW"
    assert {each.concurrency_limit for each in served.values()} == {1}


def test_runs_of_one_process_wait_as_those_of_a_worker_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import prefect

    from flows import serving
    from tasks.locks import WAIT, waiting_seconds

    monkeypatch.setenv(WAIT, "")  # so that it is put back
    monkeypatch.delenv(WAIT)
    monkeypatch.setattr(prefect, "serve", lambda *given, **named: None)
    monkeypatch.setattr(serving, "deployments", list)
    serving.serve_all(1)
    assert waiting_seconds() == 12 * 60 * 60
