"""Runs in MLflow: created, resumed, always ended, and never in the way of training."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from data import paths
from models import tracking
from models.figures import Bar, confusion, curves, seen_and_unseen
from models.metric_log import MetricLog
from models.traces import Told
from models.tracking import StageRun, stage_run


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One SQLite store for the module: creating it takes seconds."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        tracking.store.connect(uri)
    return uri


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause before the end of a run is told again."""
    monkeypatch.setattr(tracking.run, "ONCE_MORE", 0.0)


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return tracking.store.connect(store)[0]


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
    connect = tracking.store.connect
    with stage_run("sft", name="away", say=said.append) as run:
        run.log_metrics({"train/loss": 3.0}, 1)

        def away(uri: str):
            raise ConnectionError("connection refused")

        monkeypatch.setattr(tracking.store, "connect", away)
        run.log_metrics({"train/loss": 2.0}, 2)
        run.log_metrics({"train/loss": 1.0}, 3)
        assert len(client.get_metric_history(run.run_id, "train/loss")) == 1
        monkeypatch.setattr(tracking.store, "connect", connect)
    assert [point.step for point in client.get_metric_history(run.run_id, "train/loss")] == [1, 2, 3]
    assert client.get_run(run.run_id).info.status == "FINISHED"
    assert len(said) == 1
    assert "connection refused" in said[0]
    assert "metrics.jsonl" in said[0]


def test_without_a_store_the_run_has_an_id_and_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking.store, "connect", lambda uri: (_ for _ in ()).throw(OSError("no such host")))
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
    assert said[0].endswith(f"numbers are kept in {paths.run(run.run_id) / 'metrics.jsonl'}")


def test_a_run_begun_and_ended_while_the_store_was_away_is_told_later(client, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = tracking.store.connect
    monkeypatch.setattr(tracking.store, "connect", lambda uri: (_ for _ in ()).throw(ConnectionError("refused")))
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

    monkeypatch.setattr(tracking.store, "connect", connect)
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


def test_what_mlflow_refuses_is_said_and_neither_kept_nor_in_the_way(client, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    def refuses(*given: object, **named: object) -> None:
        raise MlflowException("Invalid model version source", INVALID_PARAMETER_VALUE)

    said: list[str] = []
    monkeypatch.setattr(type(client), "create_model_version", refuses)
    with stage_run("sft", name="refused", say=said.append) as run:
        run.register_model("sft", Path("model"), {})
        run.log_metrics({"train/loss": 1.0}, 1)
    assert said == [f"MLflow refuses something of run {run.run_id}; work goes on: Invalid model version source"]
    assert client.get_run(run.run_id).info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.run_id, "train/loss")] == [1]
    assert not (paths.run(run.run_id) / "unsent.json").exists()


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


def test_results_kept_before_a_kill_are_sent_once_by_who_comes_after(client) -> None:
    with stage_run("sft", name="judged, killed") as run:
        pass
    results = {"eval/seen/turn_success": 0.5, "eval/seen/facts": float("nan")}
    MetricLog(paths.run(run.run_id) / "metrics.jsonl").add(results, 0)  # and then came the kill
    for _ in range(2):
        StageRun(run.run_id, lambda text: None).log_results(results, 0)
    for key, value in results.items():
        (point,) = client.get_metric_history(run.run_id, key)
        assert point.value == pytest.approx(value, nan_ok=True)


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


def test_a_store_killed_while_it_was_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking.store, "_create_whole", tracking.store._create_whole.__wrapped__)
    making = tmp_path / ".mlflow.db.making"
    code = "import sys; from models import tracking; tracking.store.connect(sys.argv[1])"
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    killed = subprocess.Popen([sys.executable, "-c", code, uri], cwd=paths.PROJECT_ROOT)
    deadline = time.monotonic() + 300
    while not making.exists() or making.stat().st_size < 100_000:  # some of its tables are there
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert not (tmp_path / "mlflow.db").exists()
    client, experiment = tracking.store.connect(uri)
    assert client.get_experiment(experiment).name == tracking.store.EXPERIMENT
    assert not making.exists()
    assert _journal(tmp_path / "mlflow.db") == "wal"


