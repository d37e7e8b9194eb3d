"""Progress for people and files; metrics for the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from tasks import reporting
from tasks.reporting import BarReporter, PlainReporter


class Kept:
    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, float], int]] = []

    def log_metrics(self, values, step: int) -> None:
        self.rows.append((dict(values), step))


def test_metrics_go_to_the_run() -> None:
    run = Kept()
    PlainReporter("sft", run).metrics({"train/loss": 1.0}, 3)
    assert run.rows == [({"train/loss": 1.0}, 3)]


def test_plain_progress_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = [0.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: clock[0])
    reporter = PlainReporter("sft", directory=tmp_path)
    reporter.phase("training", 100)
    for done in range(1, 9):
        clock[0] += 10.0
        reporter.update(done, f"loss {done}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "sft: training, 100 steps"
    assert len(lines) == 3  # at the start, after 30 and after 60 of 80 seconds
    assert lines[-1] == "sft: training 6/100 steps, about 15.7 min left, loss 6"
    rows = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert rows[-1]["done"] == 8
    assert rows[-1]["total"] == 100


def test_time_left_of_work_that_goes_on_is_told_by_what_this_call_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = [0.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: clock[0])
    reporter = PlainReporter("sft", directory=tmp_path)
    reporter.phase("training", 100, done=40)
    for done in (40, 43):
        clock[0] += 30.0
        reporter.update(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "sft: training, 100 steps, 40 of them before"
    assert lines[1] == "sft: training 40/100 steps"  # nothing done yet from which to tell
    assert lines[2] == "sft: training 43/100 steps, about 19.0 min left"
    assert json.loads((tmp_path / "progress.jsonl").read_text().splitlines()[0])["done"] == 40


def test_what_is_said_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    PlainReporter("grpo").say("done")
    captured = capsys.readouterr()
    assert captured.out == "grpo: done\n"
    assert captured.err == ""


def test_a_bar_follows_phases(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(console=Console(stderr=True, force_terminal=True), transient=True) as progress:
        reporter = BarReporter("sft", progress)
        reporter.phase("tokenising", 10, "conversations")
        reporter.update(10)
        reporter.phase("training", 4)
        reporter.update(2, "loss 1.0")
        reporter.say("half way")
        bar = progress.tasks[0]
        assert (bar.completed, bar.total, bar.fields["note"]) == (2, 4, "loss 1.0")
        assert bar.description == "sft · training"
        reporter.phase("training", 4, done=3)
        assert (progress.tasks[0].completed, progress.tasks[0].total) == (3, 4)
    assert "sft: half way" in capsys.readouterr().out
