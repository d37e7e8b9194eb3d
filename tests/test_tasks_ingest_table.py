"""The table an ingestion ends with says what changed, what was refused and why, and what repeats."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from data.ingest import IngestReport
from tasks.ingest_table import ingest_table

REPORT: dict[str, Any] = {
    "dataset_version": "0123456789ab",
    "source": "sgd",
    "conversations": {"train": 1200, "test_seen": 30},
    "decision_points": {"train": 14000, "test_seen": 310},
    "quarantined": {"unknown_tool": 2, "missing_argument": 17},
    "flagged": {"ungrounded_fact": 4},
    "duplicates": {"near": 3, "exact_elsewhere": 1},
    "compared_with": "ba9876543210",
    "changes": {"new": 5, "changed": 0, "removed": 1, "unchanged": 1225},
    "seconds": 12.3,
    "reused": False,
}


def printed(**changes: Any) -> list[str]:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(ingest_table(IngestReport.model_validate({**REPORT, **changes})))
    return [" ".join(line.replace("│", " ").split()) for line in console.export_text().splitlines()]


def test_every_count_has_its_row() -> None:
    lines = printed()
    assert lines[0] == "dataset 0123456789ab · sgd · 12.3 s"
    for expected in [
        "against ba9876543210 new 5",
        "changed 0",
        "removed 1",
        "unchanged 1,225",
        "split train 1,200 14,000",
        "test_seen 30 310",
        "quarantined missing_argument 17",
        "unknown_tool 2",
        "flagged answers, kept ungrounded_fact 4",
        "duplicates nearly the same as one to be judged by 3",
        "the same as one of another source or an earlier version 1",
    ]:
        assert expected in lines


def test_what_did_not_occur_takes_no_room() -> None:
    lines = printed(quarantined={}, flagged={}, duplicates={}, compared_with=None, changes={"new": 1230}, reused=True)
    assert lines[0].endswith("reused")
    assert "first of its source new 1,230" in lines
    assert not any(word in line for line in lines for word in ("quarantined", "flagged", "duplicates"))
