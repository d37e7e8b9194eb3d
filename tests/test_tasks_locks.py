"""One training at a time, and no lock that outlives its holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from data import paths
from tasks import locks
from tasks.locks import Busy, hold

HOLDER = """
import sys, time
from tasks.locks import hold
with hold("training", "grpo"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, cwd=paths.PROJECT_ROOT, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_one_is_refused_and_told_whom_to_wait_for(holder: subprocess.Popen[str]) -> None:
    told = rf"sft: the training lock is held by grpo, process {holder.pid}, since 20"
    with pytest.raises(Busy, match=told), hold("training", "sft", patience=0.1):
        pass


def test_a_killed_holder_leaves_no_lock(holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (paths.locks() / "training.json").exists()
    with hold("training", "sft", patience=0.1):
        assert json.loads((paths.locks() / "training.json").read_text())["pid"] == os.getpid()


def test_a_lock_is_free_after_use_and_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), hold("training", "sft", patience=0.1):
        _ = 1 / 0
    with hold("training", "grpo", patience=0.1):
        pass
    assert not (paths.locks() / "training.json").exists()


def test_a_scheduled_run_waits_and_says_for_whom(
    holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    monkeypatch.setenv(locks.WAIT, "1")
    threading.Timer(0.5, holder.kill).start()
    with hold("training", "sft"):
        pass
    assert f"waiting for up to 1 min for grpo, process {holder.pid}, since 20" in capsys.readouterr().err
    monkeypatch.setenv(locks.WAIT, "an hour")
    with pytest.raises(Busy, match="must be a number of minutes"), hold("training", "sft"):
        pass


def test_locks_of_different_names_do_not_meet(holder: subprocess.Popen[str]) -> None:
    with hold("ingest", "ingest", patience=0.1):
        pass
