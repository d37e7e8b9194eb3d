"""Which prompts rest: those that earlier runs always or never solved teach nothing this week.

A decision point rests once its newest attempts agree. Some of the resting ones return in every run, others each time,
since the model changes from week to week. What that saves is told in minutes, from how long a group took before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.pass_rates import PassRate
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.training.draws import uniform


@dataclass(frozen=True)
class Curriculum:
    """The points to practise on, how many rest and why, and what a pass over the prompts saves by it."""

    points: list[DecisionPoint]
    known: int
    always_solved: int
    never_solved: int
    returned: int
    seconds_per_group: float | None

    @property
    def resting(self) -> int:
        """How many points are left out of this run."""
        return self.always_solved + self.never_solved - self.returned

    @property
    def minutes_saved(self) -> float | None:
        """Estimated time that one pass over all prompts would have spent on those that rest."""
        return None if self.seconds_per_group is None else self.resting * self.seconds_per_group / 60

    def figures(self) -> dict[str, float]:
        """Numbers for the run's record."""
        saved = {} if self.minutes_saved is None else {"curriculum/minutes_saved": self.minutes_saved}
        return {"curriculum/resting": float(self.resting), "curriculum/known": float(self.known), **saved}

    def says(self, mode: str) -> str:
        """One line for the person who started the run."""
        resting = f"{self.resting} of {len(self.points) + self.resting} decision points"
        why = f"{self.always_solved} always solved, {self.never_solved} never, {self.returned} of them tried again"
        saved = (
            ""
            if self.minutes_saved is None
            else (
                f"; a pass over the prompts is about {self.minutes_saved:.1f} min shorter "
                f"({self.seconds_per_group:.1f} s a group in earlier runs)"
            )
        )
        verb = "rest" if mode != "off" else "would rest with grpo.curriculum=passes"
        return f"curriculum: {resting} {verb} ({why}){saved}"


def verdict_of(rate: PassRate, settings: GRPOSettings) -> str | None:
    """``solved`` or ``unsolved`` if the point's newest attempts agree; under ``signal`` only without any variance."""
    if rate.attempts < settings.rest_after or (settings.curriculum == "signal" and rate.varied_groups):
        return None
    if rate.passes == rate.attempts:
        return "solved"
    return "unsolved" if rate.passes == 0 else None


def plan(
    points: Sequence[DecisionPoint],
    rates: Mapping[str, PassRate],
    settings: GRPOSettings,
    key: tuple[int | str, ...],
    seconds_per_group: float | None,
) -> Curriculum:
    """Split points into those practised on and those that rest; at least one step's prompts stay.

    Args:
        points: What may be practised on.
        rates: Pass rates by id.
        settings: ``curriculum``, ``rest_after``, ``return_share``; ``off`` plans as ``passes`` does, for show.
        key: What the choice of returning points is a function of.
        seconds_per_group: How long a group took in earlier runs.
    """
    verdicts = {point.id: verdict_of(rates[point.id], settings) for point in points if point.id in rates}
    resting = sorted((one for one, verdict in verdicts.items() if verdict), key=lambda one: uniform(*key, one))
    step = settings.batch_size // settings.num_generations
    returned = max(round(settings.return_share * len(resting)), min(step, len(points)) - (len(points) - len(resting)))
    out = frozenset(resting[max(0, returned) :])
    return Curriculum(
        points=[point for point in points if point.id not in out],
        known=len(verdicts),
        always_solved=sum(verdict == "solved" for verdict in verdicts.values()),
        never_solved=sum(verdict == "unsolved" for verdict in verdicts.values()),
        returned=len(resting) - len(out),
        seconds_per_group=seconds_per_group,
    )
