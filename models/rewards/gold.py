"""The gold check: does the recorded action itself reach the maximal reward?

What people recorded is right by definition, so gold below the maximum means a mistake in the data, in its mapping or in
the reward. Such decision points are listed with the reason, kept for SFT, and barred from GRPO, where they would teach
that the right action is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data.schema import DecisionPoint
from models.equality import asks, conveys
from models.rewards.answer import asking_is_due
from models.rewards.compose import Scored
from models.rewards.variants import Reward
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class GoldFailure:
    """A decision point whose recorded action misses the maximum, and why."""

    decision_point_id: str
    kind: str
    reason: str


@dataclass(frozen=True)
class GoldAudit:
    """How recorded actions fare: how many were checked per kind of turn, and which failed."""

    checked: dict[str, int]
    failures: tuple[GoldFailure, ...]

    @property
    def failed(self) -> dict[str, int]:
        """Failures per kind of turn; every kind that was checked has an entry."""
        counts = Counter(failure.kind for failure in self.failures)
        return {kind: counts[kind] for kind in self.checked}

    @property
    def barred(self) -> frozenset[str]:
        """Ids of the decision points that GRPO must not learn from."""
        return frozenset(failure.decision_point_id for failure in self.failures)

    def failed_share(self, kind: str) -> float:
        """Share of the turns of this kind that failed; 0 if none was checked."""
        return self.failed.get(kind, 0) / max(1, self.checked.get(kind, 0))


def audit(points: Iterable[DecisionPoint], reward: Reward) -> GoldAudit:
    """Score the recorded action of every decision point, with a placeholder thought, by ``reward``."""
    checked: Counter[str] = Counter()
    failures: list[GoldFailure] = []
    for point in points:
        checked[point.kind] += 1
        scored = reward.score(point, completion_text(point.expected, PLACEHOLDER_THOUGHT), thinking=True)
        if reward.total(scored.parts) < reward.maximum(point) - _TOLERANCE:
            reason = "; ".join(_reasons(point, scored))
            failures.append(GoldFailure(point.id, point.kind, reason))
    return GoldAudit(dict(checked), tuple(failures))


def _reasons(point: DecisionPoint, scored: Scored) -> Iterator[str]:
    """What kept the recorded action from the maximum, in words; at least one reason."""
    parsed, parts = scored.parsed, scored.parts
    if not parsed.ok:
        yield f"does not parse: {parsed.status}"
        return
    if parts.tool_accuracy < 1:
        yield f"tool accuracy {parts.tool_accuracy:.2f}"
    if parts.answer_correctness is not None and parts.answer_correctness < 1:
        yield from _answer_reasons(point, parsed.answer or "")


def _answer_reasons(point: DecisionPoint, text: str) -> Iterator[str]:
    missed = [fact for fact in point.expected.facts if not conveys(fact, text)]
    for fact in missed:
        yield f"{fact.kind} {fact.name} not conveyed: {' | '.join(fact.forms)}"
    if asking_is_due(point) and not asks(text):
        yield "asks nothing although asking is due"
    elif not point.expected.facts and asks(text) and not asking_is_due(point):
        yield "asks although no asking act is annotated"
    elif not missed:
        yield "is no answer: too few words, raw JSON, or an echo of the user"
