"""A stage is done once, reused while nothing changes, and goes on in the run it began."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from data import paths
from models import tracking
from tasks import locks, records
from tasks.records import MissingUpstream
from tasks.stage import Interrupted, Upstream, Work, bury_the_dead, flat, perform


@pytest.fixture(autouse=True)
def _without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and locks do not need MLflow, and without it a test takes milliseconds."""

    def away(uri: str) -> None:
        raise ConnectionError("not in this test")

    monkeypatch.setattr(tracking.store, "connect", away)


def place(**changes: Any) -> records.Address:
    facts = {"code": "c1", "settings": {"lr": 0.1}, "dataset_version": "d1", "start_sha256": "s1", **changes}
    return records.address("sft", **facts)


def model(work: Work, weights: bytes = b"weights") -> dict[str, Any]:
    folder = work.directory / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    return {"model_dir": folder, "model_sha256": records.model_sha256(folder), "steps": 2}


def go(address: records.Address, do=model, **more: Any) -> records.Record:
    return perform(address, do, profile="smoke", upstream=Upstream(), **more)


def test_an_address_changes_with_everything_a_result_depends_on_and_nothing_else() -> None:
    keys = {
        place().key,
        place(code="c2").key,
        place(settings={"lr": 0.2}).key,
        place(dataset_version="d2").key,
        place(start_sha256="s2").key,
    }
    assert len(keys) == 5
    assert place(settings={"lr": 0.1, "save_every_minutes": 1.0}).key == place().key


def test_the_same_work_is_reused_and_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    first = go(place())
    second = go(place(), do=lambda work: pytest.fail("done twice"))
    assert second.run_id == first.run_id
    assert f"sft: reused, run {first.run_id}" in capsys.readouterr().out


def test_what_another_process_has_done_meanwhile_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for the lock that the other one held; what that one left is what it came for."""
    hold = locks.hold

    @contextmanager
    def after_another(name: str, who: str, **more: Any) -> Iterator[None]:
        monkeypatch.setattr(locks, "hold", hold)
        theirs.append(go(place()))
        with hold(name, who, **more):
            yield

    theirs: list[records.Record] = []
    monkeypatch.setattr(locks, "hold", after_another)
    ours = go(place(), do=lambda work: pytest.fail("done twice"))
    assert [ours.run_id] == [one.run_id for one in theirs]


def test_force_and_changed_settings_do_it_again() -> None:
    first = go(place())
    forced = go(place(), force=True)
    other = go(place(settings={"lr": 0.2}))
    assert len({first.run_id, forced.run_id, other.run_id}) == 3
    assert records.of_run(first.run_id).status == "done"  # kept under its run id


def test_an_evaluation_that_is_forced_and_stopped_leaves_the_finished_one() -> None:
    """Its run is the model's, so that an evaluation is told apart by its own id."""
    address = records.address("evaluation", code="c", settings={"run_id": "m" * 32}, dataset_version="d")

    def judged(evaluation_id: str, **more: Any) -> records.Record:
        return go(address, do=lambda work: {}, inside="m" * 32, begun={"evaluation_id": evaluation_id}, **more)

    def stopped(work: Work) -> dict[str, Any]:
        raise KeyboardInterrupt

    first = judged("e1")
    with pytest.raises(KeyboardInterrupt):
        go(address, do=stopped, inside="m" * 32, begun={"evaluation_id": "e2"}, force=True)
    assert told() == [("e1", "done"), ("e2", "interrupted")]
    assert first in records.every("evaluation")
    assert records.load("evaluation", address.key).outputs == {"evaluation_id": "e2"}
    judged("e2")
    assert told() == [("e1", "done"), ("e2", "done")]
    assert judged("e3").outputs == {"evaluation_id": "e2"}  # reused


def told() -> list[tuple[str, str]]:
    return sorted((record.outputs["evaluation_id"], record.status) for record in records.every("evaluation"))


def test_a_changed_model_is_not_reused(capsys: pytest.CaptureFixture[str]) -> None:
    first = go(place())
    (first.model_place[0] / "model.safetensors").write_bytes(b"other")
    second = go(place())
    assert second.run_id != first.run_id
    assert "gone or was changed" in capsys.readouterr().out


@pytest.mark.parametrize("error", [Interrupted("stopped"), KeyboardInterrupt(), RuntimeError("broke")])
def test_what_was_cut_short_goes_on_in_the_same_run(error: BaseException) -> None:
    begun: list[str] = []

    def breaks(work: Work) -> dict[str, Any]:
        begun.append(work.record.run_id)
        assert records.load("sft", work.record.key).status == "running"
        raise error

    with pytest.raises(type(error)):
        go(place(), do=breaks)
    expected = "failed" if isinstance(error, RuntimeError) else "interrupted"
    assert records.load("sft", place().key).status == expected
    assert go(place()).run_id == begun[0]
    assert records.load("sft", place().key).status == "done"


