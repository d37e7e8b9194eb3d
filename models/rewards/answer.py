"""The answer correctness reward: whether an answer says what this turn had to say.

It knows the annotated facts and the kind of act that was due, never the reference utterance: any wording that conveys
the facts and asks where asking was due reaches the maximum. Length earns nothing.
"""

from __future__ import annotations

from data.schema import ASKING_ACTS, Act, DecisionPoint
from models.equality import asks, conveys, normalise
from models.speech.parsing import Parsed
from models.wording import is_answer, is_dump

#: Factor on the facts' recall when the answer should also have asked something and did not.
DID_NOT_ASK = 0.5
#: For an answer without facts to convey whose kind of act does not fit.
WRONG_ACT = 0.25
LEAST_WORDS = 2


def answer_correctness_reward(point: DecisionPoint, parsed: Parsed) -> float | None:
    """How right an answer is, in [0, 1]; None on call turns, where there is no answer to judge.

    0 for a call, a parse failure, an echo of the user, or raw JSON handed on. With facts: their recall, halved where a
    question was due and none was asked. Without facts: 1 if the answer asks exactly where asking was due.
    """
    if point.kind == "call":
        return None
    text = parsed.answer
    if not parsed.ok or parsed.calls or not text or is_dump(text) or _echoes(point, text):
        return 0.0
    due = asking_is_due(point)
    if point.expected.facts:
        return fact_recall(point, text) * (1.0 if asks(text) or not due else DID_NOT_ASK)
    if not is_answer(text, 1 if Act.GOODBYE in point.expected.acts else LEAST_WORDS):
        return 0.0
    return 1.0 if asks(text) == due or _may_ask(point) else WRONG_ACT


def asking_is_due(point: DecisionPoint) -> bool:
    """Whether the expected answer asks the user for something."""
    return not ASKING_ACTS.isdisjoint(point.expected.acts)


def fact_recall(point: DecisionPoint, text: str) -> float:
    """Share of the expected facts that the text conveys; the turn must have facts."""
    facts = point.expected.facts
    return sum(conveys(fact, text) for fact in facts) / len(facts)


def _may_ask(point: DecisionPoint) -> bool:
    """Whether the turn may be put as a question or as a statement: an offer, a confirmation, or one whose kind nobody
    has annotated."""
    if not point.expected.acts:
        return True
    return not asking_is_due(point) and not {Act.OFFER, Act.CONFIRM}.isdisjoint(point.expected.acts)


def _echoes(point: DecisionPoint, text: str) -> bool:
    said = next((message.content for message in reversed(point.history) if message.role == "user"), None)
    return normalise(said or "") == normalise(text)
