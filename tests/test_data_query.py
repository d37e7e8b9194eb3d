"""Queries see everything published, whatever else runs, and can neither write nor look elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import paths, snapshot, warehouse
from data.decision_points import decision_points
from data.episodes import EPISODE_SCHEMA, append_episodes
from data.evaluations import EVALUATION_SCHEMA, append_evaluations
from data.files import write_whole
from data.pass_rates import count_rollouts, store
from data.query import VIEWS, QueryError, describe, run_query, run_query_arrow
from data.rollouts import ROLLOUT_SCHEMA, append_rollouts, read_rollouts
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.validations import VALIDATION_SCHEMA, append_validations
from data.versions import describe_version

RECORD = {
    **{"run_id": "run", "stage": "sft", "status": "done", "settings": {"seed": 1}},
    **{"started": "2026-01-01T00:00:00+00:00", "ended": "2026-01-01T00:01:00+00:00"},
}
EXAMPLES: dict[str, Any] = {"bool": True, "double": 1.0, "int64": 1, "string": "x"}
#: Of any list: empty.
EXAMPLES |= {str(field.type): [] for field in EPISODE_SCHEMA if str(field.type).startswith("list")}
SQL_WORDS = ["SELECT", "*", "FROM", "(", ")", "'", '"', ";", "--", ",", "rollouts", "tool", "1", "$1", "?"]
HOLD = "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('holding', flush=True); sys.stdin.readline()"
APPEND = """
import json, sys
from data.rollouts import append_rollouts
rows = json.load(sys.stdin)
for step in range(60):
    append_rollouts("writer", step, rows)
"""


def row(schema: Any, filled_in: set[str], **changes: Any) -> dict[str, Any]:
    """A row with some value in each column."""
    return {field.name: EXAMPLES[str(field.type)] for field in schema if field.name not in filled_in} | changes


def rollout(**changes: Any) -> dict[str, Any]:
    return row(ROLLOUT_SCHEMA, {"run_id", "step", "attempt", "created_at"}, **changes)


def evaluation(**changes: Any) -> dict[str, Any]:
    return row(EVALUATION_SCHEMA, {"evaluation_id", "created_at"}, **changes)


def value(sql: str) -> Any:
    """The one value of a query's answer."""
    found = run_query(sql)
    assert found.shape == (1, 1)
    return found.iat[0, 0]


Publish = Callable[..., str]


@pytest.fixture
def publish(tiny_conversations: list[Conversation]) -> Publish:
    """``publish(name, source=..., day=..., first=...)`` stores and publishes a version of the first conversations."""

    def publish_version(name: str, *, source: str = "handwritten", day: int = 1, first: int | None = None) -> str:
        changes = {"version": name, "source": source, "created_at": f"2026-01-{day:02d}T00:00:00+00:00"}
        chosen = [item.model_copy(update={"source": source}) for item in tiny_conversations[:first]]
        points = [point for conversation in chosen for point in decision_points(conversation)]
        rejected = [Quarantined(source=source, record_id="7", reason="unknown_tool", detail="it's in message 3")]
        warehouse.store(
            describe_version(source, "f", DataSettings()).model_copy(update=changes), chosen, points, rejected
        )
        snapshot.publish(name)
        return name

    return publish_version


@pytest.mark.parametrize("view", VIEWS)
def test_empty_project_answers_with_no_rows(view: str) -> None:
    found = run_query(f"SELECT * FROM {view}")
    assert len(found) == 0
    assert list(found.columns) == list(run_query(f"DESCRIBE {view}")["column_name"])


@pytest.mark.parametrize("view", VIEWS)
def test_columns_are_the_same_with_and_without_data(view: str, publish: Publish) -> None:
    empty = run_query(f"DESCRIBE {view}")
    publish("one")
    append_rollouts("run", 1, [rollout()])
    append_evaluations("e", [evaluation()])
    append_validations("run", 1, [row(VALIDATION_SCHEMA, {"run_id", "step", "created_at"})])
    append_episodes("evaluation", "e", [row(EPISODE_SCHEMA, {"purpose", "home", "created_at"})])
    store("run", count_rollouts(read_rollouts("run"), {rollout()["decision_point_id"]: "c"}))
    write_whole(paths.stages() / "sft" / "0.json", json.dumps(RECORD))
    filled = run_query(f"DESCRIBE {view}")
    assert filled[["column_name", "column_type"]].equals(empty[["column_name", "column_type"]])
    assert len(run_query(f"SELECT * FROM {view}")) > 0 or view == "flags"  # nothing doubtful in what was stored


