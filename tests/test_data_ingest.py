"""Ingestion from source to snapshot: what is published, what is reused, and how it fails."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data import ingest as ingest_module
from data import snapshot
from data.ingest import EmptyDataset, ingest
from data.reporting import Reporter, Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources import SourceError

MINI = Path(__file__).parent / "fixtures" / "sgd"
#: The hand-written dialogues are much alike, so that duplicates are only reported here.
SETTINGS = DataSettings(source="sgd", path=MINI, duplicates="report")


class Listener(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_good_records_are_published_and_bad_ones_counted() -> None:
    report = ingest(SETTINGS, Silent())
    assert not report.reused
    assert report.conversations == {
        "train": 5,
        "validation_seen": 1,
        "validation_unseen": 1,
        "test_seen": 1,
        "test_unseen": 1,
        "test_mixed": 1,
        "excluded": 2,
    }
    assert report.quarantined == {
        "missing_argument": 1,
        "unknown_tool": 1,
        "unknown_argument": 1,
        "wrong_argument_type": 1,
        "wrong_argument_value": 1,
        "not_a_dialogue": 2,
        "unknown_service": 1,
        "unknown_act": 1,
        "bad_role_order": 1,
        "empty_message": 1,
        "duplicate_id": 1,
        "unreadable_file": 2,
    }
    stored = snapshot.read_conversations(report.dataset_version)
    assert len(stored) == 12
    points = snapshot.read_decision_points(report.dataset_version)
    assert len(points) == sum(report.decision_points.values())
    assert sum(point.kind == "call" for point in points) == sum(len(m.tool_calls) for c in stored for m in c.messages)


def test_the_same_again_is_reused_and_said() -> None:
    first, listener = ingest(SETTINGS, Silent()), Listener()
    second = ingest(SETTINGS, listener)
    assert second.reused
    assert first.changes == {"new": 12}
    assert second.changes == {"new": 0, "changed": 0, "removed": 0, "unchanged": 12}
    assert second.compared_with == first.dataset_version
    beside = {"seconds", "reused", "changes", "compared_with"}
    assert second.model_dump(exclude=beside) == first.model_dump(exclude=beside)
    assert any("reusing" in line for line in listener.said)


def test_other_rows_get_another_version(tmp_path: Path) -> None:
    versions = {ingest(SETTINGS.model_copy(update={"conversations": 6}), Silent()).dataset_version}
    versions.add(ingest(SETTINGS, Silent()).dataset_version)
    versions.add(ingest(SETTINGS.model_copy(update={"max_result_rows": 1}), Silent()).dataset_version)
    changed = shutil.copytree(MINI, tmp_path / "sgd")
    (changed / "train" / "dialogues_004.json").unlink()
    versions.add(ingest(SETTINGS.model_copy(update={"path": changed}), Silent()).dataset_version)
    assert len(versions) == 4


def test_the_place_of_the_files_is_no_part_of_the_version(tmp_path: Path) -> None:
    first = ingest(SETTINGS, Silent())
    moved = shutil.copytree(MINI, tmp_path / "moved")
    second = ingest(SETTINGS.model_copy(update={"path": moved}), Silent())
    assert second.reused
    assert second.dataset_version == first.dataset_version


@pytest.mark.parametrize("left", [-1, 100, 0])
def test_a_truncated_snapshot_is_noticed_set_aside_and_published_anew(isolated_var: Path, left: int) -> None:
    report = ingest(SETTINGS, Silent())
    file = isolated_var / "datasets" / report.dataset_version / "conversations.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:left])
    again = ingest(SETTINGS, Silent())
    assert (again.dataset_version, again.reused) == (report.dataset_version, False)
    assert file.read_bytes() == whole
    assert ingest(SETTINGS, Silent()).reused


def test_a_snapshot_whose_manifest_cannot_be_read_is_in_nobody_s_way(
    isolated_var: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = ingest(SETTINGS, Silent())
    stray = isolated_var / "datasets" / "other"
    stray.mkdir()
    (stray / "manifest.json").write_text('{"format": 1, "data')
    said: list[str] = []
    reporter = Silent()
    reporter.say = said.append  # type: ignore[method-assign]
    again = ingest(SETTINGS, reporter)
    assert (again.dataset_version, again.reused) == (report.dataset_version, True)
    assert any("other" in text and "set aside" in text for text in said)
    assert not stray.exists()
    assert [file.name for file in isolated_var.glob("datasets/.other-*.damaged/*")] == ["manifest.json"]
    newer = isolated_var / "datasets" / "newer"
    newer.mkdir()
    (newer / "manifest.json").write_text('{"format": 999}')
    with pytest.raises(snapshot.SnapshotError, match="update the code"):
        ingest(SETTINGS, Silent())
    assert newer.exists(), "newer code knows what it is"


def test_nothing_to_train_on_is_an_error_that_says_why(tmp_path: Path, isolated_var: Path) -> None:
    empty = shutil.copytree(MINI, tmp_path / "sgd")
    for file in (empty / "train").glob("dialogues_*"):
        file.unlink()
    (empty / "train" / "dialogues_001.json").write_text("[3]")
    with pytest.raises(EmptyDataset, match=r"no conversation to train on \(7 in other splits.*1 not_a_dialogue"):
        ingest(SETTINGS.model_copy(update={"path": empty}), Silent())
    assert snapshot.latest() is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (DataSettings(source="sgd", path=Path("nowhere")), "--path DIR"),
        (DataSettings(source="nowhere"), "choose one of"),
    ],
)
def test_what_cannot_be_found_is_a_source_error(settings: DataSettings, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        ingest(settings, Silent())


class _Repeating:
    """A source that yields the same conversation twice, then stops as if the power went."""

    name = "repeating"
    evaluation_only = False

    def __init__(self, conversation: Conversation, error: BaseException | None = None) -> None:
        self.conversation, self.error = conversation, error

    def fingerprint(self, settings: DataSettings) -> str:
        return "same"

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        assert not gc.isenabled()
        yield self.conversation
        yield self.conversation
        if self.error:
            raise self.error


def use(source: _Repeating, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_source(name: str) -> _Repeating:
        return source

    monkeypatch.setattr(ingest_module, "get_source", get_source)


@pytest.fixture
def trainable(tiny_conversations: list[Conversation]) -> Conversation:
    return tiny_conversations[0].model_copy(update={"split": "train"})


def test_a_repeated_conversation_is_quarantined(trainable: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    use(_Repeating(trainable), monkeypatch)
    report = ingest(DataSettings(), Silent())
    assert report.conversations == {"train": 1}
    assert report.quarantined == {"duplicate_id": 1}


def test_an_interrupted_ingestion_leaves_nothing_behind_and_can_be_repeated(
    trainable: Conversation, monkeypatch: pytest.MonkeyPatch, isolated_var: Path
) -> None:
    use(_Repeating(trainable, KeyboardInterrupt()), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        ingest(DataSettings(), Silent())
    assert gc.isenabled()
    assert snapshot.latest() is None
    use(_Repeating(trainable), monkeypatch)
    assert snapshot.exists(ingest(DataSettings(), Silent()).dataset_version)


def test_an_evaluation_only_source_needs_no_training_data_and_gives_none(
    trainable: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = trainable.model_copy(update={"split": "test_unseen"})
    for item in (trainable, judged):
        source = _Repeating(item)
        source.evaluation_only = True
        use(source, monkeypatch)
        monkeypatch.setattr(source, "fingerprint", lambda settings, split=item.split: split)
        if item is trainable:
            with pytest.raises(EmptyDataset, match=r"no conversation to judge by .*2 evaluation_only"):
                ingest(DataSettings(), Silent())
        else:
            assert ingest(DataSettings(), Silent()).conversations == {"test_unseen": 1}


@pytest.mark.real
def test_real_slice_of_20_conversations(shared_data: Callable[[str], Path]) -> None:
    settings = DataSettings(source="sgd", path=shared_data("sgd"), conversations=20)
    report = ingest(settings, Silent())
    assert sum(report.conversations.values()) + sum(report.quarantined.values()) == 20
    results = [
        json.loads(message.content or "")
        for conversation in snapshot.read_conversations(report.dataset_version)
        for message in conversation.messages
        if message.role == "tool"
    ]
    assert results
    assert all(len(result["results"]) == min(3, result["total"]) for result in results)
