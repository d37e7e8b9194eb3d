"""The warehouse keeps whole versions or nothing, and says who holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from data import paths, rows, snapshot, warehouse
from data.decision_points import decision_points
from data.rows import Unstorable
from data.schema import Conversation, DecisionPoint, Message, Quarantined, ToolCall
from data.settings import DataSettings
from data.versions import DatasetVersion, describe_version
from data.warehouse import WarehouseBusy, WarehouseError, connect, export, store, stored_versions

REJECTED = [
    Quarantined(source="sgd", record_id="7", reason="unknown_tool", detail="message 3 calls 'FindTaxi'"),
    Quarantined(source="sgd", record_id="9", reason="unknown_tool", detail="message 1 calls 'FindTaxi'"),
]
#: Forgets in copies of a warehouse, killed before ever another line of `_write_anew`, until a call comes to its end;
#: prints for each kill how many rows the next process finds, how many after the same call again, and what it left.
KILL_AT_EACH_LINE = """
import json, os, shutil, signal, sys
from pathlib import Path
import duckdb, pyarrow
from data.warehouse import connect, forget, removing
original, place, name = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def inside(work):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.close(write)
    killed = os.waitpid(child, 0)[1] != 0  # or ended by an error
    with open(read, "rb") as answer:
        return None if killed else json.loads(answer.read())

def killed_at(line):
    passed = 0
    def trace(frame, event, argument):
        nonlocal passed
        if frame.f_code is not removing._write_anew.__code__:
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    return forget(name)

def rows():
    with connect() as connection:
        return connection.execute("SELECT count(*) FROM messages WHERE conversation_id = ?", [name]).fetchone()[0]

found = []
for line in range(1, 100):
    os.environ["APPRENTICE_VAR"] = str(place / str(line))
    shutil.copytree(original.parent, place / str(line))
    if inside(lambda: killed_at(line)) is not None:
        break
    left, _, again = inside(lambda: [rows(), forget(name), rows()]) or [None] * 3
    found.append([left, again, sorted(path.name for path in (place / str(line)).iterdir())])
print(json.dumps(found))
"""
HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("holding", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def version() -> DatasetVersion:
    return describe_version("sgd", "fingerprint", DataSettings(source="sgd"))


@pytest.fixture
def points(tiny_conversations: list[Conversation]) -> list[DecisionPoint]:
    return [point for conversation in tiny_conversations for point in decision_points(conversation)]


@contextmanager
def held(file: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the warehouse open until the block ends."""
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        try:
            yield process
        finally:
            process.communicate("\n")


def count(table: str, condition: str = "true") -> int:
    with connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
    assert found is not None
    return int(found[0])


def counts() -> dict[str, int]:
    return {table: count(table) for table in [*warehouse.TABLES, "dataset_versions"]}


def test_store_fills_every_table(
    version: DatasetVersion, tiny_conversations: list[Conversation], points: list[DecisionPoint]
) -> None:
    stored = store(version, iter(tiny_conversations), iter(points), iter(REJECTED))
    messages = [message for conversation in tiny_conversations for message in conversation.messages]
    assert counts() == {
        "conversations": len(tiny_conversations),
        "messages": len(messages),
        "tools": sum(len(conversation.tools) for conversation in tiny_conversations),
        "calls": sum(len(message.tool_calls) for message in messages),
        "decision_points": len(points),
        "quarantine": 2,
        "flags": 0,
        "dataset_versions": 1,
    }
    assert stored.total("decision_points") == len(points)
    assert stored.counts["quarantined"] == {"unknown_tool": 2}
    assert stored_versions() == [stored]


