"""What separates two versions: conversations new, changed and gone, per split, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from data import ingest as ingest_module
from data.diff import UnknownVersion, diff, find_version
from data.ingest import ingest
from data.reporting import Reporter, Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources.simulated import Simulated


class Given(Simulated):
    name = "fixture"

    def __init__(self, conversations: list[Any]) -> None:
        super().__init__()
        self.conversations = conversations

    def fingerprint(self, settings: DataSettings) -> str:
        return str(hash(str(self.conversations)))

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        yield from self.conversations


def stored(conversations: list[Any], monkeypatch: pytest.MonkeyPatch, **changes: Any) -> str:
    monkeypatch.setattr(ingest_module, "get_source", lambda name: Given(conversations))
    return ingest(DataSettings(**{"duplicates": "report", **changes}), Silent()).dataset_version


@pytest.fixture
def four(tiny_conversations: list[Conversation]) -> list[Conversation]:
    splits = ("train", "train", "validation_seen", "test_seen")
    return [each.model_copy(update={"split": split}) for each, split in zip(tiny_conversations, splits, strict=False)]


def test_new_changed_and_removed_per_split(
    four: list[Conversation], tiny_conversations: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(four, monkeypatch)
    same, gone, reworded, moved = four
    first, *others = reworded.messages
    reworded = reworded.model_copy(update={"messages": (first.model_copy(update={"content": "Be brief."}), *others)})
    moved = moved.model_copy(update={"metadata": {"seen": 1}})
    added = tiny_conversations[4].model_copy(update={"split": "test_unseen"})
    rejected = Quarantined(source="fixture", record_id="z", reason="odd", detail="x")
    after = stored([same, reworded, moved, added, rejected], monkeypatch)
    found = diff(before[:6], after)
    assert (found.before, found.after) == (before, after)
    assert found.new == {added.id: "test_unseen"}
    assert found.removed == {gone.id: "train"}
    assert {each.conversation_id: each.parts for each in found.changed} == {
        reworded.id: ("messages",),
        moved.id: ("metadata",),
    }
    assert {split: tuple(counts.model_dump().values()) for split, counts in found.splits.items()} == {
        "train": (0, 0, 1, 1),
        "validation_seen": (0, 1, 0, 0),
        "test_seen": (0, 1, 0, 0),
        "test_unseen": (1, 0, 0, 0),
    }
    assert found.quarantined == {"odd": (0, 1)}
    assert "raw records" in found.causes
    back = diff(after, before)
    assert (back.new, back.removed) == ({gone.id: "train"}, {added.id: "test_unseen"})


def test_a_conversation_that_changes_split_is_a_change(
    four: list[Conversation], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(four, monkeypatch)
    moved = four[1].model_copy(update={"split": "validation_seen"})
    found = diff(before, stored([four[0], moved, *four[2:]], monkeypatch))
    (change,) = found.changed
    assert (change.conversation_id, change.parts) == (moved.id, ("split",))
    assert (change.split_before, change.split) == ("train", "validation_seen")


def test_causes_name_settings_alone(four: list[Conversation], monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = (stored(four, monkeypatch, max_result_rows=rows) for rows in (3, 7))
    found = diff(before, after)
    assert found.causes == ("data.max_result_rows",)
    assert (found.new, found.removed, found.changed) == ({}, {}, ())
    assert diff(before, before).causes == ()


def test_a_name_may_be_cut_short_but_not_made_up(four: list[Conversation], monkeypatch: pytest.MonkeyPatch) -> None:
    version = stored(four, monkeypatch)
    assert find_version(version[:3]) == version
    with pytest.raises(UnknownVersion, match=rf"names no dataset version.*{version} \(fixture\)"):
        diff(version, "zzz")
    with pytest.raises(UnknownVersion):
        find_version("")
