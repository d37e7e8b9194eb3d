"""An exported model is the run's own, and its card says what today's judge says of the newest evaluation of it."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from data import paths, snapshot
from data.evaluations import append_evaluations
from data.ingest import ingest
from data.reporting import Silent
from data.schema import VALIDATION_SPLITS
from data.settings import DataSettings
from models import champions, tracking
from models.base import _save
from models.export import CARD, FACTS, ExportError
from models.random_model import make_qwen3
from models.speech.template import completion_text
from tasks import records
from tasks.export import base_model, export
from tasks.records import MissingUpstream, Record

ROW = runpy.run_path(str(Path(__file__).parent / "fixtures" / "stages.py"))["row"]
RUN = "a" * 32


@pytest.fixture
def version() -> str:
    return ingest(DataSettings(conversations=40), Silent()).dataset_version


def trained(version: str) -> Record:
    """A finished GRPO run with a tiny model."""
    model, tokenizer = make_qwen3()
    folder = paths.run(RUN) / "model"
    folder.mkdir(parents=True)
    _save(model, tokenizer, folder)
    base = Record(stage="base", key="b" * 16, status="done", run_id="b" * 32, settings={"uri": "random:qwen3"})
    made = Record(
        stage="grpo",
        key="a" * 16,
        status="done",
        run_id=RUN,
        start_run_id=base.run_id,
        dataset_version=version,
        thinking=False,
        git_commit="0123456789abcdef",
        model_dir=folder,
        model_sha256=records.model_sha256(folder),
    )
    for record in (base, made):
        records.save(record)
    return made


def evaluated(run: Record, version: str, name: str, ended: str, *, gold: bool, **settings: Any) -> int:
    """An evaluation of the run: everything right, or nothing said; its rows carry verdicts of an earlier judge, by
    which it was the other way round. Returns its turns on unseen tools."""
    points = snapshot.read_decision_points(version, splits=VALIDATION_SPLITS)
    rows = [
        {
            **ROW(point.id, point.split, not gold, run.run_id, "grpo", version, False),
            "conversation_id": point.conversation_id,
            "kind": point.kind,
            "tool": point.tool,
            "text": completion_text(point.expected, None) if gold else "",
            "parse_status": "ok" if gold else "empty",
        }
        for point in points
    ]
    append_evaluations(name, rows)
    chosen = {"run_id": run.run_id, "thinking": False, "splits": list(VALIDATION_SPLITS), "max_completion_length": 77}
    record = Record(
        stage="evaluation",
        key=name,
        status="done",
        run_id=run.run_id,
        dataset_version=version,
        settings={**chosen, "thoughts": "own", "sample": None, "variant": None, **settings},
        outputs={"evaluation_id": name, "rows": len(rows)},
        ended=ended,
    )
    records.save(record)
    return sum(point.split == "validation_unseen" for point in points)


def test_the_card_tells_the_newest_evaluation_by_the_judge_as_it_is(version: str, tmp_path: Path) -> None:
    run = trained(version)
    evaluated(run, version, "older", "2026-01-01", gold=False)
    unseen = evaluated(run, version, "newer", "2026-01-02", gold=True)
    evaluated(run, version, "sampled", "2026-01-03", gold=False, sample=1)
    folder = export(RUN, "ferryman", tmp_path / "mine")
    assert (folder / "model.safetensors").read_bytes() == (run.model_place[0] / "model.safetensors").read_bytes()
    card = (folder / CARD).read_text()
    (line,) = (one for one in card.splitlines() if one.startswith("| unseen tools | turn success"))
    assert line.split(" | ")[2].startswith("100.0 %")
    assert line.rstrip(" |").endswith(str(unseen))
    for said in (f"`{version}`", "`newer`", "random:qwen3", "0123456"):
        assert said in card, said
    assert '"max_new_tokens": 77' in (folder / "generation_config.json").read_text()


def test_a_model_that_nobody_judged_is_exported_without_results(version: str) -> None:
    trained(version)
    folder = export(RUN, "ferryman")
    assert folder.is_relative_to(paths.exports())
    assert "turn success" not in (folder / CARD).read_text()
    with pytest.raises(MissingUpstream):
        export("c" * 32, "ferryman")


def test_a_model_outlives_the_weights_it_came_from(version: str, tmp_path: Path) -> None:
    trained(version)
    base = records.of_run("b" * 32).model_copy(update={"model_dir": tmp_path / "gone", "model_sha256": "0" * 64})
    records.save(base)
    with pytest.raises(MissingUpstream, match="is gone or was changed"):
        records.of_run("b" * 32)
    assert "random:qwen3" in (export(RUN, "ferryman", tmp_path / "mine") / CARD).read_text()


def test_a_folder_that_cannot_be_made_is_named(version: str, tmp_path: Path) -> None:
    trained(version)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"cannot be made .*name another folder with --to"):
        export(RUN, "ferryman", tmp_path / "file" / "mine")


def test_a_base_model_from_a_folder_is_told_without_the_folder_s_place(version: str, tmp_path: Path) -> None:
    trained(version)
    base = records.of_run("b" * 32, usable=False)
    for uri, told in (("path:/secret/place/Llama/", "path:Llama"), ("hf:ORG/path:x@main", "hf:ORG/path:x@main")):
        records.save(base.model_copy(update={"settings": {"uri": uri}}))
        assert base_model(records.of_run(RUN)) == told
    records.save(base.model_copy(update={"settings": {"uri": "path:/secret/place/Llama"}}))
    folder = export(RUN, "ferryman", tmp_path / "mine")
    assert not [file for file in (CARD, FACTS) if "secret" in (folder / file).read_text()]


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that every ``var/`` uses."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")


def another_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRENTICE_VAR", str(tmp_path / "another"))


@pytest.mark.slow
def test_a_model_trained_elsewhere_is_exported_as_its_package_holds_it(
    registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracking.stage_run("grpo", name="ferryman") as run:
        run.register_model("grpo", tmp_path / "weights", {})  # as every training does; it holds nothing
    packed = tmp_path / "ferryman"
    packed.mkdir()
    for name, text in (("model.safetensors", "weights"), (CARD, "a card")):
        (packed / name).write_text(text)
    digests = {name: records.digest(packed / name) for name in ("model.safetensors", CARD)}
    (packed / FACTS).write_text(json.dumps({"sha256": digests}))
    champions.crown(champions.challenge("ferryman", run.run_id, lambda: packed, "sha", {}), None)
    content = {file.name: file.read_bytes() for file in packed.iterdir()}
    shutil.rmtree(packed)

    another_var(tmp_path, monkeypatch)
    for target in (None, tmp_path / "mine", tmp_path / "mine"):
        folder = export(run.run_id, "ferryman", target)
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == content
    assert folder == tmp_path / "mine"
    assert not list(tmp_path.glob(".mine*"))
    said = capsys.readouterr()
    assert "what its package models:/ferryman/1 holds is taken instead" in said.err
    assert "package" not in said.out
    with pytest.raises(MissingUpstream, match="no stage has run id"):
        export("c" * 32, "ferryman")

    # What was damaged on the way is nobody's model.
    monkeypatch.setattr("models.packaged.not_ours", lambda folder: ["model.safetensors, changed since"])
    with pytest.raises(ExportError, match=r"ferryman/1 holds no whole export \(model.safetensors, changed since\)"):
        export(run.run_id, "ferryman", tmp_path / "mine")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == content


@pytest.mark.slow
def test_a_version_that_is_no_package_sends_to_where_it_was_trained(
    registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.stage_run("grpo", name="ferryman") as run:
        run.register_model("grpo", tmp_path / "weights", {})
    another_var(tmp_path, monkeypatch)
    with pytest.raises(MissingUpstream, match=r"models:/apprentice-grpo/1.* is no package .* APPRENTICE_VAR"):
        export(run.run_id, "ferryman")


def test_a_run_that_nobody_knows_is_told_so_though_the_registry_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking.store, "ask", lambda: (_ for _ in ()).throw(OSError("connection refused")))
    with pytest.raises(MissingUpstream, match="no stage has run id"):
        export("c" * 32, "ferryman")
