"""What a finished training tells MLflow: the monitor's verdict as tags one can filter by."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.training.job import TrainingOutcome
from models.training.monitor import Breach, Verdict
from tasks.training import _publish

BREACH = Breach("unasked_call_share", 21, 0.12, 0.54, "unasked call share rose from 12% to 54%")


@pytest.mark.parametrize(
    ("breaches", "tags"),
    [
        ((BREACH,), {"monitor": "breached", "breaches": "unasked_call_share"}),
        ((), {"monitor": "clean", "breaches": ""}),
    ],
)
def test_a_verdict_marks_the_run(breaches: tuple[Breach, ...], tags: dict[str, str], tmp_path: Path) -> None:
    verdict = Verdict(tags["monitor"], 40, breaches).as_row()
    outcome = TrainingOutcome(tmp_path, 40, 40, 1.0, "breach" if breaches else "finished", verdict=verdict)
    tagged: dict[str, str] = {}
    texts: dict[str, str] = {}

    def ignore(*given: Any) -> None:
        """Not what is looked at here."""

    run = SimpleNamespace(
        tag=tagged.update,
        log_text=lambda text, name: texts.update({name: text}),
        log_results=ignore,
        log_metrics=ignore,
        log_curves=ignore,
        log_traces=ignore,
        register_model=ignore,
    )
    record = SimpleNamespace(run_id="r", stage="grpo", dataset_version="d", git_commit="c", start_run_id="s")
    _publish(SimpleNamespace(run=run, record=record), outcome, "sha")  # type: ignore[arg-type]
    assert tags.items() <= tagged.items()
    assert tagged["stopped"] == outcome.stopped
    assert json.loads(texts["monitor.json"]) == verdict
