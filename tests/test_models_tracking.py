"""Runs in MLflow: created, resumed, always ended, and never in the way of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data import paths
from models import tracking
from models.metric_log import MetricLog
from models.tracking import StageRun, stage_run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite store for the module: creating it takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        tracking._connect(uri)
    return uri


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return tracking._connect(store)[0]


def test_a_run_is_created_with_its_facts_and_finishes(client) -> None:
    with stage_run(
        "sft", name="sft one", parent_run_id="f" * 32, tags={"dataset_version": "d1"}, params={"lr": 0.1}
    ) as run:
        run.log_metrics({"train/loss": 2.0}, 1)
        run.log_metrics({"train/loss": 1.0}, 2)
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "sft one"
    assert stored.data.params == {"lr": "0.1"}
    assert stored.data.tags["stage"] == "sft"
    assert stored.data.tags["dataset_version"] == "d1"
    assert stored.data.tags[tracking.PARENT_TAG] == "f" * 32
    assert stored.data.tags["git_commit"]
    assert [(m.step, m.value) for m in client.get_metric_history(run.run_id, "train/loss")] == [(1, 2.0), (2, 1.0)]


def test_a_failing_run_ends_failed_and_an_interrupted_one_killed(client) -> None:
    with pytest.raises(ZeroDivisionError), stage_run("sft", name="fails") as failed:
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), stage_run("sft", name="stops") as stopped:
        raise KeyboardInterrupt
    assert client.get_run(failed.run_id).info.status == "FAILED"
    assert client.get_run(stopped.run_id).info.status == "KILLED"


def test_a_resumed_run_continues_its_curve_and_repeats_no_step(client) -> None:
    def stopped_after_three_steps(run: StageRun) -> None:
        for step in (1, 2, 3):
            run.log_metrics({"train/reward": step / 10}, step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), stage_run("grpo", name="grpo", params={"lr": 1}) as first:
        stopped_after_three_steps(first)
    with stage_run("grpo", name="grpo", run_id=first.run_id, params={"lr": 2}) as second:
        for step in (3, 4):  # step 3 came after the last checkpoint, so it is done again
            second.log_metrics({"train/reward": step / 10}, step)
    history = client.get_metric_history(first.run_id, "train/reward")
    assert [point.step for point in history] == [1, 2, 3, 4]
    stored = client.get_run(first.run_id)
    assert second.run_id == first.run_id
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"lr": "1"}
    assert stored.data.tags["changed.lr"] == "2"


def test_what_a_store_missed_is_sent_when_it_is_back(client, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    connect = tracking._connect
    with stage_run("sft", name="away", say=said.append) as run:
        run.log_metrics({"train/loss": 3.0}, 1)

        def away(uri: str):
            raise ConnectionError("connection refused")

        monkeypatch.setattr(tracking, "_connect", away)
        run.log_metrics({"train/loss": 2.0}, 2)
        run.log_metrics({"train/loss": 1.0}, 3)
        assert len(client.get_metric_history(run.run_id, "train/loss")) == 1
        monkeypatch.setattr(tracking, "_connect", connect)
    assert [point.step for point in client.get_metric_history(run.run_id, "train/loss")] == [1, 2, 3]
    assert client.get_run(run.run_id).info.status == "FINISHED"
    assert len(said) == 1
    assert "connection refused" in said[0]
    assert "metrics.jsonl" in said[0]


def test_without_a_store_the_run_has_an_id_and_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_connect", lambda uri: (_ for _ in ()).throw(OSError("no such host")))
    said: list[str] = []
    with stage_run("sft", name="alone", say=said.append) as run:
        run.log_metrics({"train/loss": 1.5}, 1)
        run.log_curves()
        run.register_model("sft", Path("model"), {})
    assert len(run.run_id) == 32
    rows = [json.loads(line) for line in (paths.run(run.run_id) / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["values"]) for row in rows] == [(1, {"train/loss": 1.5})]
    assert (paths.run(run.run_id) / "loss.png").stat().st_size > 1000
    assert len(said) == 1


def test_a_run_begun_and_ended_while_the_store_was_away_is_told_later(client, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = tracking._connect
    monkeypatch.setattr(tracking, "_connect", lambda uri: (_ for _ in ()).throw(ConnectionError("refused")))
    with (
        stage_run("pipeline", name="whole") as whole,
        stage_run("grpo", name="unheard", parent_run_id=whole.run_id, tags={"a": "b"}, params={"lr": 1}) as run,
    ):
        ours = run.run_id
        for step in (1, 2):
            run.log_metrics({"train/loss": 1.0 / step}, step)
        run.log_curves()
        run.log_text("{}", "settings.json")
        run.register_model("grpo", Path("model"), {"sha256": "abc"})
        run.tag({"stopped": "finished"})
    assert [finished.name for finished in paths.runs().glob("*/unsent.json")].count("unsent.json") == 2

    monkeypatch.setattr(tracking, "_connect", connect)
    with stage_run("sft", name="next"):
        pass
    assert not list(paths.runs().glob("*/unsent.json"))
    told = client.get_run(StageRun(ours, lambda text: None).run_id)
    assert told.info.run_id != ours
    assert told.info.status == "FINISHED"
    assert told.info.run_name == "unheard"
    assert told.data.params == {"lr": "1"}
    assert {"a": "b", "stopped": "finished", tracking.OUR_ID: ours}.items() <= told.data.tags.items()
    assert client.get_run(told.data.tags[tracking.PARENT_TAG]).info.run_name == "whole"
    assert [point.step for point in client.get_metric_history(told.info.run_id, "train/loss")] == [1, 2]
    assert {"settings.json", "loss.png"} <= {file.path for file in client.list_artifacts(told.info.run_id)}
    assert told.info.run_id in {version.run_id for version in client.search_model_versions("name='apprentice-grpo'")}

    with stage_run("grpo", name="unheard", run_id=ours) as resumed:  # by the id that our records know
        resumed.log_metrics({"train/loss": 0.1}, 3)
    steps = [point.step for point in client.get_metric_history(told.info.run_id, "train/loss")]
    assert steps == [1, 2, 3]


def test_a_model_is_registered_once_per_run_by_path(client, tmp_path: Path) -> None:
    with stage_run("sft", name="registers") as run:
        for _ in range(2):
            run.register_model("sft", tmp_path, {"sha256": "abc", "stage": "sft"})
    versions = [v for v in client.search_model_versions("name='apprentice-sft'") if v.run_id == run.run_id]
    assert [(version.source, version.tags["sha256"]) for version in versions] == [(str(tmp_path), "abc")]


def test_tables_texts_and_curves_become_artifacts(client) -> None:
    import pandas as pd

    with stage_run("grpo", name="artifacts") as run:
        for step in range(1, 4):
            run.log_metrics({"train/loss": 1.0, "train/reward": 0.1 * step, "train/reward_format": 0.5}, step)
        run.log_curves()
        run.log_table(pd.DataFrame({"split": ["seen"], "mean": [0.5]}), "evaluation/one.json")
        run.log_text("{}", "settings.json")
    names = {file.path for file in client.list_artifacts(run.run_id)}
    assert {"loss.png", "reward.png", "settings.json", "evaluation"} <= names


def test_results_of_a_newer_evaluation_replace_older_ones_in_an_ended_run(client) -> None:
    with stage_run("sft", name="judged") as run:
        pass
    for value in (0.25, 0.5):
        StageRun(run.run_id, lambda text: None).log_results({"eval/seen/turn_success": value}, 7)
    stored = client.get_run(run.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["eval/seen/turn_success"] == 0.5


def test_log_drops_a_line_cut_short_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    log = MetricLog(file)
    log.add({"a": 1.0}, 1)
    with file.open("a") as stream:
        stream.write('{"step": 2, "at": 1.0, "val')
    again = MetricLog(file)
    assert again.curve("a") == ([1], [1.0])
    assert [point.step for point in again.add({"a": 2.0}, 2)] == [2]
    assert again.add({"a": 9.0}, 2) == []
    assert MetricLog(file).curve("a") == ([1, 2], [1.0, 2.0])


def test_default_store_lies_under_var(isolated_var: Path) -> None:
    assert tracking.tracking_uri() == f"sqlite:///{isolated_var.resolve()}/mlflow.db"
