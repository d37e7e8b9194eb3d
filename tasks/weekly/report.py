"""Writes the weekly report; the whole job leaves one under ``var/reports``."""

from __future__ import annotations

from pathlib import Path

from data import paths
from data.files import write_whole
from tasks.stage import now
from tasks.weekly.facts import gather
from tasks.weekly.page import render


def write_report(output: Path | None = None) -> Path:
    """Write the report on the newest model; returns its file, ``var/reports/<day>-<run>.html`` unless told otherwise.

    Raises:
        MissingUpstream: Nothing was trained and judged yet.
    """
    week = gather()
    file = output or paths.reports() / f"{now()[:10]}-{week.newest.run_id[:8]}.html"
    write_whole(file, render(week))
    return file
