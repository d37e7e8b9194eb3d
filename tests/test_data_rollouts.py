"""Rollouts and evaluations are appended whole, typed, and never overwritten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data import parquet, paths
from data.evaluations import EVALUATION_SCHEMA, append_evaluations, done, read_evaluations
from data.parquet import DamagedFile, RowError, shards
from data.query import run_query
from data.rollouts import ROLLOUT_SCHEMA, append_rollouts, conclude, current_files, read_rollouts

ROLLOUT: dict[str, Any] = {
    "decision_point_id": "s/1#1",
    "completion_index": 0,
    "dataset_version": "abc",
    "split": "train",
    "kind": "call",
    "domain": "Ferries",
    "tool": "FindFerry",
    "thinking": True,
    "text": "<think>\nü\n</think>\n\n<tool_call>…",
    "reasoning": "ü",
    "action": None,
    "parse_status": "unclosed_call",
    "reward": -1,
    "reward_format": 0.0,
    "reward_tool_accuracy": -1.0,
    "reward_answer_correctness": None,
    "advantage": 0.5,
    "passed": False,
    "draw": 0,
    "discarded": False,
    "completion_tokens": 12,
    "truncated": False,
    "temperature": 1.0,
}
EVALUATION: dict[str, Any] = {
    "run_id": "run",
    "stage": "sft",
    "dataset_version": "abc",
    "decision_point_id": "s/1#1",
    "conversation_id": "s/1",
    "split": "validation_seen",
    "domain": "Ferries",
    "kind": "answer",
    "tool": None,
    "thinking": False,
    "text": "Two ferries.",
    "reasoning": None,
    "action": "Two ferries.",
    "parse_status": "ok",
    "turn_success": True,
    "decision_correct": True,
    "tool_name_correct": None,
    "argument_names_correct": None,
    "argument_values": None,
    "exact_call": None,
    "facts": 0.5,
    "format_ok": True,
    "completion_tokens": 4,
    "truncated": False,
}


def group(size: int = 2, **changes: Any) -> list[dict[str, Any]]:
    return [{**ROLLOUT, "completion_index": index, **changes} for index in range(size)]


def test_rollouts_come_back_as_written() -> None:
    path = append_rollouts("run", 3, group())
    assert pq.read_schema(path).equals(ROLLOUT_SCHEMA)
    found = read_rollouts("run")
    assert list(found.columns) == ROLLOUT_SCHEMA.names
    first = found.iloc[0].to_dict()
    assert {name: first[name] for name in ("run_id", "step", "attempt", "reward", "text")} == {
        "run_id": "run",
        "step": 3,
        "attempt": 1,
        "reward": -1.0,
        "text": ROLLOUT["text"],
    }
    assert found["reward_answer_correctness"].isna().all()
    assert str(found["created_at"].dt.tz) == "UTC"


def test_step_done_again_is_a_new_attempt_and_the_last_counts() -> None:
    first = append_rollouts("run", 1, group(reward=0.0))
    before = first.read_bytes()
    append_rollouts("run", 2, group(reward=1.0))
    append_rollouts("run", 1, group(reward=2.0))
    third = append_rollouts("run", 1, group(reward=3.0))
    assert first.read_bytes() == before
    found = read_rollouts("run")
    assert found.groupby("step")[["attempt", "reward"]].max().to_numpy().tolist() == [[3, 3.0], [1, 1.0]]
    assert current_files("run")[0] == third


def test_steps_that_the_run_did_not_do_in_the_end_do_not_count() -> None:
    """Killed in step 3, gone on with from step 1, ended by its budget after step 2."""
    for step in (1, 2, 3, 2):
        append_rollouts("run", step, group(reward=float(step)))
    assert read_rollouts("run")["step"].unique().tolist() == [1, 2, 3]
    conclude("run", 2)
    found = read_rollouts("run")
    assert found.groupby("step")["attempt"].max().to_dict() == {1: 1, 2: 2}
    assert len(shards(paths.rollouts() / "run")) == 4
    assert run_query("SELECT max(step) AS step FROM rollouts").to_dict("records") == [{"step": 2}]


def test_a_run_without_rollouts_is_concluded_without_a_trace() -> None:
    conclude("run", 0)
    assert not (paths.rollouts() / "run").exists()
    assert current_files("run") == []


def test_attempts_count_as_numbers_not_as_text() -> None:
    append_rollouts("run", 1, group())
    directory = paths.rollouts() / "run"
    for attempt in ("9999", "10000"):
        next(directory.glob("*.parquet")).rename(directory / f"step-00000001-attempt-{attempt}.parquet")
        path = append_rollouts("run", 1, group())
        assert int(path.stem.rsplit("-", 1)[1]) == int(attempt) + 1
    assert current_files("run")[-1].stem.endswith("-10001")


def test_concurrent_writers_of_one_step_get_attempts_of_their_own() -> None:
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda _: append_rollouts("run", 1, group()), range(24)))
    assert len(set(written)) == 24
    assert sorted(pq.read_table(path)["attempt"][0].as_py() for path in written) == list(range(1, 25))


def test_killed_writer_leaves_no_half_file() -> None:
    append_rollouts("run", 1, group())
    program = (
        "import json, os, signal, sys; import pyarrow.parquet as pq; from data import rollouts\n"
        "def torn(table, file, **_):\n"
        "    file.write(b'PAR1 torn'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "pq.write_table = torn\n"
        "rollouts.append_rollouts('run', 1, json.load(sys.stdin))\n"
    )
    command = [sys.executable, "-c", program]
    killed = subprocess.run(
        command, input=json.dumps(group()), text=True, cwd=Path(__file__).parent.parent, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(paths.rollouts() / "run")) == 2
    assert read_rollouts("run")["attempt"].unique().tolist() == [1]
    append_rollouts("run", 1, group())
    assert read_rollouts("run")["attempt"].unique().tolist() == [3]


def test_failed_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        append_rollouts("run", 1, group())
    assert list((paths.rollouts() / "run").iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "no rows"),
        ([{**ROLLOUT, "logits": 1}], "row 0 has unknown logits"),
        ([ROLLOUT, {"text": "x"}], "row 1 lacks action, advantage"),
        (group(reward="much"), "'reward' must hold double"),
        (group(thinking="yes"), "'thinking' must hold bool"),
        (group(reward=None), "'reward' must not be null, row 0 is"),
        (group(text="\ud800"), "'text' must hold string"),
        (group(completion_tokens=2**70), "'completion_tokens' must hold int64"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(RowError, match=complaint):
        append_rollouts("run", 1, rows)
    assert not (paths.rollouts() / "run").exists()


def test_names_and_steps_are_checked() -> None:
    with pytest.raises(ValueError, match=r"run id '\.\./x' cannot name a directory"):
        append_rollouts("../x", 1, group())
    with pytest.raises(ValueError, match="must not be negative"):
        append_rollouts("run", -1, group())


def test_nothing_yet_is_empty_and_typed() -> None:
    assert list(read_rollouts("run").columns) == ROLLOUT_SCHEMA.names
    assert list(read_evaluations("e").columns) == EVALUATION_SCHEMA.names
    assert done("e") == set()


def test_truncated_file_is_named() -> None:
    path = append_rollouts("run", 1, group())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match=rf"{path.name} is not a readable Parquet file; move it away"):
        read_rollouts("run")


def test_foreign_file_is_named() -> None:
    path = append_rollouts("run", 1, group())
    path.rename(path.with_name("copy.parquet"))
    with pytest.raises(ValueError, match=r"copy.parquet is not a rollout file"):
        read_rollouts("run")


def test_evaluation_continues_where_it_stopped() -> None:
    append_evaluations("e", [EVALUATION, {**EVALUATION, "decision_point_id": "s/1#3"}])
    append_evaluations("e", [{**EVALUATION, "decision_point_id": "s/2#1"}])
    append_evaluations("other", [{**EVALUATION, "decision_point_id": "s/9#1"}])
    assert done("e") == {"s/1#1", "s/1#3", "s/2#1"}
    assert pq.read_schema(parquet.shards(paths.evaluations() / "e")[0]).equals(EVALUATION_SCHEMA)


def test_evaluation_judged_twice_counts_once() -> None:
    append_evaluations("e", [EVALUATION])
    append_evaluations("e", [{**EVALUATION, "turn_success": False}, {**EVALUATION, "thinking": True}])
    found = read_evaluations("e")
    assert found[["thinking", "turn_success"]].to_numpy().tolist() == [[False, False], [True, True]]
    assert found["exact_call"].isna().all()
    assert found["facts"].tolist() == [0.5, 0.5]


def test_evaluation_rows_are_checked() -> None:
    with pytest.raises(RowError, match="'turn_success' must not be null"):
        append_evaluations("e", [{**EVALUATION, "turn_success": None}])
    with pytest.raises(RowError, match="has unknown reward"):
        append_evaluations("e", [{**EVALUATION, "reward": 1.0}])
    assert done("e") == set()
