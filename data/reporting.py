"""How long-running work speaks: progress, metrics and remarks, without knowing who listens.

Training, evaluation and ingestion receive a ``Reporter``. On a terminal it draws a rich progress bar, in a Prefect
worker it writes a line now and then, and inside a stage it also forwards metrics to MLflow. Tests use ``Silent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """What long-running work may tell."""

    def phase(self, name: str, total: float | None = None, unit: str = "steps", done: float = 0.0) -> None:
        """Begin a phase: ``total`` units of work if known (then an ETA is shown), ``done`` of them before, in work
        that goes on where it was stopped."""

    def update(self, done: float, note: str = "") -> None:
        """Units of the current phase done so far, with a short remark such as the current loss."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers worth a curve, at an optimizer step."""

    def say(self, text: str) -> None:
        """One line for the person who started the run."""


class Silent:
    """A reporter that tells nobody."""

    def phase(self, name: str, total: float | None = None, unit: str = "steps", done: float = 0.0) -> None:
        """Ignore."""

    def update(self, done: float, note: str = "") -> None:
        """Ignore."""

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Ignore."""

    def say(self, text: str) -> None:
        """Ignore."""
