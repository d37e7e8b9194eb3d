"""``apprentice rewards check`` as a user types it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from data.ingest import ingest
from data.reporting import Silent
from data.settings import DataSettings
from flows.cli import app

invoke: Callable = CliRunner().invoke


def test_graded_passes_the_bench():
    done = invoke(app, ["rewards", "check", "--reward", "graded", "--bench-only"])
    assert done.exit_code == 0, done.output
    assert "rules that fail" in done.output


def test_without_a_name_all_variants_stand_side_by_side_and_graded_is_judged():
    done = invoke(app, ["rewards", "check"])
    assert done.exit_code == 0, done.output
    assert all(name in done.output for name in ("graded", "toolrl", "binary", "f1"))
    assert "no dataset yet; run `apprentice ingest`" in done.output


@pytest.mark.parametrize("spec", ["toolrl", "binary"])
def test_a_reward_that_breaks_a_rule_fails(spec):
    done = invoke(app, ["rewards", "check", "--reward", spec, "--bench-only"])
    assert done.exit_code == 1
    assert f"FAILED: {spec} breaks " in done.output


def test_a_users_own_file(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def reward(point, parsed):\n    return float(parsed.ok)\n", encoding="utf-8")
    done = invoke(app, ["rewards", "check", "--reward", str(file), "--bench-only"])
    assert done.exit_code == 1
    assert "rules of the exploit bench" in done.output
    file.write_text("def score(point, parsed):\n    return 1\n", encoding="utf-8")
    wrong = invoke(app, ["rewards", "check", "--reward", str(file), "--bench-only"])
    assert wrong.exit_code == 1
    assert "has no function reward(point, parsed)" in wrong.output


def test_an_unknown_reward_or_dataset_is_one_message():
    assert "no reward 'best'; use one of graded" in invoke(app, ["rewards", "check", "--reward", "best"]).output
    absent = invoke(app, ["rewards", "check", "--source", "sgd"])
    assert absent.exit_code == 1
    assert "apprentice ingest --source sgd" in absent.output


def test_real_turns_of_a_dataset():
    ingest(DataSettings(conversations=20), Silent())
    done = invoke(app, ["rewards", "check", "--reward", "graded", "--random", "100"])
    assert done.exit_code == 0, done.output
    assert "never-call" in done.output
    assert "not below their gold: 0" in done.output


def test_the_sections_of_the_page():
    done = invoke(app, ["rewards", "check", "--markdown"])
    assert done.exit_code == 0
    assert "<!-- exploit table -->" in done.output
