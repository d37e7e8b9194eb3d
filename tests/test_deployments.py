"""The house on a schedule, for real: servers and worker on loopback, a schedule that fires, a kill, a cancel.

Nothing is replaced. The order matters and each step stands on the one before, so it is one test.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from data import paths

pytestmark = pytest.mark.slow
SMOKE = {"profile": "smoke", "seed": 4}
#: Long enough to be disturbed.
LONG = {"profile": "smoke", "overrides": {"grpo": {"max_steps": 400, "save_every_minutes": 1e-6}}}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class House:
    """``apprentice server`` in a process of its own, and how to talk to it."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.ports = free_port(), free_port()
        self.api = f"http://127.0.0.1:{self.ports[0]}/api"
        self.surroundings = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))},
            "APPRENTICE_VAR": str(var),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
            "NO_COLOR": "1",
        }
        command = ["server", "--prefect-port", str(self.ports[0]), "--mlflow-port", str(self.ports[1])]
        self.process = subprocess.Popen(self.command(*command), env=self.surroundings, cwd=paths.PROJECT_ROOT)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flows.cli", *arguments]

    def apprentice(self, *arguments: str) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env={**self.surroundings, "PREFECT_API_URL": self.api},
            cwd=paths.PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"content-type": "application/json"})
        for _ in range(60):  # a busy server answers 503, which Prefect's own clients repeat too
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as refusal:
                if refusal.code != 503:
                    raise
                time.sleep(1)
        raise TimeoutError(f"the server answers 503 to {path}")

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        wanted = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
        return list(self.ask("/flow_runs/filter", wanted))

    def reaches(self, run_id: str, *states: str) -> None:
        """Wait until a flow run is in one of the states."""
        self.until(lambda: self.ask(f"/flow_runs/{run_id}")["state_name"] in states, f"no {states}", run_id)

    def until(self, holds: Callable[[], Any], otherwise: str, run_id: str | None = None) -> None:
        deadline = time.monotonic() + 900
        while not holds():
            if time.monotonic() > deadline:
                state = self.ask(f"/flow_runs/{run_id}")["state"] if run_id else ""
                logs = "".join(file.read_text()[-3000:] for file in (self.var / "logs").glob("worker.log"))
                pytest.fail(f"{otherwise}: {state}\n{logs}")
            time.sleep(0.3)

    def records(self, stage: str) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in (self.var / "stages" / stage).glob("*.json")]


@pytest.fixture
def house(tmp_path: Path, begin_stores: Callable[..., None]) -> Iterator[House]:
    begin_stores(tmp_path / "var")
    house = House(tmp_path / "var")
    try:
        yield house
    finally:
        house.process.send_signal(signal.SIGTERM)
        try:
            house.process.wait(120)
        except subprocess.TimeoutExpired:
            house.process.kill()


def ready(house: House) -> bool:
    try:
        return house.ask("/health") is True and bool(house.ask("/work_pools/filter", {}))
    except OSError:
        assert house.process.poll() is None, "the server ended"
        return False


def test_a_schedule_fires_and_what_is_killed_or_cancelled_goes_on(house: House) -> None:
    house.until(lambda: ready(house), "no server with a worker")
    house.apprentice("deploy")
    deployed = {each["name"]: each for each in house.ask("/deployments/filter", {})}
    declared = yaml.safe_load((paths.PROJECT_ROOT / "prefect.yaml").read_text())["deployments"]
    assert set(deployed) == {each["name"] for each in declared}
    (weekly,) = house.ask(f"/deployments/{deployed['weekly']['id']}/schedules")
    assert weekly["schedule"]["cron"] == "0 22 * * 6"

    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    schedule = {"interval": 20.0, "anchor_date": soon, "timezone": "UTC"}
    new = {"schedule": schedule, "active": True, "parameters": SMOKE, "slug": "now"}
    house.ask(f"/deployments/{deployed['weekly']['id']}/schedules", [new])

    def fired() -> list[str]:
        found = house.runs("weekly")
        return [run["id"] for run in found if run["parameters"] == SMOKE and run["state_type"] != "SCHEDULED"]

    house.until(fired, "the schedule made no run")
    first = fired()[0]
    house.ask(f"/deployments/{deployed['weekly']['id']}/pause_deployment", {})
    house.reaches(first, "Completed", "Failed", "Crashed", "Cancelled")
    assert house.ask(f"/flow_runs/{first}")["state_name"] == "Completed"

    counted = json.loads(house.apprentice("query", "--format", "json", "SELECT count(*) AS n FROM rollouts"))
    assert counted == [{"n": 8}]
    runs = mlflow_runs(house)
    stages = ("base", "grpo", "pipeline", "primed", "sft")
    ended = sorted((run["data"]["tags"]["stage"], run["info"]["status"]) for run in runs)
    assert ended == [(stage, "FINISHED") for stage in stages], list(house.var.glob("runs/*/unsent.json"))

    killed = start(house, deployed["grpo"]["id"])
    process = json.loads((house.var / "locks" / "training.json").read_text())["pid"]
    os.kill(process, signal.SIGKILL)
    house.reaches(killed, "Crashed", "Failed")

    cancelled = start(house, deployed["grpo"]["id"])
    house.ask(f"/flow_runs/{cancelled}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    house.reaches(cancelled, "Cancelled")
    (record,) = [each for each in house.records("grpo") if each["status"] != "done"]
    assert record["status"] == "interrupted"
    assert list((house.var / "runs" / record["run_id"] / "checkpoints").glob("checkpoint-*/sealed.json"))
    (run,) = [run for run in mlflow_runs(house) if run["info"]["run_id"] == record["run_id"]]
    assert run["info"]["status"] == "KILLED"
    assert "another process" not in house.apprentice("plan", "--profile", "smoke", "--from", "grpo")


def start(house: House, deployment: str) -> str:
    """A flow run that trains and has a checkpoint behind it."""
    before = {file for file in house.var.glob("runs/*/checkpoints/checkpoint-*/sealed.json")}
    run_id = str(house.ask(f"/deployments/{deployment}/create_flow_run", {"parameters": LONG})["id"])
    checkpoints = house.var.glob
    house.until(
        lambda: {file for file in checkpoints("runs/*/checkpoints/checkpoint-*/sealed.json")} - before,
        "no checkpoint was made",
        run_id,
    )
    return run_id


def mlflow_runs(house: House) -> list[dict[str, Any]]:
    """All runs as MLflow's server tells them, tags as a mapping."""
    url = f"http://127.0.0.1:{house.ports[1]}/api/2.0/mlflow"
    with urllib.request.urlopen(f"{url}/experiments/get-by-name?experiment_name=apprentice", timeout=30) as answer:
        experiment = json.loads(answer.read())["experiment"]["experiment_id"]
    body = json.dumps({"experiment_ids": [experiment], "max_results": 100}).encode()
    request = urllib.request.Request(f"{url}/runs/search", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        runs = json.loads(answer.read())["runs"]
    for run in runs:
        run["data"]["tags"] = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    return list(runs)
