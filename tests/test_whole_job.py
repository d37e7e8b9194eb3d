"""docs/walkthrough.md as written, nothing replaced: every stage on invented conversations and a tiny random model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from data import paths

pytestmark = pytest.mark.slow
WALKTHROUGH = paths.PROJECT_ROOT / "docs" / "walkthrough.md"


def environment(var: Path) -> dict[str, str]:
    """The commands of this checkout's environment, on artefacts of the test's own, smallest profile."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "APPRENTICE_VAR": str(var), "APPRENTICE_PROFILE": "smoke", "NO_COLOR": "1"}


def apprentice(*arguments: str, var: Path) -> subprocess.CompletedProcess[str]:
    command = ["apprentice", *arguments]
    return subprocess.run(command, env=environment(var), capture_output=True, text=True, timeout=400, check=False)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """The whole page in one shell, in a folder of its own: that folder, ``var`` and what was printed."""
    place = tmp_path_factory.mktemp("walk")
    var = place / "elsewhere"
    blocks = re.findall(r"^```sh\n(.*?)^```", WALKTHROUGH.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    # Servers end with the shell that started them, however it ends.
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(blocks)
    log = place / "walk.log"
    with log.open("w") as stream:
        command = ["bash", "-c", script]
        done = subprocess.run(
            command, cwd=place, env=environment(var), stdout=stream, stderr=subprocess.STDOUT, timeout=1500, check=False
        )
    said = log.read_text(encoding="utf-8")
    assert done.returncode == 0, said[-6000:]
    return place, var, said


def test_the_walkthrough_shows_what_it_promises(walked: tuple[Path, Path, str]) -> None:
    import pyarrow.parquet as pq

    place, var, said = walked
    assert "Results, with 95 % intervals" in said
    assert "Whole episodes with simulated users" in said
    assert "pipeline/weekly" in said
    assert "Three conversations" in (place / "week.html").read_text(encoding="utf-8")
    assert len(list((var / "reports").glob("*.html"))) == 1
    assert pq.read_table(place / "changed.parquet").schema.names[:2] == ["change", "decision_point_id"]


def test_the_smoke_profile_runs_end_to_end_and_is_reused(walked: tuple[Path, Path, str]) -> None:
    _, var, _ = walked
    sql = (
        "SELECT (SELECT count(*) FROM rollouts) AS rollouts, (SELECT count(DISTINCT stage) FROM evaluations) AS models,"
        " (SELECT count(DISTINCT stage) FROM episodes) AS playing"
    )
    (counts,) = json.loads(apprentice("query", "--format", "json", sql, var=var).stdout)
    assert counts == {"rollouts": 16, "models": 4, "playing": 4}  # GRPO ran twice
    gold = next((var / "datasets").glob("*/gold_failures.jsonl"))
    assert gold.read_text() == ""  # the oracle's own conversations
    again = apprentice("run", "--seed", "3", var=var)
    assert again.returncode == 0
    assert again.stdout.count(": reused, run ") >= 7
    (counts,) = json.loads(apprentice("query", "--format", "json", sql, var=var).stdout)
    assert counts["rollouts"] == 16