def test_a_killed_stage_leaves_running_and_is_resumed() -> None:
    killed = records.Record(stage="sft", key=place().key, status="running", run_id="a" * 32, started="2026-01-01")
    records.save(killed)
    done = go(place())
    assert done.run_id == "a" * 32
    assert done.started == "2026-01-01"


def test_a_killed_run_that_nobody_resumes_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(tracking, "close_run", closed.append)
    dead = {"stage": "grpo", "status": "running", "lock": "training"}
    records.save(records.Record(key="k1", run_id="a" * 32, **dead))
    records.save(records.Record(key="k2", run_id="b" * 32, stage="pipeline", status="running", lock="pipeline-k2"))
    with locks.hold("pipeline-k2", "run"):  # this one lives
        go(place(), lock="training")
    assert closed == ["a" * 32]
    assert [records.load("grpo", "k1").status, records.load("pipeline", "k2").status] == ["interrupted", "running"]


def test_one_that_ends_while_the_dead_are_looked_for_is_no_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = {"status": "running", "lock": "training", "stage": "grpo"}
    records.save(records.Record(key="k1", run_id="a" * 32, **dead))
    records.save(records.Record(key="k2", run_id="b" * 32, **dead))
    done = records.Record(key="k2", run_id="b" * 32, **{**dead, "status": "done"}, steps=60)

    def close(run_id: str) -> None:  # asking MLflow takes its time, and the other training comes to its end
        records.save(done)

    monkeypatch.setattr(tracking, "close_run", close)
    bury_the_dead(except_for=place(), held="evaluation")
    assert records.load("grpo", "k1").status == "interrupted"
    assert records.load("grpo", "k2") == done


def test_models_are_found_where_var_has_moved(isolated_var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = isolated_var.with_name("moved")
    for room in ("runs/r1/model", "base_models/tiny"):
        (isolated_var / room).mkdir(parents=True)
        (isolated_var / room / "model.safetensors").write_bytes(b"weights")
        facts = {"stage": "sft", "key": room[:4], "status": "done", "run_id": room[:4], "dataset_version": "v"}
        model_dir = isolated_var / room
        digest = records.model_sha256(model_dir)
        records.save(records.Record.model_validate({**facts, "model_dir": model_dir, "model_sha256": digest}))
    isolated_var.rename(moved)
    monkeypatch.setenv("APPRENTICE_VAR", str(moved))
    found = list(records.every("sft"))
    assert [one.model_dir for one in found] == [moved / "base_models/tiny", moved / "runs/r1/model"]
    assert all(map(records.intact, found))
    (moved / "runs/r1/model/model.safetensors").unlink()
    shutil.rmtree(moved / "runs/r1/model")
    assert not records.intact(records.load("sft", "runs"))


def test_settings_are_saved_with_the_run() -> None:
    record = go(place())
    saved = json.loads((paths.run(record.run_id) / "settings.json").read_text())
    assert saved == {"stage": "sft", "profile": "smoke", "lr": 0.1}


def test_latest_good_is_the_newest_finished_one_of_the_dataset() -> None:
    go(place())
    newest = go(place(settings={"lr": 0.3}))
    go(place(dataset_version="d2"))
    with pytest.raises(RuntimeError):
        go(place(settings={"lr": 0.4}), do=lambda work: (_ for _ in ()).throw(RuntimeError("broke")))
    assert records.latest_good("sft", dataset_version="d1").run_id == newest.run_id


def test_what_is_missing_names_the_command(isolated_var: Path) -> None:
    with pytest.raises(MissingUpstream, match=r"no SFT model for dataset d1: run `apprentice sft` first"):
        records.latest_good("sft", dataset_version="d1")
    with pytest.raises(MissingUpstream, match=r"no primed model: run `apprentice prime` first"):
        records.latest_good("primed")
    with pytest.raises(MissingUpstream, match="no stage has run id nothing"):
        records.of_run("nothing")


def test_a_run_is_found_by_the_start_of_its_id_unless_ambiguous_unfinished_or_damaged() -> None:
    record = go(place())
    assert records.of_run(record.run_id[:8]).run_id == record.run_id
    go(place(settings={"lr": 0.2}))
    with pytest.raises(MissingUpstream, match="ambiguous"):
        records.of_run("")
    records.save(record.model_copy(update={"status": "interrupted", "key": "k2", "run_id": "b" * 32}))
    with pytest.raises(MissingUpstream, match="interrupted, not finished; run `apprentice sft` again"):
        records.of_run("b" * 32)
    (record.model_place[0] / "model.safetensors").unlink()
    with pytest.raises(MissingUpstream, match="gone or was changed"):
        records.of_run(record.run_id)


def test_nested_settings_become_flat_params() -> None:
    assert flat({"a": 1, "weights": {"format": 0.5, "deep": {"er": None}}}) == {
        "a": 1,
        "weights.format": 0.5,
        "weights.deep.er": None,
    }
