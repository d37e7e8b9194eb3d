"""Garbage collection: shows first, deletes on --yes, and never what a run, a registered model or "the newest" needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from data import paths, profiles, snapshot, warehouse
from data.arms import PRESETS
from data.garbage import Garbage, References, find, free
from data.ingest import ingest
from data.reporting import Silent
from data.settings import DataSettings
from models import tracking
from models.registry import Known, KnownRun, TrackingAway, known
from tasks import garbage, locks, records
from tasks.comparison import opened
from tasks.garbage import collect, references
from tasks.records import Record


def record(stage: str, run_id: str, **changes: Any) -> Record:
    facts = {"stage": stage, "key": f"key-{run_id}", "status": "done", "run_id": run_id, "ended": "2026-01-01"}
    made = Record.model_validate({**facts, **changes})
    records.save(made)
    return made


def leave(run_id: str) -> None:
    """Files of a run: a checkpoint, a model, rollouts."""
    for place in (
        paths.run(run_id) / "checkpoints" / "checkpoint-5",
        paths.run(run_id) / "model",
        paths.rollouts() / run_id,
    ):
        place.mkdir(parents=True)
        (place / "file").write_bytes(bytes(1000))


def names(found: list[Garbage]) -> set[tuple[str, str]]:
    return {(item.kind, item.name) for item in found}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, str, str]]:
    """Three versions of one source, the newest last, and where they lie."""
    root = tmp_path_factory.mktemp("made") / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(root))
        one, two, three = (ingest(DataSettings(conversations=12, seed=seed), Silent()) for seed in (1, 2, 3))
    return root, (one.dataset_version, two.dataset_version, three.dataset_version)


@pytest.fixture
def versions(made: tuple[Path, tuple[str, str, str]], isolated_var: Path) -> tuple[str, str, str]:
    """The three versions in this test's own ``var/``."""
    shutil.copytree(made[0], isolated_var, dirs_exist_ok=True)
    return made[1]


def pretend(registry: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "known", lambda: registry)


def test_thoughts_of_another_dataset_stay_with_the_priming_that_reads_them(versions: tuple[str, str, str]) -> None:
    first, second, _ = versions
    record("primed", "p", dataset_version=second, status="interrupted", settings={"rationales": first})
    assert references(Known()).versions >= {first, second}


def test_datasets_of_a_comparison_stay(versions: tuple[str, str, str]) -> None:
    settings = profiles.resolve("smoke", {"prime": {"rationales": "thoughts"}, "evaluation": {"dataset": "judged on"}})
    opened("minimum", PRESETS["minimum"], [0], settings, versions[0], {"bfcl": "elsewhere"}, None, versions[1])
    unreadable = paths.comparisons() / "torn" / "state.json"
    unreadable.parent.mkdir()
    unreadable.write_text("{", encoding="utf-8")
    kept = references(Known()).versions
    assert kept == {*versions, "elsewhere", "thoughts", "judged on"}
    assert names(find(references(Known()))) == set()


def test_a_judgement_of_a_model_hides_nothing_of_where_that_came_from(versions: tuple[str, str, str]) -> None:
    """Records of evaluations have their model's run, and say that they started from it."""
    first, _, _ = versions
    record("sft", "s", dataset_version=first)
    record("continued", "c", start_run_id="s", ended="2026-02-01", dataset_version=versions[1])
    record("evaluation", "c", key="judged", start_run_id="c", dataset_version=versions[1])
    deleted = Known(deleted=frozenset({"s"}))
    record("sft", "newer", ended="2026-03-01", dataset_version=versions[2])
    assert references(deleted).runs >= {"c", "s"}