def test_names_promised_to_scripts_are_there() -> None:
    promised = {
        "quarantine": ["source", "record_id", "reason"],
        "rollouts": ["run_id", "step", "decision_point_id", "completion_index", "text", "action", "parse_status"],
        "rollouts ": ["reward", "reward_format", "reward_tool_accuracy", "reward_answer_correctness", "advantage"],
        "evaluations": ["run_id", "decision_point_id", "split", "tool", "thinking", "turn_success", "exact_call"],
        "conversations": ["dataset_version", "conversation_id", "source", "record_id", "split", "domains"],
        "decision_points": ["decision_point_id", "conversation_id", "message_index", "kind", "tool"],
    }
    for view, columns in promised.items():
        run_query(f"SELECT {', '.join(columns)} FROM {view}")


def test_newest_version_of_each_source(publish: Publish) -> None:
    publish("old", day=1)
    publish("new", day=2, first=1)
    publish("else", source="elsewhere", day=1, first=2)
    found = run_query("SELECT dataset_version, count(*) AS n FROM conversations GROUP BY ALL ORDER BY ALL")
    assert found.to_numpy().tolist() == [["else", 2], ["new", 1]]
    versions = run_query("SELECT version, quarantined FROM dataset_versions ORDER BY version")
    assert versions.to_numpy().tolist() == [["else", 1], ["new", 1], ["old", 1]]


def test_joins_and_json(publish: Publish, tiny_conversations: list[Conversation]) -> None:
    publish("one")
    calls = [call for one in tiny_conversations for message in one.messages for call in message.tool_calls]
    assert value("SELECT count(*) FROM calls JOIN conversations USING (conversation_id)") == len(calls)
    key = next(iter(calls[0].arguments))
    found = run_query(f"SELECT arguments->>'{key}' AS given FROM calls WHERE id = '{calls[0].id}'")
    assert str(calls[0].arguments[key]) in found["given"].tolist()
    points = "SELECT count(*) FROM decision_points JOIN messages USING (conversation_id, message_index)"
    assert value(f"{points} WHERE role <> 'assistant'") == 0
    assert value("SELECT count(*) FROM conversations WHERE list_contains(domains, 'Ferries')") > 0


def test_rollouts_show_the_last_attempt() -> None:
    append_rollouts("run", 1, [rollout(reward=0.0), rollout(reward=0.0)])
    append_rollouts("run", 1, [rollout(reward=2.0)])
    append_rollouts("other", 1, [rollout(reward=5.0)])
    found = run_query("SELECT run_id, attempt, reward FROM rollouts ORDER BY run_id")
    assert found.to_numpy().tolist() == [["other", 1, 5.0], ["run", 2, 2.0]]


def test_evaluations_show_the_newest_row() -> None:
    append_evaluations("first", [evaluation(turn_success=False), evaluation(thinking=False, turn_success=False)])
    append_evaluations("second", [evaluation(turn_success=True)])
    found = run_query("SELECT thinking, evaluation_id, turn_success FROM evaluations ORDER BY thinking")
    assert found.to_numpy().tolist() == [[False, "first", False], [True, "second", True]]


def test_runs_come_from_records_and_a_broken_record_hides_no_other() -> None:
    write_whole(paths.stages() / "sft" / "0.json", json.dumps(RECORD))
    write_whole(paths.stages() / "sft" / "1.json", "{")
    write_whole(paths.stages() / "evaluation" / "2.json", json.dumps({**RECORD, "stage": "evaluation"}))
    found = run_query("SELECT run_id, stage, seed, seconds, settings->>'seed' AS again FROM runs")
    assert found.to_numpy().tolist() == [["run", "sft", 1, 60.0, "1"]]


def test_parameters_are_bound_not_pasted() -> None:
    append_rollouts("run", 1, [rollout()])
    sql = "SELECT count(*) FROM rollouts WHERE run_id = $run"
    assert run_query(sql, {"run": "run"}).iat[0, 0] == 1
    assert run_query(sql, {"run": "' OR true --"}).iat[0, 0] == 0
    with pytest.raises(QueryError, match="run"):
        run_query(sql)


def test_arrow_keeps_the_types_of_columns_with_nulls() -> None:
    table = run_query_arrow("SELECT * FROM (VALUES (1), (NULL)) AS t(n)")
    assert table.schema.field("n").type == "int32"
    assert table.column("n").null_count == 1


def test_an_amount_of_memory_that_is_none_is_refused() -> None:
    with pytest.raises(QueryError, match="is no amount of memory; write it as 500MB"):
        run_query("SELECT 1", memory_limit="lots")


