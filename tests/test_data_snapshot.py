"""A snapshot gives back exactly what was stored, is never half there, and is never trusted when it has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import paths, snapshot, warehouse
from data.decision_points import decision_points
from data.schema import SPLITS, Act, Conversation, DecisionPoint, Fact, Message, Quarantined, ToolCall, ToolSpec
from data.settings import DataSettings
from data.snapshot import SnapshotDamaged, SnapshotError, SnapshotMissing
from data.versions import DatasetVersion, describe_version

REJECTED = [Quarantined(source="handwritten", record_id="7", reason="unknown_tool", detail="message 3")]
PUBLISH = "import sys; from data import snapshot; print(snapshot.publish(sys.argv[1]))"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=objects, arguments_raw=texts)
facts = st.builds(
    Fact, name=texts, kind=st.sampled_from(["value", "boolean"]), forms=st.lists(texts, min_size=1).map(tuple)
)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.none() | texts,
    tool_calls=st.lists(calls, max_size=2).map(tuple),
    tool_call_id=st.none() | texts,
    facts=st.lists(facts, max_size=2).map(tuple),
    acts=st.lists(st.sampled_from(Act), max_size=2).map(tuple),
    requested=st.lists(texts, max_size=2).map(tuple),
    rationale=st.none() | texts,
)
tools = st.builds(ToolSpec, name=texts.filter(bool), description=texts, parameters=objects, is_write=st.booleans())
conversations = st.builds(
    Conversation,
    id=texts,
    source=texts,
    record_id=texts,
    split=st.sampled_from(SPLITS),
    domains=st.lists(texts, max_size=2).map(tuple),
    tools=st.lists(tools, max_size=2).map(tuple),
    messages=st.lists(messages, max_size=4).map(tuple),
)


def every_message(conversation: Conversation) -> list[DecisionPoint]:
    """A decision point at each message, whatever its role."""
    return [
        DecisionPoint(
            id=f"{conversation.id}#{index}",
            conversation_id=conversation.id,
            message_index=index,
            source=conversation.source,
            split=conversation.split,
            domain="d",
            kind="call" if message.tool_calls else "answer",
            tool=message.tool_calls[0].name if message.tool_calls else None,
            tools=conversation.tools,
            history=conversation.messages[:index],
            expected=message,
        )
        for index, message in enumerate(conversation.messages)
    ]


def points_of(found: list[Conversation]) -> list[DecisionPoint]:
    return [point for conversation in found for point in decision_points(conversation)]


def by_id(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: item.id)


@pytest.fixture
def version() -> DatasetVersion:
    return describe_version("handwritten", "fingerprint", DataSettings(source="handwritten"))


@pytest.fixture
def published(version: DatasetVersion, tiny_conversations: list[Conversation]) -> str:
    """Name of a published snapshot of the hand-written conversations."""
    warehouse.store(version, tiny_conversations, points_of(tiny_conversations), REJECTED)
    snapshot.publish(version.version)
    return version.version


def test_reading_gives_back_what_was_stored(published: str, tiny_conversations: list[Conversation]) -> None:
    assert snapshot.read_conversations(published) == by_id(tiny_conversations)
    assert by_id(snapshot.read_decision_points(published)) == by_id(points_of(tiny_conversations))


@settings(max_examples=max(15, settings().max_examples // 10))  # each writes files; each holds several
@given(st.lists(conversations, max_size=8, unique_by=lambda conversation: conversation.id))
def test_any_conversation_survives(tmp_path_factory: pytest.TempPathFactory, found: list[Conversation]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPRENTICE_VAR", str(tmp_path_factory.mktemp("var")))
        points = [point for conversation in found for point in every_message(conversation)]
        version = describe_version("any", "f", DataSettings())
        warehouse.store(version, found, points, [])
        snapshot.publish(version.version)
        assert by_id(snapshot.read_conversations(version.version)) == by_id(found)
        assert by_id(snapshot.read_decision_points(version.version)) == by_id(points)


def test_reading_by_split_and_kind(published: str, tiny_conversations: list[Conversation]) -> None:
    expected = [point for point in points_of(tiny_conversations) if point.split == "train" and point.kind == "call"]
    assert by_id(snapshot.read_decision_points(published, ["train"], "call")) == by_id(expected)
    assert {one.split for one in snapshot.read_conversations(published, ["train"])} == {"train"}
    assert snapshot.read_conversations(published, ["excluded"]) == []
    with pytest.raises(ValueError, match="splits is empty"):
        snapshot.read_conversations(published, [])


def test_reading_decision_points_by_id(published: str, tiny_conversations: list[Conversation]) -> None:
    every = {point.id: point for point in points_of(tiny_conversations)}
    wanted = set(list(every)[::4])
    found = snapshot.read_points_by_id(published, wanted | {"handwritten/nobody#1"})
    assert found == {name: every[name] for name in wanted}


def test_points_of_a_conversation_share_its_messages(published: str) -> None:
    first, second = snapshot.read_decision_points(published)[:2]
    assert second.history[first.message_index] is first.expected


def test_empty_tables_are_typed(version: DatasetVersion) -> None:
    warehouse.store(version, [], [], [])
    directory = snapshot.publish(version.version)
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        [snapshot.MANIFEST, *(f"{table}.parquet" for table in warehouse.TABLES)]
    )
    schema = pq.read_schema(directory / "calls.parquet")
    assert str(schema.field("message_index").type) == "int32"
    assert snapshot.read_decision_points(version.version) == []


def test_publishing_again_leaves_the_files_alone(published: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in paths.dataset(published).iterdir()}
    assert snapshot.publish(published) == paths.dataset(published)
    assert {path: path.stat().st_mtime_ns for path in paths.dataset(published).iterdir()} == before


def test_bytes_do_not_depend_on_the_order_of_arrival(
    published: str, version: DatasetVersion, tiny_conversations: list[Conversation]
) -> None:
    before = snapshot.read_manifest(published)
    paths.dataset(published).rename(paths.var() / "aside")
    reversed_points = points_of(tiny_conversations)[::-1]
    warehouse.store(version, tiny_conversations[::-1], reversed_points, REJECTED)
    snapshot.publish(published)
    assert snapshot.read_manifest(published) == before


def test_manifest_tells_origin_and_counts(published: str, tiny_conversations: list[Conversation]) -> None:
    found = snapshot.manifest(published)
    assert (found.source, found.fingerprint) == ("handwritten", "fingerprint")
    assert found.total("conversations") == len(tiny_conversations)
    assert found.counts["quarantined"] == {"unknown_tool": 1}


def test_latest_is_the_one_of_a_source_published_or_used_again_last(version: DatasetVersion) -> None:
    assert snapshot.latest() is None
    for name, source in [("aa", "sgd"), ("bb", "sgd"), ("cc", "simulated")]:
        warehouse.store(version.model_copy(update={"version": name, "source": source}), [], [], [])
        snapshot.publish(name)
    assert snapshot.latest("sgd") == "bb"
    assert snapshot.latest() == "cc"
    assert snapshot.latest("unheard of") is None
    snapshot.use_again("aa")
    assert snapshot.latest("sgd") == snapshot.latest() == "aa"


def test_two_publishers_make_one_snapshot(version: DatasetVersion, tiny_conversations: list[Conversation]) -> None:
    warehouse.store(version, tiny_conversations, [], [])
    command = [sys.executable, "-c", PUBLISH, version.version]
    root = Path(__file__).parent.parent
    both = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [str(paths.dataset(version.version))] * 2
    snapshot.verify(version.version)
    assert [path.name for path in paths.datasets().iterdir()] == [version.version]


def test_failing_export_leaves_nothing(version: DatasetVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.store(version, [], [], [])
    exporting = warehouse.export

    def interrupted(name: str, directory: Path) -> None:
        exporting(name, directory)
        raise KeyboardInterrupt

    monkeypatch.setattr(warehouse, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        snapshot.publish(version.version)
    assert list(paths.datasets().iterdir()) == []


def test_what_a_kill_left_is_neither_listed_nor_kept_for_ever(version: DatasetVersion) -> None:
    old, young = (paths.datasets() / f".{version.version}-{age}.writing" for age in ("old", "young"))
    for draft in (old, young):
        draft.mkdir(parents=True)
        (draft / snapshot.MANIFEST).write_text("{")
    os.utime(old, (time.time() - 100_000,) * 2)
    assert snapshot.published() == []
    warehouse.store(version, [], [], [])
    snapshot.publish(version.version)
    assert (old.exists(), young.exists()) == (False, True)


def test_directory_without_a_manifest_is_no_snapshot_and_is_replaced(published: str) -> None:
    (paths.dataset(published) / snapshot.MANIFEST).unlink()
    assert not snapshot.exists(published)
    assert snapshot.latest() is None
    with pytest.raises(SnapshotMissing, match="run `apprentice ingest`"):
        snapshot.read_conversations(published)
    snapshot.publish(published)
    snapshot.verify(published)


@pytest.mark.parametrize("table", ["conversations", "messages", "quarantine"])
@pytest.mark.parametrize("damage", ["truncated", "one byte", "gone"])
def test_damage_is_found_and_the_cure_works(published: str, table: str, damage: str) -> None:
    file = paths.dataset(published) / f"{table}.parquet"
    content = file.read_bytes()
    file.unlink()
    if damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "one byte":
        file.write_bytes(content[:99] + bytes([content[99] ^ 1]) + content[100:])
    with pytest.raises(SnapshotDamaged, match=rf"{table}.parquet is .*; run `apprentice ingest` .*{published} aside"):
        snapshot.verify(published)
    snapshot.set_aside(published)
    assert not snapshot.exists(published)
    snapshot.publish(published)
    snapshot.verify(published)


def test_damaged_conversations_are_not_read(published: str) -> None:
    with (paths.dataset(published) / "conversations.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(SnapshotDamaged):
        snapshot.read_decision_points(published)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": "x"}'])
def test_unreadable_manifest_is_damage(published: str, text: str) -> None:
    (paths.dataset(published) / snapshot.MANIFEST).write_text(text)
    with pytest.raises(SnapshotDamaged, match="is not a manifest"):
        snapshot.manifest(published)


def test_manifest_of_a_newer_format_says_so(published: str) -> None:
    file = paths.dataset(published) / snapshot.MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": 99, "more": 1}))
    with pytest.raises(SnapshotError, match="format 99, this code reads up to 1"):
        snapshot.manifest(published)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "/etc"])
def test_names_that_would_leave_the_directory_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a directory"):
        snapshot.publish(name)
    with pytest.raises(ValueError, match="cannot name a directory"):
        snapshot.manifest(name)


def test_reading_needs_no_duckdb(published: str) -> None:
    program = (
        "import sys; from data import snapshot; snapshot.read_decision_points(sys.argv[1]);"
        "sys.exit('duckdb' in sys.modules or 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", program, published]
    assert subprocess.run(command, cwd=Path(__file__).parent.parent, check=False).returncode == 0
