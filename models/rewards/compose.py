"""The whole reward of a completion: its parts, composed by weights.

A part that does not apply (answer correctness on a call turn) is left out of the sum, not counted as zero, so the
greatest possible reward differs between kinds of turn; advantages are taken within a prompt's group, where it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.schema import DecisionPoint
from data.settings import RewardWeights
from models.rewards.answer import answer_correctness_reward
from models.rewards.format import format_reward
from models.rewards.tool_accuracy import highest, tool_accuracy_reward
from models.speech.parsing import Parsed, parse_completion


@dataclass(frozen=True)
class RewardParts:
    """The parts of one completion's reward; ``answer_correctness`` is None on call turns."""

    format: float
    tool_accuracy: float
    answer_correctness: float | None


@dataclass(frozen=True)
class Scored:
    """A completion as understood and as paid."""

    parsed: Parsed
    parts: RewardParts


class Unended(Parsed):
    """What a completion says that was cut at its token limit: well-formed it is not, however well it reads so far."""

    @property
    def ok(self) -> bool:
        """Never: the turn has no end."""
        return False


def read(point: DecisionPoint, text: str, *, thinking: bool, cut: bool = False) -> Parsed:
    """A completion of this decision point taken apart; see ``score``."""
    parsed = parse_completion(text, thinking=thinking, tools=point.tools, text_beside_call=point.speaks_beside_call)
    return Unended(**dict(parsed)) if cut else parsed


def score(point: DecisionPoint, text: str, *, thinking: bool, cut: bool = False) -> Scored:
    """Parse a completion and score every part. Never raises on any text.

    Args:
        point: Where it was written.
        text: With its ``<think>`` opener when thinking, without the end-of-turn token.
        thinking: Whether a think block is due.
        cut: Whether it stopped at its token limit instead of ending its turn.
    """
    parsed = read(point, text, thinking=thinking, cut=cut)
    return Scored(parsed, parts(point, parsed))


def parts(point: DecisionPoint, parsed: Parsed, partial: float = 1.0) -> RewardParts:
    """The parts of a completion that is taken apart already.

    Args:
        point: Where it was written.
        parsed: What was written.
        partial: The share that credit between none and all of it keeps, in [0, 1] (``RewardWeights.partial``).
    """
    called, answered = tool_accuracy_reward(point, parsed), answer_correctness_reward(point, parsed)
    return RewardParts(
        format=format_reward(parsed),
        tool_accuracy=called * partial if 0 < called < highest(point) else called,
        answer_correctness=answered * partial if answered is not None and answered < 1 else answered,
    )


def total(parts: RewardParts, weights: RewardWeights) -> float:
    """The weighted sum of the parts that apply."""
    answer = 0.0 if parts.answer_correctness is None else weights.answer_correctness * parts.answer_correctness
    return weights.format * parts.format + weights.tool_accuracy * parts.tool_accuracy + answer


def maximum(point: DecisionPoint, weights: RewardWeights) -> float:
    """The reward a right completion of this decision point reaches."""
    return total(RewardParts(1.0, highest(point), None if point.kind == "call" else 1.0), weights)
