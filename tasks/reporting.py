"""Who listens to long-running work: a rich progress bar on a terminal, a plain line now and then elsewhere.

Both forward metrics to the stage's MLflow run and leave ``progress.jsonl`` in the run's directory. Progress goes to
stderr; what a stage has to say in the end goes to stdout.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tasks.progress_artifact import ProgressArtifact

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY = 30.0
FILE_EVERY = 5.0


def duration(seconds: float) -> str:
    """``45 s``, ``7.5 min``."""
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"


class Metrics(Protocol):
    """Where numbers go: a stage run."""

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep the numbers of a step."""


class PlainReporter:
    """A line at the start of a phase and about every 30 seconds: for workers, logs and pipes."""

    def __init__(self, stage: str, run: Metrics | None = None, directory: Path | None = None) -> None:
        """``run`` receives metrics, ``directory`` the progress file; both may be absent."""
        self.stage = stage
        self._run = run
        self._file = directory / "progress.jsonl" if directory else None
        self._artifact = ProgressArtifact(stage)
        self._phase, self._total, self._unit = "", None, ""  # type: tuple[str, float | None, str]
        self._began = self._line_at = self._file_at = 0.0
        self._done_before = 0.0

    def phase(self, name: str, total: float | None = None, unit: str = "steps", done: float = 0.0) -> None:
        """Begin a phase and say so."""
        self._phase, self._total, self._unit = name, total, unit
        self._began = self._line_at = time.monotonic()
        self._done_before = done
        self._note(done, "")
        self._artifact.tell(name, done, total, now=True)
        amount = f"{total:g} {unit}" if total else ""
        parts = [name if name != self.stage else "", amount, f"{done:g} of them before" if amount and done else ""]
        self.line(", ".join(part for part in parts if part))

    def update(self, done: float, note: str = "") -> None:
        """Keep the progress; print a line if the last one is old enough."""
        now = time.monotonic()
        if now - self._file_at >= FILE_EVERY:
            self._note(done, note)
            self._artifact.tell(self._phase, done, self._total)
        if now - self._line_at >= LINE_EVERY:
            self._line_at = now
            self.line(f"{self._phase} {self._reached(done)}{self._left(done)}" + (f", {note}" if note else ""))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Hand the numbers to the run."""
        if self._run is not None:
            self._run.log_metrics(values, step)

    def say(self, text: str) -> None:
        """Print a line on stdout."""
        print(f"{self.stage}: {text.removeprefix(f'{self.stage}: ')}", flush=True)

    def line(self, text: str) -> None:
        """Print a line of progress on stderr."""
        print(f"{self.stage}: {text}", file=sys.stderr, flush=True)

    def _reached(self, done: float) -> str:
        return f"{done:g}/{self._total:g} {self._unit}" if self._total else f"{done:g} {self._unit}"

    def _left(self, done: float) -> str:
        now_done = done - self._done_before
        if not self._total or now_done <= 0:
            return ""
        return f", about {duration((time.monotonic() - self._began) / now_done * (self._total - done))} left"

    def _note(self, done: float, note: str) -> None:
        self._file_at = time.monotonic()
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        row = {"at": time.time(), "phase": self._phase, "done": done, "total": self._total, "unit": self._unit}
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({**row, "note": note}) + "\n")


class BarReporter(PlainReporter):
    """A progress bar with an estimate of the time left, for a person at a terminal."""

    def __init__(
        self, stage: str, progress: Progress, run: Metrics | None = None, directory: Path | None = None
    ) -> None:
        """Draw into ``progress``, which the caller starts and stops."""
        super().__init__(stage, run, directory)
        self._progress = progress
        self._bar = progress.add_task(stage, total=None, note="", reached="")

    def phase(self, name: str, total: float | None = None, unit: str = "steps", done: float = 0.0) -> None:
        """Start the bar again under the phase's name."""
        super().phase(name, total, unit, done)
        self._progress.reset(
            self._bar, total=total, completed=int(done), description=f"{self.stage} · {name}", note="", reached=""
        )

    def update(self, done: float, note: str = "") -> None:
        """Move the bar."""
        super().update(done, note)
        self._progress.update(self._bar, completed=done, note=note, reached=self._reached(done))

    def say(self, text: str) -> None:
        """Print above the bar, on stdout."""
        self._progress.stop()
        super().say(text)
        self._progress.start()

    def line(self, text: str) -> None:
        """Say nothing: the bar shows it."""


@contextmanager
def reporting(stage: str, run: Metrics | None = None, directory: Path | None = None) -> Iterator[PlainReporter]:
    """The reporter that fits where we run; a bar is removed when its work ends."""
    if not sys.stderr.isatty():
        yield PlainReporter(stage, run, directory)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[reached]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield BarReporter(stage, progress, run, directory)
