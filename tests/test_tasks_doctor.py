"""The doctor finds what is wrong, names the cure, and closes only what is dead."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from data import paths
from data.ingest import ingest
from data.parquet import DamagedFile
from data.reporting import Silent
from data.settings import DataSettings
from flows.cli import app
from models import tracking
from tasks import doctor, locks, machine, records
from tasks.machine import Finding

DEAD = {"stage": "grpo", "key": "k1", "status": "running", "run_id": "a" * 32, "lock": "training", "started": "2026"}


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs closed in an MLflow that has one more as running than any record knows."""
    ended: list[str] = []
    monkeypatch.setattr(tracking, "left_running", lambda **tags: ["b" * 32])
    monkeypatch.setattr(tracking, "close_run", ended.append)
    monkeypatch.setattr(tracking.store, "ask", lambda: None)
    return ended


def told(findings: Any, check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def test_dead_runs_are_told_apart_from_living_ones_and_closed_on_request(closed: list[str]) -> None:
    records.save(records.Record(**DEAD))
    with locks.hold("training", "grpo"):
        assert [finding.says[:16] for finding in doctor.dead_runs() if "a" * 8 in finding.says] == []
        assert told(doctor.held_locks(), "locks")[0].says.startswith("training is held by grpo, process")
        with pytest.raises(locks.Busy):
            doctor.close_dead_runs()
    assert closed == []
    grpo, unknown, *_ = doctor.dead_runs()
    assert grpo.says.startswith("grpo, run aaaaaaaa…")
    assert unknown.says.startswith("MLflow has run bbbbbbbb… as running")
    assert "--close" in grpo.cure
    assert doctor.close_dead_runs() == [f"grpo, run {'a' * 32}", f"MLflow run {'b' * 32}"]
    assert records.load("grpo", "k1").status == "interrupted"
    assert closed == ["b" * 32]


def test_flow_runs_that_prefect_believes_in_are_named(isolated_var: Path) -> None:
    paths.prefect_home().mkdir(parents=True)
    with sqlite3.connect(paths.prefect_home() / "prefect.db") as connection:
        connection.execute("CREATE TABLE flow_run (id, name, state_name, state_type)")
        connection.execute("INSERT INTO flow_run VALUES ('1', 'GRPO (night)', 'Running', 'RUNNING')")
        connection.execute("INSERT INTO flow_run VALUES ('2', 'SFT', 'Completed', 'COMPLETED')")
    assert doctor.flow_runs() == [("1", "GRPO (night)", "Running")]


def test_a_result_that_no_run_makes_again_is_to_be_moved_away(isolated_var: Path) -> None:
    """An evaluation that was forced has its address; the earlier one is kept under its own name."""
    rows = paths.evaluations() / "earlier" / "rows"
    rows.parent.mkdir(parents=True)
    rows.write_bytes(b"as left")
    facts: dict[str, Any] = {"stage": "evaluation", "key": "k", "status": "done", "run_id": "c" * 32}
    earlier = records.Record(**facts, outputs={"evaluation_id": "earlier"}, files=records.listed([rows]))
    records.save(earlier)
    rows.write_bytes(b"other")
    assert next(doctor.stored_results()).cure == "the next run notices and makes it again"
    rows.write_bytes(b"as left")
    records.save(records.Record(**facts, outputs={"evaluation_id": "later"}))
    rows.write_bytes(b"other")
    (found,) = doctor.stored_results()
    assert found.cure == f"{records.kept_as(earlier)} tells of it: move it away"
    assert records.kept_as(earlier).exists()


def test_changed_data_and_results_are_found(closed: list[str]) -> None:
    version = ingest(DataSettings(conversations=6), Silent()).dataset_version
    assert [finding.state for finding in doctor.stored_data()] == ["good", "good"]
    file = paths.dataset(version) / "messages.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    damaged, store = doctor.stored_data()
    assert (damaged.state, store.state) == ("bad", "good")
    assert "messages.parquet" in damaged.says
    assert "apprentice ingest" in damaged.cure

    model = paths.run("c" * 32) / "model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"weights")
    made = {"model_dir": model, "model_sha256": records.model_sha256(model)}
    records.save(records.Record(stage="sft", key="k", status="done", run_id="c" * 32, **made))
    assert next(doctor.stored_results()).state == "good"
    (model / "model.safetensors").write_bytes(b"other")
    torn = paths.rollouts() / "run" / "step-00000001-attempt-0001.parquet"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"PAR1")
    assert [finding.state for finding in doctor.stored_results()] == ["bad", "bad"]
    # Pages damaged under a sound footer, and what lies below a run's own files.
    bent = paths.rollouts() / "run" / "validations" / "step-00000001.parquet"
    bent.parent.mkdir()
    pq.write_table(pa.table({"text": [str(number) * 50 for number in range(900)]}), bent, compression="zstd")
    content = bytearray(bent.read_bytes())
    content[400:464] = bytes(byte ^ 0xFF for byte in content[400:464])
    bent.write_bytes(content)
    pq.read_metadata(bent)
    assert [finding.says.split("/")[-1] for finding in doctor.stored_results()][1:] == [
        "step-00000001-attempt-0001.parquet cannot be read",
        "step-00000001.parquet cannot be read",
    ]


def test_a_record_that_cannot_be_read_is_named(closed: list[str]) -> None:
    file = paths.stages() / "sft" / "cut.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"stage": "sft", "ke')
    for asked in (lambda: list(records.every("sft")), records.running, lambda: records.load("sft", "cut")):
        with pytest.raises(DamagedFile, match=r"cut\.json cannot be read as the record of a stage .* Move it away"):
            asked()
    said = [finding.says for finding in doctor.check_up() if finding.check in ("dead runs", "stored results")]
    assert said
    assert all("cut.json" in one for one in said)
    result = CliRunner().invoke(app, ["report"])
    assert result.exit_code == 1
    assert "cut.json cannot be read" in result.output


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise RuntimeError("no such disk")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken, machine.disk))
    first, second = doctor.check_up()
    assert (first.state, first.says) == ("bad", "could not be looked at: no such disk")
    assert second.check == "disk"
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "BAD" in result.output


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert next(machine.environment()).state == "good"
    pins = tmp_path / "constraints.txt"
    pins.write_text("# remark\nfilelock==0.0.1\nno-such-package==1\n")
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path)
    assert "of 2 pinned packages are here; filelock" in list(machine.environment())[1].says
    monkeypatch.setattr(machine, "LITTLE_DISK", 1e18)
    monkeypatch.setattr(machine, "ENOUGH_DISK", 1e18)
    assert next(machine.disk()).state == "bad"
    monkeypatch.setenv("PIP_INDEX_URL", "http://name:secret@127.0.0.1:9/simple")
    unreachable = next(machine.registry(1.0))
    assert unreachable.state == "note"
    assert "secret" not in unreachable.says
    assert "http://127.0.0.1 does not answer" in unreachable.says
