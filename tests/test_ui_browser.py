"""The MLflow UI in a real browser: a pipeline opens to its stages, and their charts are there without set-up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data import paths
from models.tracking import stage_run

pytestmark = pytest.mark.slow


@pytest.fixture
def address(browser: Any, isolated_var: Path) -> Iterator[str]:
    """``apprentice ui`` over a pipeline with two judged stages; asks for the browser first, so a skip costs nothing."""
    with stage_run("pipeline", name="pipeline smoke") as whole:
        for stage, success in (("sft", 0.35), ("grpo", 0.42)):
            with stage_run(stage, name=f"{stage} smoke", parent_run_id=whole.run_id) as run:
                for step in range(1, 5):
                    run.log_metrics({"train/loss": 1 / step}, step)
                run.log_results({"eval/seen/turn_success": success, "eval/unseen/turn_success": success / 2}, 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "flows.cli", "ui", "--port", str(port)]
    with subprocess.Popen(command, cwd=paths.PROJECT_ROOT, start_new_session=True) as server:
        try:
            _await(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGINT)


def _await(url: str, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.5)


def test_stages_of_a_pipeline_compare_without_set_up(address: str, browser: Any) -> None:
    with urllib.request.urlopen(
        f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=apprentice"
    ) as reply:
        experiment = json.load(reply)["experiment"]["experiment_id"]
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(120_000)
    page.goto(f"{address}/#/experiments/{experiment}/runs?compareRunsMode=CHART")
    box = page.get_by_text("pipeline smoke").first.bounding_box()
    page.mouse.click(box["x"] - 32, box["y"] + box["height"] / 2)  # the plus before its name
    page.get_by_text("grpo smoke").first.wait_for()
    page.get_by_text("sft smoke").first.wait_for()
    page.get_by_placeholder("Search metric charts").fill("turn_success")
    for name in ("eval/seen/turn_success", "eval/unseen/turn_success"):
        page.get_by_text(name, exact=True).first.wait_for()
    page.locator(".js-plotly-plot .bars path").nth(1).wait_for()  # both stages in one chart
    page.get_by_placeholder("Search metric charts").fill("train/loss")
    page.locator(".js-plotly-plot .scatterlayer path.js-line").nth(1).wait_for()