def test_a_store_of_earlier_days_gets_its_log_and_one_in_use_does_later(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as earlier:
        earlier.execute("CREATE TABLE t (a)")
        earlier.execute("BEGIN IMMEDIATE")
        earlier.execute("INSERT INTO t VALUES (1)")
        tracking.store._write_ahead(f"sqlite:///{file}", patience=0.1)
        earlier.commit()
    assert _journal(file) == "delete"
    tracking.store._write_ahead(f"sqlite:///{file}")
    assert _journal(file) == "wal"


def _journal(file: Path) -> str:
    with closing(sqlite3.connect(file)) as store:
        return str(store.execute("PRAGMA journal_mode").fetchone()[0])


def test_default_store_lies_under_var(isolated_var: Path) -> None:
    assert tracking.store.tracking_uri() == f"sqlite:///{isolated_var.resolve()}/mlflow.db"


def test_rollouts_become_traces_of_their_run_once(client) -> None:
    told = Told(
        name="step 1: FindFerry, reward 1.00",
        messages=[{"role": "user", "content": "A ferry to Texel?"}],
        expected='FindFerry(destination="Texel")',
        reasoning="They want a ferry.",
        action='[{"name": "FindFerry", "arguments": {"destination": "Texel"}}]',
        text="<think>…</think><tool_call>…</tool_call>",
        tags={"reward": "1.000", "step": "1"},
        parts={"reward_format": 1.0, "reward_answer_correctness": None},
    )
    with stage_run("grpo", name="traced") as run:
        run.log_traces([told, told])
        run.log_traces([told])  # a stage that is told to publish twice
    experiment = tracking.store.ask()[1]
    found = client.search_traces(locations=[experiment], run_id=run.run_id)
    assert len(found) == 2
    assert found[0].info.tags["reward"] == "1.000"
    spans = {span.name: span for span in client.get_trace(found[0].info.trace_id).data.spans}
    assert set(spans) == {told.name, "think", "act", "reward"}
    assert spans["reward"].outputs == {"reward_format": 1.0}
    assert spans["act"].outputs == json.loads(told.action)


def test_a_table_is_logged_once(client) -> None:
    import pandas as pd

    with stage_run("pipeline", name="twice") as run:
        for _ in range(2):
            run.log_table(pd.DataFrame({"change": ["won"]}), "before_after/a-b.json")
    assert len(client.load_table(tracking.store.ask()[1], "before_after/a-b.json", [run.run_id])) == 1


def test_a_run_has_an_address_in_the_browser(client, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = tracking.store.ask()[1]
    assert tracking.store.run_url("r1") == f"http://127.0.0.1:5000/#/experiments/{experiment}/runs/r1"
    monkeypatch.setattr(tracking.store, "connect", lambda uri: (_ for _ in ()).throw(OSError("no such host")))
    assert tracking.store.run_url("r1") is None


def test_confusion_counts_what_was_called_where_each_tool_was_due() -> None:
    import pandas as pd

    rows = [
        ("call", "Find", '[{"name": "Find", "arguments": {}}]'),
        ("call", "Find", '[{"name": "Book", "arguments": {}}]'),
        ("call", "Book", None),
        ("answer", None, "On which day?"),
        ("answer", None, '["even", "JSON"]'),
        ("answer", None, '[{"name": "Unheard", "arguments": {}}]'),
    ]
    table = confusion(pd.DataFrame(rows, columns=["kind", "tool", "action"]))
    assert table.loc["Find"].to_dict() == {"Find": 1, "Book": 1, "(other tools)": 0, "(answer)": 0, "(unreadable)": 0}
    assert table.loc["Book", "(unreadable)"] == 1
    assert table.loc["(answer)"].to_dict()["(answer)"] == 2
    assert table.loc["(answer)"].to_dict()["(other tools)"] == 1


def test_figures_are_drawn_for_what_a_run_has(tmp_path: Path) -> None:
    log = MetricLog(tmp_path / "metrics.jsonl")
    log.add({"train/reward": 0.1, "train/completion_length": 40.0, "train/entropy": 1.0}, 1)
    assert set(curves(log)) == {"reward.png", "length.png", "entropy.png"}
    figure = seen_and_unseen([Bar("sft", "seen", 0.4, 0.3, 0.5), Bar("grpo", "unseen", 0.2, 0.1, 0.4)])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sft", "grpo"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["seen", "unseen"]