def test_unfinished_files_are_not_seen(publish: Publish) -> None:
    publish("one")
    shard = append_rollouts("run", 1, [rollout()])
    shard.with_name(f".{shard.name}.writing").write_bytes(b"PAR1 torn")
    shutil.copytree(paths.dataset("one"), paths.datasets() / ".two-x.writing")
    (paths.datasets() / "three").mkdir()
    assert value("SELECT count(*) FROM rollouts") == 1
    assert value("SELECT count(DISTINCT dataset_version) FROM conversations") == 1


def test_answers_while_another_process_holds_the_warehouse(publish: Publish) -> None:
    publish("one")
    command = [sys.executable, "-c", HOLD, str(paths.warehouse())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        assert value("SELECT count(*) FROM conversations") > 0
        holder.communicate("\n")


def test_answers_while_rollouts_are_written() -> None:
    command = [sys.executable, "-c", APPEND]
    rows = json.dumps([rollout()] * 3)
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as writer:
        assert writer.stdin is not None
        writer.stdin.write(rows)
        writer.stdin.close()
        seen = [0]
        while writer.poll() is None:
            seen.append(value("SELECT count(*) FROM rollouts"))
    assert all(number % 3 == 0 for number in seen)
    assert seen == sorted(seen)
    assert value("SELECT count(*) FROM rollouts") == 180


@pytest.mark.parametrize(
    "sql",
    [
        "COPY rollouts TO 'x.csv'",
        "EXPLAIN ANALYZE COPY rollouts TO 'x.csv'",
        "ATTACH 'x.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET lock_configuration = false",
        "RESET allowed_directories",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW rollouts",
        "DELETE FROM typed.rollouts",
        "EXPORT DATABASE 'x'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CREATE OR REPLACE VIEW rollouts AS SELECT 1",
        "WITH x AS (COPY (SELECT 1 AS a) TO 'x.parquet') SELECT * FROM x",
        "WITH x AS (DELETE FROM typed.rollouts RETURNING *) SELECT * FROM x",
        "WITH x AS (INSERT INTO typed.rollouts SELECT * FROM typed.rollouts RETURNING *) SELECT * FROM x",
        "FROM (WITH x AS (UPDATE typed.rollouts SET step = 1 RETURNING *) SELECT * FROM x)",
    ],
)
def test_only_select_is_answered(sql: str) -> None:
    with pytest.raises(QueryError, match="queries only read: use SELECT"):
        run_query(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH x AS (SELECT 'COPY' AS word) SELECT word FROM x",
        "SELECT 'insert, update, delete' AS word",
        "DESCRIBE rollouts",
        "SHOW TABLES",
        "SUMMARIZE rollouts",
        "VALUES (1)",
        "FROM rollouts SELECT count(*)",
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
    ],
)
def test_what_only_reads_is_answered(sql: str) -> None:
    append_rollouts("run", 1, [rollout(kind="call")])
    assert len(run_query(sql)) > 0


def test_a_published_file_cannot_be_written_over() -> None:
    file = append_rollouts("run", 1, [rollout(kind="call")])
    before = file.read_bytes()
    with pytest.raises(QueryError, match="queries only read"):
        run_query(f"WITH x AS (COPY (SELECT 1 AS a) TO '{file}') SELECT * FROM x")
    assert file.read_bytes() == before


def test_pivot_that_would_need_two_statements_names_the_cure() -> None:
    append_rollouts("run", 1, [rollout(kind="call"), rollout(kind="answer")])
    with pytest.raises(QueryError, match="list its values"):
        run_query("PIVOT rollouts ON kind USING count(*)")
    found = run_query("PIVOT rollouts ON kind IN ('call', 'answer') USING count(*) GROUP BY run_id")
    assert found[["call", "answer"]].to_numpy().tolist() == [[1, 1]]


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Path]:
    """A file beside ``var/`` whose directory's name begins like an allowed one."""
    file = tmp_path / "var" / "datasets-private" / "secret.csv"
    file.parent.mkdir(parents=True)
    file.write_text("a,b\n1,2\n")
    yield file
    assert file.read_text() == "a,b\n1,2\n"


@pytest.mark.parametrize(
    "source",
    [
        "'{file}'",
        "read_csv('{file}')",
        "read_text('{file}')",
        "read_blob('{file}')",
        "sniff_csv('{file}')",
        "glob('{folder}/*')",
        "read_csv('{allowed}/../datasets-private/secret.csv')",
    ],
)
def test_no_other_file_can_be_read(secret: Path, source: str, publish: Publish) -> None:
    publish("one")
    filled = source.format(file=secret, folder=secret.parent, allowed=paths.datasets())
    with pytest.raises(QueryError):
        run_query(f"SELECT * FROM {filled}")


def test_python_variables_are_out_of_reach() -> None:
    files = [1]
    assert files
    with pytest.raises(QueryError, match="Table with name files does not exist"):
        run_query("SELECT * FROM files")


