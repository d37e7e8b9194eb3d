"""``apprentice run`` as typed, nothing replaced: every stage on invented conversations and a tiny random model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def apprentice(*arguments: str, var: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("apprentice")), *arguments]
    environment = {**os.environ, "APPRENTICE_VAR": str(var), "NO_COLOR": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)


def test_the_smoke_profile_runs_end_to_end_and_is_reused(tmp_path):
    var = tmp_path / "elsewhere"
    whole = ("run", "--profile", "smoke", "--source", "simulated", "--seed", "3")
    done = apprentice(*whole, var=var)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Results, with 95 % intervals" in done.stdout
    assert "Whole episodes with simulated users" in done.stdout
    sql = (
        "SELECT (SELECT count(*) FROM rollouts) AS rollouts, (SELECT count(DISTINCT stage) FROM evaluations) AS models,"
        " (SELECT count(DISTINCT stage) FROM episodes) AS playing"
    )
    (counts,) = json.loads(apprentice("query", "--format", "json", sql, var=var).stdout)
    assert counts == {"rollouts": 8, "models": 4, "playing": 4}
    gold = next((var / "datasets").glob("*/gold_failures.jsonl"))
    assert gold.read_text() == ""  # the oracle's own conversations
    again = apprentice(*whole, var=var)
    assert again.returncode == 0
    assert again.stdout.count(": reused, run ") >= 7
    (counts,) = json.loads(apprentice("query", "--format", "json", sql, var=var).stdout)
    assert counts["rollouts"] == 8
