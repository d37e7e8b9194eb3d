"""Forgetting: not a byte of the conversation is left, everything else stays as it was, and it does not come back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data import evaluation_set, paths, rollouts, snapshot, validations, warehouse
from data.erasing import erase_lines, erase_rows, rows_of
from data.evaluations import EVALUATION_SCHEMA, append_evaluations, read_evaluations
from data.forget import Forgotten, UnknownConversation, forget
from data.ingest import IngestReport, ingest
from data.parquet import DamagedFile, set_aside_damaged
from data.reporting import Reporter, Silent
from data.rollouts import ROLLOUT_SCHEMA, append_rollouts, read_rollouts
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources.simulated import Simulated
from data.tombstones import forgotten_ids, without_forgotten
from data.validations import VALIDATION_SCHEMA

SECRET = "Zyxwvut-Quorum-77"


class Given(Simulated):
    """A source of given conversations."""

    name = "fixture"

    def __init__(self, conversations: list[Conversation]) -> None:
        super().__init__()
        self.conversations = conversations

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        yield from self.conversations


Ingest = Callable[..., IngestReport]


@pytest.fixture
def said(tiny_conversations: list[Conversation]) -> list[Conversation]:
    """The hand-written conversations; the first, of train, says a word that stands nowhere else."""
    first, *others = tiny_conversations
    messages = list(first.messages)
    at = next(index for index, message in enumerate(messages) if message.role == "user")
    messages[at] = messages[at].model_copy(update={"content": f"{messages[at].content} My word is {SECRET}."})
    marked = first.model_copy(update={"split": "train", "messages": tuple(messages)})
    return [
        each.model_copy(update={"source": "fixture", "id": f"fixture/{each.record_id}"}) for each in (marked, *others)
    ]


@pytest.fixture
def ingested(said: list[Conversation], monkeypatch: pytest.MonkeyPatch) -> Ingest:
    from data import ingest as module

    def run(**changes: Any) -> IngestReport:
        monkeypatch.setattr(module, "get_source", lambda name: Given(said))
        return ingest(DataSettings(**changes), Silent())

    return run


def blank(schema: Any, filled: tuple[str, ...], **values: Any) -> dict[str, Any]:
    """A row of a stored table with something in every column."""
    kinds: dict[str, Any] = {"string": "x", "int64": 1, "bool": True, "double": 0.5}
    row = {field.name: kinds[str(field.type)] for field in schema if field.name not in filled}
    return {**row, **values}


def leave_traces(version: str, names: list[str]) -> None:
    """Rollouts of two runs and an evaluation of these conversations, with a list beside the snapshot."""
    for run_id, which in (("run-a", names), ("run-b", names[1:])):
        rows = [
            blank(ROLLOUT_SCHEMA, rollouts.FILLED_IN, decision_point_id=f"{name}#2", dataset_version=version, text=name)
            for name in which
        ]
        append_rollouts(run_id, 1, rows)
    validated = [
        blank(
            VALIDATION_SCHEMA,
            validations.FILLED_IN,
            decision_point_id=f"{name}#2",
            conversation_id=name,
            text=SECRET if name == names[0] else "x",
        )
        for name in names
    ]
    validations.append_validations("run-a", 1, validated)
    judged = [
        blank(
            EVALUATION_SCHEMA,
            ("evaluation_id", "created_at"),
            decision_point_id=f"{name}#2",
            conversation_id=name,
            run_id="run-a",
            text=SECRET if name == names[0] else "x",
        )
        for name in names
    ]
    append_evaluations("eval-1", judged)
    lines = [json.dumps({"decision_point_id": f"{name}#2", "reason": "x"}) for name in names]
    paths.gold_failures(version).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def bytes_of(word: str) -> list[Path]:
    """Files under ``var/`` that hold a word, also inside Parquet."""
    import pyarrow.parquet as pq

    found = []
    for file in (path for path in paths.var().rglob("*") if path.is_file()):
        inside = str(pq.read_table(file).to_pylist()) if file.suffix == ".parquet" else ""
        if word in inside or word.encode() in file.read_bytes():
            found.append(file)
    return found


def test_nothing_of_it_is_left_and_everything_else_stays(said: list[Conversation], ingested: Ingest) -> None:
    version = ingested().dataset_version
    names = [each.id for each in said]
    stored = [one.id for one in snapshot.read_conversations(version)]
    leave_traces(version, names)
    assert {path.name for path in bytes_of(SECRET)} >= {"conversations.parquet", "messages.parquet", "warehouse.duckdb"}
    others = {one.id: one for one in snapshot.read_conversations(version) if one.id != names[0]}
    before = snapshot.read_manifest(version)

    report = forget(names[0], Silent())

    assert bytes_of(SECRET) == []
    assert [path.name for path in bytes_of(f"{names[0]}#")] == []
    assert {path.name for path in bytes_of(names[0])} <= {"forgotten.jsonl"}
    snapshot.verify(version)
    assert {one.id: one for one in snapshot.read_conversations(version)} == others
    assert len(others) == len(stored) - 1
    assert names[0] not in {point.conversation_id for point in snapshot.read_decision_points(version)}
    after = snapshot.read_manifest(version)
    assert after.files.keys() == before.files.keys()
    assert after.files["conversations.parquet"] != before.files["conversations.parquet"]
    assert after.files["quarantine.parquet"] == before.files["quarantine.parquet"]
    assert after.dataset.counts["conversations"]["train"] == before.dataset.counts["conversations"]["train"] - 1
    assert warehouse.stored_versions()[0].counts == after.dataset.counts
    assert len(read_rollouts("run-a")) == len(names) - 1
    assert len(read_rollouts("run-b")) == len(names) - 1
    assert list(read_evaluations("eval-1")["conversation_id"]) == names[1:]
    assert list(validations.read_validations("run-a")["conversation_id"]) == names[1:]
    assert len(paths.gold_failures(version).read_text(encoding="utf-8").splitlines()) == len(names) - 1
    assert report == Forgotten(
        conversation_id=names[0],
        newly=True,
        warehouse_rows=report.warehouse_rows,
        snapshots={version: "train"},
        was_in={version: "train"},
        rollouts={"run-a": 2},
        evaluations={"eval-1": 1},
    )
    assert report.warehouse_rows > 5


def test_the_rewritten_snapshot_is_what_the_warehouse_would_publish(said: list[Conversation], ingested: Ingest) -> None:
    version = ingested().dataset_version
    forget(said[0].id, Silent())
    rewritten = {one.id: one for one in snapshot.read_conversations(version)}
    points = [point.id for point in snapshot.read_decision_points(version)]
    counts = snapshot.manifest(version).counts
    paths.dataset(version).rename(paths.var() / "elsewhere")
    snapshot.publish(version)
    assert {one.id: one for one in snapshot.read_conversations(version)} == rewritten
    assert [point.id for point in snapshot.read_decision_points(version)] == points
    assert snapshot.manifest(version).counts == counts


def test_the_next_ingestion_does_not_bring_it_back(said: list[Conversation], ingested: Ingest) -> None:
    version = ingested().dataset_version
    forget(said[0].id, Silent())
    assert ingested().dataset_version == version  # reused as it was rewritten
    other = ingested(max_result_rows=7)
    assert other.dataset_version != version
    assert other.quarantined["forgotten"] == 1
    assert said[0].id not in {one.id for one in snapshot.read_conversations(other.dataset_version)}
    assert bytes_of(SECRET) == []


def test_an_evaluation_item_leaves_the_frozen_set(said: list[Conversation], ingested: Ingest) -> None:
    ingested()
    judged = [item.conversation_id for item in evaluation_set.load()]
    assert judged
    forget(judged[0], Silent())
    assert judged[0] not in [item.conversation_id for item in evaluation_set.load()]
    assert bytes_of(f"{judged[0]}#") == []


def test_again_is_no_error_and_unknown_is_one(said: list[Conversation], ingested: Ingest) -> None:
    ingested()
    assert forget(said[0].id, Silent()).newly
    again = forget(said[0].id, Silent())
    assert (again.newly, again.snapshots, again.warehouse_rows) == (False, {}, 0)
    with pytest.raises(UnknownConversation, match="apprentice query"):
        forget("fixture/nobody", Silent())
    assert list(forgotten_ids()) == [said[0].id]


def test_a_file_that_cannot_be_read_stops_it_before_anything_is_changed(
    said: list[Conversation], ingested: Ingest
) -> None:
    version = ingested().dataset_version
    leave_traces(version, [each.id for each in said])
    torn = sorted(paths.rollouts().rglob("*.parquet"))[-1]
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedFile):
        forget(said[0].id, Silent())
    assert not forgotten_ids()
    assert said[0].id in {one.id for one in snapshot.read_conversations(version)}
    torn.write_bytes(whole)
    assert forget(said[0].id, Silent()).was_in == {version: "train"}
    assert forget(said[0].id, Silent()).was_in == {version: "train"}


def test_pages_that_quote_it_are_named_and_stay(said: list[Conversation], ingested: Ingest, isolated_var: Path) -> None:
    ingested()
    text = next(str(message.content) for message in said[0].messages if SECRET in str(message.content))
    from jinja2 import Environment

    shown = Environment(autoescape=True).from_string("<p>{{ text }}</p>").render(text=f'It\'s "{text}"'[:600])
    pages = {
        "reports/week.html": shown,
        "comparisons/c/examples.md": f"`{said[0].id}#3` was wrong",
        "mlartifacts/1/report.json": json.dumps({"said": text}),
        "reports/other.html": "<p>Nothing of it.</p>",
        "comparisons/c/others.md": f"`{said[0].id}0#3` was right",
        "downloads/raw.json": json.dumps(text),
    }
    for name, content in pages.items():
        (isolated_var / name).parent.mkdir(parents=True, exist_ok=True)
        (isolated_var / name).write_text(content)
    quoted = tuple(list(pages)[place] for place in (0, 1, 2))
    assert forget(said[0].id, Silent()).quoted == quoted
    assert forget(said[0].id, Silent()).quoted == quoted  # until they are gone
    assert all((isolated_var / name).read_text() == content for name, content in pages.items())
    (isolated_var / "reports" / "week.html").unlink()
    assert forget(said[0].id, Silent()).quoted == quoted[1:]


def test_a_conversation_whose_id_begins_alike_stays(said: list[Conversation], ingested: Ingest) -> None:
    longer = said[0].model_copy(update={"id": f"{said[0].id}0", "record_id": f"{said[0].record_id}0"})
    said[1:] = [each for each in said[1:] if each.id != longer.id]
    said.append(longer.model_copy(update={"messages": said[1].messages, "tools": said[1].tools}))
    version = ingested(duplicates="report").dataset_version
    before = len(snapshot.read_decision_points(version))
    removed = sum(point.conversation_id == said[0].id for point in snapshot.read_decision_points(version))
    forget(said[0].id, Silent())
    assert len(snapshot.read_decision_points(version)) == before - removed
    assert longer.id in {one.id for one in snapshot.read_conversations(version)}


def test_the_order_of_versions_stays(said: list[Conversation], ingested: Ingest) -> None:
    ingested(max_result_rows=7)
    newest = ingested().dataset_version
    forget(said[0].id, Silent())
    assert snapshot.latest() == newest


@pytest.mark.parametrize("moment", ["before the swap", "between the renames", "after the renames"])
def test_a_kill_at_any_moment_is_mended_by_the_next_call(
    said: list[Conversation], ingested: Ingest, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = ingested().dataset_version
    real_rename, real_rmtree = Path.rename, shutil.rmtree
    renames = []

    class Killed(BaseException): ...

    def rename(path: Path, target: Path) -> Path:
        renames.append(path)
        if len(renames) == {"before the swap": 1, "between the renames": 2}.get(moment, 9):
            raise Killed
        return real_rename(path, target)

    def rmtree(path: Path, **options: Any) -> None:
        if moment == "after the renames" and str(path).endswith(".replaced"):
            raise Killed
        if not isinstance(path, Path) or not path.name.endswith(".writing"):
            real_rmtree(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(Killed):
            forget(said[0].id, Silent())
    forget(said[0].id, Silent())
    snapshot.verify(version)
    assert said[0].id not in {one.id for one in snapshot.read_conversations(version)}
    assert bytes_of(SECRET) == []
    assert [path.name for path in paths.datasets().iterdir()] == [version]


def test_the_same_record_of_another_source_is_named(said: list[Conversation], ingested: Ingest) -> None:
    twin = said[1].model_copy(update={"id": f"fixture-x/{said[0].record_id}"})
    said[1] = twin
    ingested(duplicates="report")
    assert forget(said[0].id, Silent()).same_record == (twin.id,)


def test_a_rejected_record_is_forgotten_too(said: list[Conversation], ingested: Ingest) -> None:
    said.append(said[1].model_copy(update={"id": "fixture/bad", "record_id": "bad", "messages": ()}))
    version = ingested().dataset_version
    assert rows_of(paths.dataset(version) / "quarantine.parquet", "fixture/bad") == 1
    forget("fixture/bad", Silent())
    assert rows_of(paths.dataset(version) / "quarantine.parquet", "fixture/bad") == 0
    assert snapshot.manifest(version).counts["quarantined"] == {"duplicate": 1}


def test_a_forgotten_record_that_is_rejected_next_time_says_no_more_than_that(
    said: list[Conversation], ingested: Ingest
) -> None:
    ingested()
    forget(said[0].id, Silent())
    broken = Quarantined(
        source=said[0].source, record_id=said[0].record_id, reason="not_json", detail="Ada Lovelace lives here"
    )
    found, other = without_forgotten([broken, broken.model_copy(update={"record_id": "another"})])
    assert isinstance(found, Quarantined)
    assert (found.reason, "Ada" in str(found.detail)) == ("forgotten", False)
    # By a tombstone from when places had no folder; what has an id of its own is not mistaken for it.
    (moved,) = without_forgotten([broken.model_copy(update={"record_id": f"2026-11/{said[0].record_id}"})])
    assert isinstance(moved, Quarantined)
    assert moved.reason == "forgotten"
    assert other.reason == "not_json"


def test_unfinished_and_damaged_files_go_whatever_they_hold(said: list[Conversation], ingested: Ingest) -> None:
    ingested()
    torn = []
    for directory in (paths.rollouts() / "run", paths.evaluations() / "one"):
        directory.mkdir(parents=True)
        torn.append(directory / ".step-00000001-attempt-0001.parquet.writing")
        torn[-1].write_text("Ada Lovelace lives here")
        torn.append(directory / "step-00000001-attempt-0002.parquet")
        torn[-1].write_text("Ada Lovelace lives here, too")
        assert set_aside_damaged([torn.pop()])
        torn.append(directory / ".step-00000001-attempt-0002.parquet.damaged")
        assert torn[-1].exists()
    forget(said[0].id, Silent())
    assert not any(file.exists() for file in torn)


def test_snapshots_that_were_set_aside_go_whatever_they_hold(said: list[Conversation], ingested: Ingest) -> None:
    version = ingested().dataset_version
    snapshot.set_aside(version)
    paths.dataset(version).mkdir()  # a copy cut short: no manifest
    shutil.copy(next(paths.datasets().glob(".*.damaged/conversations.parquet")), paths.dataset(version))
    snapshot.publish(version)
    assert {path.suffix for path in paths.datasets().iterdir()} == {"", ".damaged", ".incomplete"}
    forget(said[0].id, Silent())
    assert [path.name for path in paths.datasets().iterdir()] == [version]
    assert bytes_of(SECRET) == []


def test_what_only_the_warehouse_holds_is_forgotten_too(said: list[Conversation], ingested: Ingest) -> None:
    said.append(said[1].model_copy(update={"id": "fixture/bad", "record_id": "bad", "messages": ()}))
    version = ingested().dataset_version
    shutil.rmtree(paths.dataset(version))  # by hand
    paths.evaluation_set().rename(paths.var() / "downloads")
    report = forget(said[0].id, Silent())
    assert report.warehouse_rows > 5
    assert (report.newly, report.snapshots) == (True, {})
    assert report.was_in == {version: "train"}  # who was trained on it is still to be named
    assert bytes_of(SECRET) == []
    assert forget("fixture/bad", Silent()).warehouse_rows == 1
    with pytest.raises(UnknownConversation):
        forget("fixture/nobody", Silent())


# --- single files


def test_lines_of_a_conversation_whose_id_begins_alike_stay(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    lines = [f'{{"decision_point_id": "sim/{number}#2"}}' for number in ("1", "10", "1")]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert erase_lines(file, "sim/1") == 2
    assert file.read_text(encoding="utf-8").strip() == lines[1]


def test_a_file_loses_its_rows_but_not_its_type(tmp_path: Path) -> None:
    rows = [blank(ROLLOUT_SCHEMA, rollouts.FILLED_IN, decision_point_id=f"{name}#2") for name in ("s/1", "s/10", "s/1")]
    file = append_rollouts("run", 1, rows)
    schema = __import__("pyarrow.parquet").parquet.read_schema(file)
    assert erase_rows(file, "s/2") == 0
    assert erase_rows(file, "s/1") == 2
    assert read_rollouts("run")["decision_point_id"].tolist() == ["s/10#2"]
    assert erase_rows(file, "s/10") == 1
    assert len(read_rollouts("run")) == 0
    assert __import__("pyarrow.parquet").parquet.read_schema(file).names == schema.names
    assert append_rollouts("run", 1, rows).name == "step-00000001-attempt-0002.parquet"


def test_lines_that_are_no_json_stay(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text(
        '{"conversation_id": "s/1"}\nnot json\n[1]\n{"decision_point_id": "s/1#4"}\n{"a": 1}', encoding="utf-8"
    )
    assert erase_lines(file, "s/1") == 2
    assert file.read_text(encoding="utf-8") == 'not json\n[1]\n{"a": 1}'