def test_without_yes_it_only_shows(versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    old, used, _ = versions
    record("sft", "kept", dataset_version=used)
    leave("kept")
    leave("stray")
    pretend(Known(), monkeypatch)
    found = collect(Silent(), really=False)
    assert names(found) == {
        ("snapshot", old),
        ("rollouts", "stray"),
        ("checkpoints", "stray"),
        ("checkpoints", "kept"),  # its run is finished
    }
    assert all(item.size > 0 and item.why for item in found)
    assert {version.version for version in snapshot.published()} == set(versions)
    assert (paths.rollouts() / "stray").is_dir()


def test_with_yes_it_is_gone_and_the_rest_is_whole(
    versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, used, newest = versions
    record("sft", "kept", dataset_version=used)
    leave("kept")
    leave("stray")
    pretend(Known(), monkeypatch)
    before = paths.warehouse().stat().st_size
    assert ("snapshot", old) in names(collect(Silent(), really=True))
    assert {version.version for version in snapshot.published()} == {used, newest}
    assert {version.version for version in warehouse.stored_versions()} == {used, newest}
    assert paths.warehouse().stat().st_size <= before
    for version in (used, newest):
        snapshot.verify(version)
    assert not (paths.rollouts() / "stray").exists()
    assert not (paths.run("stray") / "checkpoints").exists()
    assert (paths.run("kept") / "model" / "file").exists()
    assert (paths.rollouts() / "kept" / "file").exists()
    assert collect(Silent(), really=True) == []


def test_what_may_be_resumed_keeps_its_checkpoints() -> None:
    record("grpo", "stopped", status="interrupted", dataset_version="v")
    record("grpo", "failed", status="failed", dataset_version="v")
    for run_id in ("stopped", "failed"):
        leave(run_id)
    assert names(find(references(Known()))) == set()


def test_a_run_deleted_in_mlflow_keeps_nothing(versions: tuple[str, str, str]) -> None:
    old, used, _ = versions
    record("sft", "deleted", dataset_version=old, ended="2026-01-01")
    record("sft", "kept", dataset_version=used, ended="2026-01-02")
    for run_id in ("deleted", "kept"):
        leave(run_id)
    found = names(find(references(Known(deleted=frozenset({"deleted"})))))
    assert found == {("snapshot", old), ("rollouts", "deleted"), ("checkpoints", "deleted"), ("checkpoints", "kept")}


def test_the_newest_the_registered_and_their_starts_stay_even_if_deleted(versions: tuple[str, str, str]) -> None:
    old, used, _ = versions
    record("sft", "start", dataset_version=old, ended="2026-01-01")
    record("sft", "newest sft", dataset_version=used, ended="2026-01-09")
    record("grpo", "registered", dataset_version=old, start_run_id="start", ended="2026-01-02")
    record("grpo", "newest grpo", dataset_version=used, ended="2026-01-08")
    deleted = frozenset({"start", "newest sft", "registered", "newest grpo"})
    stay = references(Known(deleted=deleted, models={"registered": ("apprentice-grpo 1",)}))
    assert deleted <= stay.runs
    assert {old, used} <= stay.versions
    without = references(Known(deleted=deleted))
    assert without.runs == {"newest sft", "newest grpo"}
    assert old not in without.versions


def test_runs_that_only_mlflow_knows_count(versions: tuple[str, str, str]) -> None:
    old, _, _ = versions
    stay = references(Known(active=(KnownRun("elsewhere", old, "its start"),)))
    assert {"elsewhere", "its start"} <= stay.runs
    assert old in stay.versions


def test_each_source_keeps_its_newest(versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions[2] in references(Known()).versions
    assert versions[1] not in references(Known()).versions


def test_drafts_go_after_a_day() -> None:
    paths.datasets().mkdir(parents=True)
    young, abandoned = paths.datasets() / ".a.writing", paths.datasets() / ".b.writing"
    for draft in (young, abandoned):
        draft.mkdir()
    os.utime(abandoned, (0, 0))
    everything = References(versions=frozenset(), runs=frozenset(), resumable=frozenset())
    assert names(find(everything)) == {("draft", ".b.writing")}


def test_drafts_of_exports_and_packages_go_after_a_day() -> None:
    of_run = paths.exports() / "r"
    kept = (of_run / "apprentice", of_run / ".other.replaced", of_run / ".apprentice-hub", paths.var() / ".export-new")
    left = (
        paths.var() / ".export-abc",
        paths.var() / ".package-abc",
        of_run / ".apprentice-a1b2c3d4",
        of_run / ".apprentice.replaced",
    )
    for directory in (*kept, *left):
        directory.mkdir(parents=True)
        (directory / "model.safetensors").write_bytes(bytes(1000))
        if directory.name != ".export-new":
            os.utime(directory, (0, 0))
    everything = References(versions=frozenset(), runs=frozenset(), resumable=frozenset())
    found = find(everything)
    assert names(found) == {("draft", directory.name) for directory in left}
    free(found, Silent())
    assert [directory.exists() for directory in (*kept, *left)] == [True] * 4 + [False] * 4


def test_nothing_goes_while_somebody_works(versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(Known(), monkeypatch)
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    held: list[str] = []
    real = locks.hold

    def hold(name: str, stage: str) -> Any:
        held.append(name)
        return real(name, stage, patience=0.0)

    monkeypatch.setattr(locks, "hold", hold)
    with real(locks.TRAINING, "sft"), pytest.raises(locks.Busy, match="training lock is held by sft"):
        collect(Silent(), really=True)
    record("evaluation", "judge", status="running", lock="evaluation-x")
    with real("evaluation-x", "evaluation"), pytest.raises(locks.Busy, match="run judge"):
        collect(Silent(), really=True)
    assert len(snapshot.published()) == 3
    assert held == ["ingest", "training", "ingest", "training", "removal"]


def test_a_tracking_store_that_is_away_means_hands_off(
    versions: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking.store, "ask", lambda: (_ for _ in ()).throw(OSError("connection refused")))
    with pytest.raises(TrackingAway, match=r"connection refused.*Nothing was changed"):
        collect(Silent(), really=True)
    assert len(snapshot.published()) == 3


@pytest.mark.slow
def test_what_mlflow_really_says(module_var: Path) -> None:
    runs = {}
    for name in ("kept", "deleted"):
        with tracking.stage_run("sft", name=name, tags={"dataset_version": f"v-{name}", "start_run_id": "s"}) as run:
            runs[name] = run.run_id
            run.register_model("sft", Path("model"), {})
    client, _ = tracking.store.ask()
    client.delete_run(runs["deleted"])
    client.set_registered_model_alias(
        "apprentice-sft", "champion", client.search_model_versions(f"run_id='{runs['kept']}'")[0].version
    )
    found = known()
    assert runs["deleted"] in found.deleted
    assert KnownRun(runs["kept"], "v-kept", "s") in found.active
    assert any(
        name.startswith("apprentice-sft ") and name.endswith("(champion)") for name in found.models_of(runs["kept"])
    )
