"""The gold check: does the recorded action itself reach the maximal reward?

What people recorded is right by definition, so gold below the maximum means a mistake in the data, in its mapping or in
the reward. Such decision points are listed with the reason, kept for SFT, and barred from GRPO, where they would teach
that the right action is wrong.

Answers that nobody annotated are another matter: the reward leans on annotations, and a recorded answer from general
knowledge, or with sums of its own, cannot satisfy it. Those below the maximum are *unjudged*: barred alike, not faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from data.schema import DecisionPoint
from models.equality import asks
from models.rewards.act_fit import asking_is_due, claims_falsely, does
from models.rewards.answer import made_up
from models.rewards.asking import asks_for
from models.rewards.compose import Scored
from models.rewards.saying import no_answer
from models.rewards.variants import Reward
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text
from models.telling import tells

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
    unjudged: tuple[GoldFailure, ...] = ()
    """Answers that nobody annotated and that the reward does not recognise; not among ``checked``."""
    derived: int = 0
    """Answers that nobody annotated, in all."""
    open: int = 0
    """Of these the ones whose record says neither a value to tell nor a question to ask: nearly any answer is right."""

    @property
    def failed(self) -> dict[str, int]:
        """Failures per kind of turn; every kind that was checked has an entry."""
        counts = Counter(failure.kind for failure in self.failures)
        return {kind: counts[kind] for kind in self.checked}

    @property
    def barred(self) -> frozenset[str]:
        """Ids of the decision points that GRPO must not learn from."""
        return frozenset(failure.decision_point_id for failure in (*self.failures, *self.unjudged))

    def failed_share(self, kind: str) -> float:
        """Share of the turns of this kind that failed; 0 if none was checked."""
        return self.failed.get(kind, 0) / max(1, self.checked.get(kind, 0))


def audit(points: Iterable[DecisionPoint], reward: Reward) -> GoldAudit:
    """Score the recorded action of every decision point, with a placeholder thought, by ``reward``."""
    checked: Counter[str] = Counter()
    failures: list[GoldFailure] = []
    unjudged: list[GoldFailure] = []
    derived: list[bool] = []
    for point in points:
        if point.expected.derived:
            derived.append(not (point.expected.facts or point.expected.acts))
        scored = reward.score(point, completion_text(point.expected, PLACEHOLDER_THOUGHT), thinking=True)
        missed = reward.total(scored.parts) < reward.maximum(point) - _TOLERANCE
        listed = unjudged if point.expected.derived else failures
        if missed:
            reason = "; ".join(_reasons(point, scored)) or "too many values or questions at once"
            listed.append(GoldFailure(point.id, point.kind, reason))
        if not missed or listed is failures:
            checked[point.kind] += 1
    return GoldAudit(dict(checked), tuple(failures), tuple(unjudged), len(derived), sum(derived))


def _reasons(point: DecisionPoint, scored: Scored) -> Iterator[str]:
    """What kept the recorded action from the maximum, in words."""
    parsed, parts = scored.parsed, scored.parts
    if not parsed.ok:
        yield f"does not parse: {parsed.status}"
        return
    if point.kind == "call" and parts.tool_accuracy < 1:
        yield f"tool accuracy {parts.tool_accuracy:.2f}"
    if parts.answer_correctness is not None and parts.answer_correctness < 1:
        yield from _answer_reasons(point, parsed.answer or "")


def _answer_reasons(point: DecisionPoint, text: str) -> Iterator[str]:
    pretence = no_answer(point, text)
    if pretence:
        yield f"is no answer: {pretence}"
        return
    for fact in point.expected.facts:
        if not tells(point, fact, text):
            yield f"{fact.kind} {fact.name} not conveyed: {' | '.join(fact.forms)}"
    for slot in point.expected.requested:
        if not asks_for(slot, text, point.tools):
            yield f"does not ask for {slot}"
    for act in point.expected.acts:
        if not does(act, text):
            yield f"act not done: {act}"
    if asking_is_due(point) and not asks(text):
        yield "asks nothing although asking is due"
    if claims_falsely(point, text):
        yield "claims a change that has not happened"
    for value in made_up(point, text):
        yield f"value found nowhere: {value}"
    if not (point.expected.facts or point.expected.requested or asking_is_due(point)) and asks(text):
        yield "asks although no asking act is annotated"