def test_columns_can_be_asked(
    version: DatasetVersion, tiny_conversations: list[Conversation], points: list[DecisionPoint]
) -> None:
    store(version, tiny_conversations, points, [])
    fact = next(fact for point in points for fact in point.expected.facts)
    call = next(call for point in points for call in point.expected.tool_calls)
    key = next(iter(call.arguments))
    with connect() as connection:
        forms = connection.execute("SELECT facts->>'$[0].forms[0]' FROM messages").fetchall()
        values = connection.execute(f"SELECT arguments->>'{key}' FROM calls WHERE id = ?", [call.id]).fetchall()
        writes = connection.execute(
            "SELECT count(*) FROM calls JOIN tools USING (conversation_id, name) "
            "WHERE calls.is_write IS DISTINCT FROM tools.is_write"
        ).fetchone()
    assert (fact.forms[0],) in forms
    assert (str(call.arguments[key]),) in values
    assert writes == (0,)


def test_storing_again_changes_nothing(
    version: DatasetVersion, tiny_conversations: list[Conversation], points: list[DecisionPoint]
) -> None:
    first = store(version, tiny_conversations, points, REJECTED)
    before = counts()
    again = store(
        version.model_copy(update={"created_at": "2030-01-01T00:00:00+00:00"}), tiny_conversations, points, REJECTED
    )
    assert again == first
    assert counts() == before


def test_versions_live_side_by_side(
    version: DatasetVersion, tiny_conversations: list[Conversation], points: list[DecisionPoint]
) -> None:
    other = version.model_copy(update={"version": "0" * 12})
    store(version, tiny_conversations, points, [])
    store(other, tiny_conversations[:1], [], REJECTED)
    assert count("conversations", f"dataset_version = '{version.version}'") == len(tiny_conversations)
    assert count("conversations", "dataset_version = '000000000000'") == 1


def test_empty_version_is_stored(version: DatasetVersion) -> None:
    assert store(version, [], [], []).counts == {"conversations": {}, "decision_points": {}, "quarantined": {}}


def test_text_of_any_kind_survives(version: DatasetVersion, tiny_conversations: list[Conversation]) -> None:
    odd = "'); DROP TABLE messages; --\0\n\u2028 😀 \x7f"
    message = Message(role="user", content=odd)
    conversation = tiny_conversations[0].model_copy(update={"messages": (message,), "id": odd})
    store(version, [conversation], [], [])
    with connect() as connection:
        found = connection.execute("SELECT conversation_id, content FROM messages").fetchall()
    assert found == [(odd, odd)]


def with_call(conversation: Conversation, arguments: dict[str, object]) -> Conversation:
    call = ToolCall(id="c", name="t", arguments=arguments, arguments_raw="{}")
    return conversation.model_copy(update={"messages": (Message(role="assistant", tool_calls=(call,)),)})


def broken_conversations(sound: Conversation) -> dict[str, tuple[Sequence[Conversation], Sequence[DecisionPoint]]]:
    """Versions that must not be stored, by what the message must say."""
    point = next(point for point in decision_points(sound) if point.message_index > 1)
    return {
        "more than once": ([sound, sound], []),
        "no stored conversation": ([], [point]),
        "differs from message": ([sound], [point.model_copy(update={"history": ()})]),
        "not JSON compliant": ([with_call(sound, {"price": float("nan")})], []),
        "surrogates": ([sound.model_copy(update={"messages": (Message(role="user", content="\ud800"),)})], []),
    }


@pytest.mark.parametrize(
    "complaint",
    [
        "more than once",
        "no stored conversation",
        "differs from message",
        "not JSON compliant",
        "surrogates",
    ],
)
def test_what_would_lose_something_is_refused_whole(
    version: DatasetVersion, tiny_conversations: list[Conversation], points: list[DecisionPoint], complaint: str
) -> None:
    stored = store(version, tiny_conversations, points, REJECTED)
    before = counts()
    conversations, chosen = broken_conversations(tiny_conversations[0])[complaint]
    with pytest.raises(Unstorable, match=complaint):
        store(version, conversations, chosen, [])
    assert counts() == before
    assert stored_versions() == [stored]