def test_unknown_table_lists_the_views() -> None:
    with pytest.raises(
        QueryError, match=r"Table with name rollout does not exist!; there are conversations, .*evaluat"
    ):
        run_query("SELECT * FROM rollout")


def test_unknown_column_lists_candidates() -> None:
    with pytest.raises(QueryError, match=r'"rewards" not found[\s\S]*"reward"'):
        run_query("SELECT rewards FROM rollouts")


@pytest.mark.parametrize("sql", ["", "  ;", "-- remark", "SELECT 1; SELECT 2", "SELECT 1; DROP VIEW rollouts"])
def test_exactly_one_statement(sql: str) -> None:
    with pytest.raises(QueryError, match="one statement at a time"):
        run_query(sql)


@pytest.mark.parametrize("sql", ["SELECT 1;", "WITH a AS (SELECT 1) FROM a", "VALUES (1)", "SHOW TABLES", "FROM tools"])
def test_all_kinds_of_reading_are_answered(sql: str) -> None:
    assert run_query(sql) is not None


def test_show_tables_lists_every_view() -> None:
    assert sorted(run_query("SHOW TABLES")["name"]) == sorted(VIEWS)


@given(st.text(max_size=40) | st.lists(st.sampled_from(SQL_WORDS)).map(" ".join))
def test_any_text_is_answered_or_refused_politely(sql: str) -> None:
    with contextlib.suppress(QueryError):  # anything else fails the test
        run_query(sql, timeout_seconds=5)


def test_endless_query_is_stopped() -> None:
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"no answer within 0.3 s; narrow it"):
        run_query(
            "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range < b.range", timeout_seconds=0.3
        )
    assert time.monotonic() - started < 5
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_ctrl_c_stays_ctrl_c() -> None:
    def press_when_it_runs() -> None:
        while not any("ThreadPoolExecutor" in thread.name for thread in threading.enumerate()):
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)  # as the terminal sends it

    finger = threading.Thread(target=press_when_it_runs, daemon=True)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        run_query("SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range < b.range")
    finger.join()


def test_hungry_query_is_stopped_and_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(QueryError, match="too much memory"):
        run_query("SELECT list(range || repeat('x', 1000)) FROM range(1000000)", memory_limit="60MB")
    assert not [path for path in tmp_path.iterdir() if path.name != "var"]


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "empty"])
def test_damaged_rollout_file_is_named_with_a_cure(damage: str) -> None:
    append_rollouts("run", 1, [rollout()])
    path = append_rollouts("run", 2, [rollout(text="x" * index) for index in range(500)])
    content = path.read_bytes()
    torn = {"truncated": content[:-9], "overwritten": content[:50] + b"\xff" * 300 + content[350:], "empty": b""}
    path.write_bytes(torn[damage])
    with pytest.raises(QueryError, match=rf"{path.name} is not a readable Parquet file; move it away"):
        run_query("SELECT * FROM rollouts")
    assert value("SELECT count(*) FROM evaluations") == 0
    path.unlink()
    assert value("SELECT count(*) FROM rollouts") == 1


def test_damaged_snapshot_is_named_with_a_cure(publish: Publish) -> None:
    publish("one")
    file = paths.dataset("one") / "messages.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(QueryError, match=r"messages.parquet cannot be read; remove .*one and run `apprentice ingest`"):
        run_query("SELECT * FROM messages")
    (paths.dataset("one") / snapshot.MANIFEST).write_text("{")
    with pytest.raises(QueryError, match="is not a manifest"):
        run_query("SELECT * FROM tools")


def test_file_written_before_a_column_existed_shows_null() -> None:
    import pyarrow.parquet as pq

    old = append_rollouts("run", 1, [rollout()])
    pq.write_table(pq.read_table(old).drop_columns(["reasoning"]), old)
    append_rollouts("run", 2, [rollout(reasoning="because")])
    found = run_query("SELECT step, reasoning FROM rollouts ORDER BY step")
    assert found["reasoning"].isna().tolist() == [True, False]


def test_quotes_in_the_path_are_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: Publish) -> None:
    monkeypatch.setenv("APPRENTICE_VAR", str(tmp_path / 'it\'s [a] "var" *'))
    publish("one")
    append_rollouts("run", 1, [rollout()])
    assert value("SELECT count(*) FROM rollouts") == 1
    assert value("SELECT count(*) FROM quarantine") == 1


def test_description_names_every_view_and_column() -> None:
    lines = dict(line.split("(", 1) for line in describe().splitlines())
    assert list(lines) == list(VIEWS)
    assert "reward_format DOUBLE" in lines["rollouts"]
    assert "arguments JSON" in lines["calls"]
    assert "record " not in lines["conversations"]
