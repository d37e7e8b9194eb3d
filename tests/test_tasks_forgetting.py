"""Who had seen a forgotten conversation, and the commands ``apprentice data`` and ``apprentice forget``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data import paths
from data.forget import Forgotten
from data.ingest import ingest
from data.reporting import Silent
from data.settings import DataSettings
from data.snapshot import read_conversations
from flows.cli import app
from models.registry import Known
from tasks import locks, records
from tasks.forgetting import quiet_house, raw_places, witnesses
from tasks.records import Record
from tasks.stage import Upstream, perform


def record(stage: str, run_id: str, start: str | None = None, **changes: Any) -> Record:
    facts = {"stage": stage, "key": run_id, "status": "done", "run_id": run_id, "start_run_id": start, "ended": "2026"}
    return Record.model_validate({"dataset_version": "v1", **facts, **changes})


def erased(split: str = "train", **changes: Any) -> Forgotten:
    return Forgotten.model_validate({"conversation_id": "s/1", "newly": True, "was_in": {"v1": split}, **changes})


def how(found: Forgotten, every: list[Record]) -> dict[str, str]:
    return {witness.run_id: witness.how for witness in witnesses(found, every)}


CHAIN = [
    record("base", "base"),
    record("sft", "sft", "base"),
    record("primed", "primed", "sft"),
    record("grpo", "grpo", "primed"),
    record("sft", "other", "base", dataset_version="v2"),
    record("grpo", "heir", "sft", dataset_version="v2"),
    record("grpo", "heir's heir", "heir", dataset_version="v2"),
]


def test_trainings_on_a_version_that_had_it_and_their_heirs_are_named() -> None:
    assert how(erased(rollouts={"grpo": 8, "unrecorded": 1}), CHAIN) == {
        "sft": "may have trained on it",
        "primed": "may have trained on it",
        "grpo": "rolled out",
        "heir": "started from sft",
        "heir's heir": "started from heir",
        "unrecorded": "rolled out",
    }


def test_one_primed_with_its_thoughts_has_learned_it() -> None:
    primed = record("primed", "primed", "other", dataset_version="v2", settings={"rationales": "v1"})
    assert how(erased(), [primed]) == {"primed": "may have trained on it"}


def test_a_test_conversation_was_judged_by_not_trained_on() -> None:
    judge = record("evaluation", "grpo", outputs={"evaluation_id": "e1"})
    records.save(judge)
    assert how(erased("test_seen", evaluations={"e1": 3}), CHAIN) == {"grpo": "was evaluated on it"}


def test_what_begins_while_files_are_removed_waits_or_is_refused_also_if_its_lock_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An evaluation that had read a conversation would write rows of it after all files were looked through."""
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    address = records.address("base", code="c", settings={})
    begun: list[str] = []

    def begin() -> None:
        perform(address, lambda work: begun.append("begun") or {}, profile="smoke", upstream=Upstream())

    with quiet_house("forget"), pytest.raises(locks.Busy, match="the removal lock is held by forget"):
        begin()
    assert begun == []
    begin()
    assert begun == ["begun"]


def test_where_the_raw_record_lies_is_known_also_if_only_the_warehouse_has_the_conversation(tmp_path: Path) -> None:
    line = {"messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day to you."}]}
    file = tmp_path / "mine.jsonl"
    said = [json.dumps({"id": str(number), "domain": "shop", **line}) for number in range(30)]
    file.write_text("\n".join(said), encoding="utf-8")
    settings = DataSettings(source="openai", path=str(file), duplicates="report")
    version = ingest(settings, Silent()).dataset_version
    name = next(each.id for each in read_conversations(version))
    assert raw_places(name) == (str(file),)
    shutil.rmtree(paths.dataset(version))  # by hand
    assert raw_places(name) == (str(file),)
    assert raw_places("openai/nobody") == ()


# --- commands


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> str:
    from tasks import garbage

    monkeypatch.setattr(garbage, "known", Known)
    monkeypatch.setattr("models.registry.known", Known)
    return ingest(DataSettings(conversations=12), Silent()).dataset_version


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_forget_reports_and_the_rest_of_the_commands_answer(stored: str) -> None:
    name = next(each.id for each in read_conversations(stored, ["train"]))
    records.save(record("sft", "run-sft", dataset_version=stored))
    done = run("forget", name)
    assert done.exit_code == 0, done.output
    assert f"{name} is forgotten" in done.output
    assert "run-sft (sft): may have trained on it" in done.output
    assert name not in {each.id for each in read_conversations(stored)}
    again = json.loads(run("forget", name, "--format", "json").output.splitlines()[-1])
    assert again["erased"]["newly"] is False
    assert [witness["how"] for witness in again["witnesses"]] == ["may have trained on it"]  # the tombstone remembers

    unknown = run("forget", "simulated/none")
    assert (unknown.exit_code, "no conversation 'simulated/none' is stored" in unknown.output) == (1, True)

    other = ingest(DataSettings(conversations=14), Silent()).dataset_version
    difference = json.loads(run("data", "diff", stored, other, "--format", "json").output)
    assert sum(split["new"] for split in difference["splits"].values()) == 2
    table = run("data", "diff", stored, other).output
    assert "data.conversations" in table
    assert "new  simulated/12" in table
    assert run("data", "diff", stored, "nothing").exit_code == 1

    steps = json.loads(run("data", "lineage", "simulated/3", "--format", "json").output)
    assert [step["what"] for step in steps] == ["dataset", "conversation", "raw record"]
    assert "conversation  simulated/3" in run("data", "lineage", "simulated/3").output

    listed = run("data", "gc").output
    assert "nothing to free" in listed  # the one run refers to the old version
    freed = json.loads(run("data", "gc", "--yes", "--format", "json").output.splitlines()[-1])
    assert freed == {"freed": True, "items": []}


def test_nothing_is_forgotten_while_a_training_runs(stored: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = read_conversations(stored)[0].id
    real = locks.hold
    monkeypatch.setattr(locks, "hold", lambda lock, stage: real(lock, stage, patience=0.0))
    with real(locks.TRAINING, "grpo"):
        refused = run("forget", name)
    assert refused.exit_code == 1
    assert "held by grpo" in refused.output
    assert name in {each.id for each in read_conversations(stored)}
