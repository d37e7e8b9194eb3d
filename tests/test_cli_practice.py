"""``apprentice show`` and ``apprentice chat`` as typed."""

import json
import runpy
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.episodes import append_episodes
from data.practice.declarations import Row
from data.practice.difference import difference
from flows.cli import app

row = runpy.run_path(str(Path(__file__).parent / "fixtures" / "episodes.py"))["row"]


def run(*arguments: str, said: str | None = None):
    return CliRunner().invoke(app, list(arguments), input=said)


def test_show_prints_every_message_and_where_it_failed():
    call = {"role": "assistant", "content": None, "reasoning": "I look.", "tokens": 5, "fault": None}
    call["calls"] = json.dumps([{"name": "find_card", "arguments": {"code": "X1"}}])
    said = [
        {"role": "user", "content": "Block [it].", "reasoning": None, "calls": None, "tokens": 0, "fault": None},
        call,
        {"role": "tool", "content": "{}", "reasoning": None, "calls": None, "tokens": 0, "fault": None},
    ]
    failed = row(success=False, failed_turn=1, cause="unconfirmed_write", messages=said, breaches=["unconfirmed_write"])
    append_episodes("evaluation", "e1", [failed])
    shown = run("show", failed["episode_id"][:6])
    assert shown.exit_code == 0, shown.output
    assert "Block [it]." in shown.output
    assert 'find_card(code="X1")' in shown.output
    assert "turn 1: unconfirmed_write" in shown.output
    assert "failed at turn 1" in shown.output
    told = json.loads(run("show", failed["episode_id"], "--format", "json").output)
    assert told["messages"] == said


def test_show_says_how_to_find_an_episode():
    shown = run("show", "nothing")
    assert shown.exit_code == 1
    assert "apprentice query" in shown.output


@pytest.mark.slow
def test_chat_with_a_base_model_ends_with_the_input(tmp_path):
    settings = ["--set", "base_model.uri=random:qwen3", "--set", "evaluation.max_completion_length=8"]
    shown = run("chat", *settings, "--domain", "hotel", said="Hello there\n")
    assert shown.exit_code == 0, shown.output
    assert "Tools on offer" in shown.output
    assert "ended: " in shown.output
    assert run("chat", "--domain", "moon").exit_code == 2


def test_a_difference_pairs_rows_by_their_first_column():
    def state(**rows: list[Row]):
        return {table: [tuple(one.items()) for one in some] for table, some in rows.items()}

    before = state(cards=[{"code": "A", "state": "open"}, {"code": "B", "state": "open"}], loans=[{"id": 1}])
    after = state(cards=[{"code": "A", "state": "blocked"}, {"code": "C", "state": "open"}], loans=[{"id": 1}])
    changed, gone, came = difference(before, after)
    assert changed.changed == {"state": ("open", "blocked")}
    assert (gone.before["code"], gone.after) == ("B", None)
    assert (came.before, came.after["code"]) == (None, "C")
    assert difference(after, after) == []
