"""A model goes on with another dataset, unless it has learned from what that dataset holds out for judging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from data import snapshot
from data.schema import Conversation, Message, Split, ToolCall
from tasks import records
from tasks.held_out import ReadBefore, require_unread
from tasks.records import Record

DATASETS: dict[str, dict[str, Split]] = {
    "week-1": {"ferry": "train", "hotel": "validation_seen"},
    "week-2": {"ferry": "train", "hotel": "validation_seen", "bus": "train", "plane": "test_unseen"},
    "other splits": {"bus": "train", "ferry": "test_seen"},
    "thoughts": {"plane": "train"},
}


def conversation(version: str, said: str, split: Split) -> Conversation:
    """Its id differs from version to version, as in logs that were exported twice."""
    messages = (Message(role="user", content=f"I need a {said}."), Message(role="assistant", content="Where to?"))
    return Conversation(
        id=f"log/{version}-{said}",
        source="log",
        record_id=said,
        split=split,
        domains=("travel",),
        tools=(),
        messages=messages,
    )


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(version: str, splits: Sequence[Split] | None = None) -> list[Conversation]:
        of = DATASETS[version].items()
        return [conversation(version, said, split) for said, split in of if splits is None or split in splits]

    monkeypatch.setattr(snapshot, "exists", DATASETS.__contains__)
    monkeypatch.setattr(snapshot, "read_conversations", read)


def run(stage: str, run_id: str, version: str, start: str | None = None, **settings: Any) -> Record:
    facts = {"stage": stage, "key": run_id, "status": "done", "run_id": run_id, "start_run_id": start}
    record = Record.model_validate({**facts, "dataset_version": version, "settings": settings, "ended": "2026"})
    records.save(record)
    return record


def test_last_week_s_model_goes_on_with_this_week_s_conversations() -> None:
    run("base", "base", "week-1")
    require_unread(run("sft", "sft", "week-1", "base"), "week-2")


def test_a_base_model_has_learned_from_no_dataset() -> None:
    require_unread(run("base", "base", "week-1"), "other splits")


def test_what_it_came_from_counts_and_what_was_read_is_named() -> None:
    sft = run("sft", "sft", "week-1")
    later = run("primed", "primed", "week-2", sft.run_id)
    with pytest.raises(
        ReadBefore, match=r"run sft, .* train split has 1 conversations \(such as log/other splits-ferry\)"
    ):
        require_unread(later, "other splits")


def test_thoughts_of_another_dataset_are_read_too() -> None:
    primed = run("primed", "primed", "week-1", rationales="thoughts")
    with pytest.raises(ReadBefore, match=r"run primed, .* dataset thoughts, whose train split"):
        require_unread(primed, "week-2")


def test_going_on_with_its_own_dataset_needs_no_other() -> None:
    require_unread(run("primed", "primed", "week-1", rationales="gone"), "week-1")


def test_a_dataset_that_is_gone_is_no_proof() -> None:
    sft = run("sft", "sft", "gone")
    require_unread(sft, "gone")  # its own: nothing to compare
    with pytest.raises(ReadBefore, match="dataset gone, which is not here"):
        require_unread(sft, "week-2")


def test_thoughts_that_are_about_to_be_learned_count_whatever_the_model_has_read() -> None:
    sft = run("sft", "sft", "week-2")
    with pytest.raises(ReadBefore, match=r"would learn the thoughts .* of dataset thoughts, .*week-2-plane"):
        require_unread(sft, "week-2", thoughts="thoughts")
    require_unread(sft, "week-2", thoughts="week-2")  # its own
    require_unread(run("sft", "other", "week-1"), "week-1", thoughts="thoughts")  # nothing of it is held out there
    with pytest.raises(ReadBefore, match="dataset gone, which is not here"):
        require_unread(sft, "week-2", thoughts="gone")


def test_a_conversation_is_the_same_under_other_names_of_its_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``data.rename_tools`` publishes them: what is said stays."""
    monkeypatch.setitem(DATASETS, "renamed", {"plane": "train"})
    read = snapshot.read_conversations

    def renamed(version: str, splits: Sequence[Split] | None = None) -> list[Conversation]:
        calls = (ToolCall(id="c", name=f"Find{version}", arguments={}, arguments_raw="{}"),)
        said = Message(role="assistant", tool_calls=calls)
        return [
            one.model_copy(update={"messages": (*one.messages, said), "tools": ()}) for one in read(version, splits)
        ]

    monkeypatch.setattr(snapshot, "read_conversations", renamed)
    run("base", "base", "renamed")
    with pytest.raises(ReadBefore, match="renamed, whose train split has 1 conversations"):
        require_unread(run("sft", "sft", "renamed", "base"), "week-2")


def test_what_says_nothing_is_no_conversation_that_both_have(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = conversation("week-2", "", "test_seen").model_copy(update={"messages": (Message(role="system"),)})
    monkeypatch.setattr(snapshot, "read_conversations", lambda version, splits=None: [silent])
    run("base", "base", "week-1")
    require_unread(run("sft", "sft", "week-1", "base"), "week-2")
