"""Kills in CI: ten of them, over all stages, each followed by one plain run that must end as if nothing had happened.

The harness is ``benchmarks/crashes.py``; ``make soak`` does the same 500 times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from data import paths


@pytest.mark.slow
def test_ten_kills_leave_no_trace() -> None:
    kinds = ("commit", "time", "checkpoint", "shard", "away", "disk full", "SIGTERM")
    command = [sys.executable, "benchmarks/crashes.py", "--kills", "10", "--seed", "3"]
    done = subprocess.run(
        [*command, *(part for kind in kinds for part in ("--kind", kind))],
        cwd=paths.PROJECT_ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "APPRENTICE_PRECISION": "float32"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["violations"] == []
    assert found["kills"] >= 10
    assert {each.partition(":")[0] for each in found["by_stage_and_kind"]} == {"ingest", "sft", "grpo", "evaluate"}
