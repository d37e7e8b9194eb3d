"""The local truth about a run's curves: one line of JSON per step, appended before anything is sent anywhere.

A resumed stage repeats the steps after its last checkpoint; a number that is already there for its step is dropped, so
a curve goes on where it stopped and no step appears twice. MLflow is filled from here, also after it was away.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Point:
    """One number of one curve; ``at`` is Unix time in seconds."""

    key: str
    value: float
    step: int
    at: float


class MetricLog:
    """Append-only ``metrics.jsonl`` of one run."""

    def __init__(self, path: Path, *, reader: bool = False) -> None:
        """Read what is there; a last line cut short by a kill is dropped. A ``reader`` leaves the disk as it is."""
        self.path = path
        self.points: list[Point] = []
        if not reader:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            text = path.read_bytes()
            whole = text[: text.rfind(b"\n") + 1]
            if len(whole) < len(text) and not reader:
                os.truncate(path, len(whole))
            for line in whole.splitlines():
                self.points.extend(_points(json.loads(line)))
        self._known = {(point.key, point.step): point.value for point in self.points}

    def add(self, values: Mapping[str, float], step: int, *, again: bool = False) -> list[Point]:
        """Append the values that are new for this step, or with ``again`` that differ; returns what was added."""
        fresh = {key: float(value) for key, value in values.items() if self._is_new(key, step, float(value), again)}
        if not fresh:
            return []
        row = {"step": step, "at": time.time(), "values": fresh}
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        points = _points(row)
        self.points.extend(points)
        self._known.update({(point.key, point.step): point.value for point in points})
        return points

    def _is_new(self, key: str, step: int, value: float, again: bool) -> bool:
        known = self._known.get((key, step))
        if known is None or not again:
            return known is None
        return not same(known, value)

    def curve(self, key: str) -> tuple[list[int], list[float]]:
        """Steps and values of one curve, in order of steps."""
        points = sorted((point for point in self.points if point.key == key), key=lambda point: point.step)
        return [point.step for point in points], [point.value for point in points]

    def names(self) -> list[str]:
        """Names of all curves, sorted."""
        return sorted({point.key for point in self.points})


def _points(row: Mapping[str, Any]) -> list[Point]:
    return [Point(key, value, row["step"], row["at"]) for key, value in row["values"].items()]


def same(known: float | None, value: float) -> bool:
    """Whether a number is the one that is known; NaN is the same as NaN here."""
    return known is not None and (known == value or (known != known and value != value))


def missing(points: Iterable[Point], known: Mapping[str, set[int]]) -> list[Point]:
    """The points whose step ``known`` does not hold for their key."""
    return [point for point in points if point.step not in known.get(point.key, set())]
