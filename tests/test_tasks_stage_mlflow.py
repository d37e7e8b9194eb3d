"""A stage whose record could not be written, with a real MLflow store: its run is found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data import paths
from models import tracking
from tasks import records
from tasks.stage import Upstream, perform


@pytest.mark.parametrize(
    ("trouble", "says"), [(OSError(28, "No space left on device"), "No space"), (KeyboardInterrupt(), None)]
)
@pytest.mark.parametrize("away", [False, True])
def test_a_run_whose_record_was_not_written_is_resumed_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool, trouble: BaseException, says: str | None
) -> None:
    """Also where MLflow's store did not take the run either, and hears of it later."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    address = records.address("sft", code="c", settings={"lr": 1}, dataset_version="d", start_sha256="s")

    def full(record: Any) -> None:
        raise trouble

    def no_answer(uri: str) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(records, "save", full)
        if away:
            patch.setattr(tracking.store, "connect", no_answer)
        with pytest.raises(type(trouble), match=says):
            perform(address, lambda work: {}, profile="smoke", upstream=Upstream())
    (failed,) = tracking.left_unfinished(stage="sft", address=address.key)
    assert tracking.left_running(stage="sft", address=address.key) == []

    def model(work: Any) -> dict[str, Any]:
        folder = work.directory / "model"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"weights")
        return {"model_dir": folder, "model_sha256": records.model_sha256(folder), "steps": 1}

    record = perform(address, model, profile="smoke", upstream=Upstream())
    assert record.run_id == failed
    assert (paths.run(failed) / "model" / "model.safetensors").exists()
    assert tracking.left_unfinished(stage="sft", address=address.key) == []
    known = tracking.store.connect(tracking.store.tracking_uri())[0]
    (experiment,) = known.search_experiments(filter_string="name != 'Default'")
    assert [run.info.status for run in known.search_runs([experiment.experiment_id])] == ["FINISHED"]


def test_a_run_that_was_closed_for_good_is_not_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(KeyboardInterrupt), tracking.stage_run("sft", name="one", tags={"address": "a"}) as run:
        raise KeyboardInterrupt
    assert tracking.left_unfinished(stage="sft", address="a") == [run.run_id]
    tracking.close_run(run.run_id)
    assert tracking.left_unfinished(stage="sft", address="a") == []


def test_runs_of_another_machine_on_the_same_server_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with tracking.stage_run("sft", name="one", tags={"address": "a"}) as run:
        mine = tracking.house()
        assert tracking.left_running() == [run.run_id]
        with monkeypatch.context() as patch:
            patch.setenv("APPRENTICE_VAR", str(tmp_path / "elsewhere"))
            assert tracking.house() not in ("", mine)
            assert tracking.left_running() == tracking.left_unfinished(stage="sft", address="a") == []
        assert tracking.house() == mine
