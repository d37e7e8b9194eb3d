"""Prefect's server dies in the middle of a training and comes back: the training goes on as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data import paths

pytestmark = pytest.mark.slow
#: All that the smoke data give: long enough that the server is away for most of them.
TRAINING = ("sft", "--profile", "smoke", "--source", "simulated", "--max-steps", "20")


class Server:
    """Prefect's own server on loopback over one database, which outlives it."""

    def __init__(self, var: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        self.api = f"http://127.0.0.1:{self.port}/api"
        home = var / "server"
        home.mkdir(parents=True, exist_ok=True)
        self.log = home / "log"
        self.surroundings = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))},
            "APPRENTICE_VAR": str(var),
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.surroundings, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        until(lambda: self.answers() or not self.runs(), "the server does not answer")
        assert self.runs(), self.log.read_text()

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.api}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def flow_runs(self) -> list[dict[str, Any]]:
        request = urllib.request.Request(f"{self.api}/flow_runs/filter", b"{}", {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return list(json.loads(answer.read()))


def until(holds: Callable[[], Any], otherwise: str, within: float = 240) -> None:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(otherwise)
        time.sleep(0.2)


@pytest.fixture
def server(tmp_path: Path, begin_stores: Callable[..., None]) -> Iterator[Server]:
    begin_stores(tmp_path / "var", home=tmp_path / "var" / "server")
    server = Server(tmp_path / "var")
    server.start()
    try:
        yield server
    finally:
        server.kill()


def test_a_training_outlives_the_server_it_reports_to(server: Server, tmp_path: Path) -> None:
    var = tmp_path / "var"
    told = {**server.surroundings, "PREFECT_HOME": str(var / "prefect"), "PREFECT_API_URL": server.api}

    def apprentice(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "flows.cli", *arguments]
        return subprocess.Popen(
            command, env=told, cwd=paths.PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    ingested = apprentice("ingest", "--profile", "smoke", "--source", "simulated")
    assert ingested.wait(240) == 0, ingested.communicate()[0]
    training = apprentice(*TRAINING)
    until(lambda: list(var.glob("runs/*/metrics.jsonl")) or training.poll() is not None, "no step was made")
    server.kill()
    assert training.poll() is None, training.communicate()[0]
    time.sleep(5)
    server.start()
    said = training.communicate(timeout=240)[0]
    assert training.returncode == 0, said
    (record,) = [json.loads(file.read_text()) for file in (var / "stages" / "sft").glob("*.json")]
    assert (record["status"], record["steps"]) == ("done", 20)
    assert sorted(run["state_type"] for run in server.flow_runs()) == ["COMPLETED", "COMPLETED"]