def test_quarantined_text_that_is_not_unicode_is_kept_readable(version: DatasetVersion) -> None:
    store(version, [], [], [Quarantined(source="sgd", record_id="\udcff7", reason="not_json", detail="a\ud800b")])
    with connect() as connection:
        found = connection.execute("SELECT record_id, detail FROM quarantine").fetchone()
    assert found == ("\\udcff7", "a\\ud800b")


def test_interrupt_inside_the_transaction_keeps_the_old_version(
    version: DatasetVersion,
    tiny_conversations: list[Conversation],
    points: list[DecisionPoint],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store(version, tiny_conversations, points, REJECTED)
    before = counts()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "version_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store(version, tiny_conversations[:1], [], [])
    assert counts() == before


def test_killed_writer_leaves_what_was_stored(
    version: DatasetVersion, tiny_conversations: list[Conversation], points: list[DecisionPoint]
) -> None:
    store(version, tiny_conversations, points, REJECTED)
    before = counts()
    program = (
        "import sys, os, signal, duckdb\n"
        "connection = duckdb.connect(sys.argv[1]); connection.begin()\n"
        "connection.execute('DELETE FROM conversations'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(paths.warehouse())], check=False).returncode == -9
    assert counts() == before


@pytest.mark.slow
def test_forgetting_that_was_killed_leaves_a_warehouse_that_opens_and_the_same_call_finishes_it(
    version: DatasetVersion, tiny_conversations: list[Conversation], tmp_path: Path
) -> None:
    secret = "Zyxwvut-Quorum-77"
    told = Message(role="user", content=f"My word is {secret}.")
    forgotten = tiny_conversations[0].model_copy(update={"messages": (told,)})
    store(version, [forgotten, *tiny_conversations[1:]], [], [])
    assert secret.encode() in paths.warehouse().read_bytes()
    program = [sys.executable, "-c", KILL_AT_EACH_LINE, str(paths.warehouse()), str(tmp_path), forgotten.id]
    done = subprocess.run(program, cwd=paths.PROJECT_ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert len(found) > 5
    assert all(left in (0, 1) for left, _, _ in found)  # None: it did not open
    assert [again for _, again, _ in found] == [0] * len(found)
    assert {tuple(names) for _, _, names in found} == {("warehouse.duckdb",)}
    assert [file for file in tmp_path.glob("*/warehouse.duckdb*") if secret.encode() in file.read_bytes()] == [
        paths.warehouse()
    ]


def test_a_log_that_is_not_the_files_own_is_named_beside_it(version: DatasetVersion, tmp_path: Path) -> None:
    store(version, [], [], REJECTED)
    program = (
        "import sys, os, signal, duckdb\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute('CREATE TABLE other (i INTEGER)'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with duckdb.connect(str(tmp_path / "other.duckdb")) as connection:
        connection.execute("CREATE TABLE before (i INTEGER)")
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "other.duckdb")], check=False)
    log = paths.warehouse().with_name("warehouse.duckdb.wal")
    (tmp_path / "other.duckdb.wal").rename(log)
    with pytest.raises(
        WarehouseError, match=r"move the file away, with .*/warehouse\.duckdb\.wal beside it, and ingest"
    ):
        stored_versions()
    log.unlink()
    assert len(stored_versions()) == 1


def test_held_warehouse_names_the_holder_and_the_way_out(version: DatasetVersion) -> None:
    store(version, [], [], [])
    with held(paths.warehouse()) as holder:
        started = time.monotonic()
        with pytest.raises(WarehouseBusy) as caught:
            store(version, [], [], REJECTED, wait_seconds=0.5)
        waited = time.monotonic() - started
    assert 0.5 <= waited < 5
    assert f"process {holder.pid} " in str(caught.value)
    assert "apprentice query" in str(caught.value)
    assert count("quarantine") == 0


def test_store_waits_for_a_holder_that_lets_go(version: DatasetVersion) -> None:
    with held(paths.warehouse()) as holder:
        assert holder.stdin is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        store(version, [], [], REJECTED, wait_seconds=10)
    assert count("quarantine") == 2


def test_layout_from_the_future_is_refused_untouched(version: DatasetVersion) -> None:
    store(version, [], [], REJECTED)
    with duckdb.connect(str(paths.warehouse())) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(WarehouseError, match=r"layout 99, this code knows up to \d+; update the code"):
        store(version, [], [], [])
    with duckdb.connect(str(paths.warehouse())) as connection:
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (2,)


def test_accepted_values_and_metadata_are_stored_and_come_back(
    version: DatasetVersion, tiny_conversations: list[Conversation]
) -> None:
    call = ToolCall(id="a", name="f", arguments={"x": 1}, arguments_raw='{"x": 1}', accepted={"x": (1, "one", None)})
    said = Message(role="assistant", tool_calls=(call,))
    told = tiny_conversations[0].model_copy(update={"messages": (said,), "metadata": {"reward": 1.0}})
    stored = store(version, [told], [], [])
    snapshot.publish(stored.version)
    assert snapshot.read_conversations(stored.version) == [told]
    with connect() as connection:
        found = connection.execute(
            "SELECT accepted, metadata->>'reward' FROM calls JOIN conversations USING (conversation_id)"
        )
        assert found.fetchall() == [('{"x": [1, "one", null]}', "1.0")]


def test_warehouse_of_layout_1_is_brought_up_to_date_with_all_it_holds(
    version: DatasetVersion, tiny_conversations: list[Conversation]
) -> None:
    store(version, tiny_conversations, [], REJECTED)
    with duckdb.connect(str(paths.warehouse())) as connection:
        connection.execute("ALTER TABLE conversations DROP COLUMN metadata")
        connection.execute("ALTER TABLE calls DROP COLUMN accepted")
        connection.execute("ALTER TABLE conversations DROP COLUMN content_hash")
        connection.execute("DROP TABLE flags")
        connection.execute("UPDATE schema_version SET version = 1")
    before = counts()
    assert counts() == before
    assert before["flags"] == 0
    assert count("conversations", "metadata IS NULL AND content_hash IS NULL") == len(tiny_conversations)
    store(version, tiny_conversations, [], REJECTED)
    assert count("calls", "accepted IS NULL") == 0
    assert count("conversations", "content_hash IS NULL") == 0


@pytest.mark.parametrize("content", [b"not a database", b"\0" * 20_000])
def test_file_that_is_no_warehouse_says_what_to_do(version: DatasetVersion, content: bytes) -> None:
    paths.warehouse().write_bytes(content)
    with pytest.raises(WarehouseError, match="move the file away and ingest again"):
        store(version, [], [], [])
    assert paths.warehouse().read_bytes() == content


@pytest.mark.parametrize("damage", ["truncated", "overwritten"])
def test_damage_inside_the_file_says_what_to_do(
    version: DatasetVersion, tiny_conversations: list[Conversation], tmp_path: Path, damage: str
) -> None:
    store(version, tiny_conversations, [], REJECTED)
    content = paths.warehouse().read_bytes()
    torn = {"truncated": content[:-4096], "overwritten": content[:12288] + b"\xff" * (len(content) - 12288)}
    # In a process of its own: DuckDB keeps what it has read of a file.
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "warehouse.duckdb").write_bytes(torn[damage])
    program = "from data import warehouse; from pathlib import Path; warehouse.export('%s', Path('.').resolve())"
    found = subprocess.run(
        [sys.executable, "-c", program % version.version],
        env={**os.environ, "APPRENTICE_VAR": str(tmp_path / "torn"), "PYTHONPATH": str(paths.PROJECT_ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert "WarehouseError" in found.stderr
    assert "move the file away and ingest again: published snapshots are not affected" in found.stderr


def test_export_of_an_unknown_version_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="no dataset version 'abc'; run `apprentice ingest`"):
        export("abc", tmp_path)
