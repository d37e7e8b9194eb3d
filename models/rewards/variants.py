"""Rewards by name: ours, three published ones to compare with, and a user's own file.

Every stage that scores completions (GRPO, the gold check, replay, the exploit bench) asks ``load_reward`` for one and
knows nothing else about it. A variant's whole reward is always the weighted sum of its parts, with the weights it
carries, so TRL's ``reward_weights`` and a replay compute the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data.schema import DecisionPoint
from data.settings import RewardWeights
from models.equality import exact_matches, same_calls
from models.rewards import compose
from models.rewards.compose import RewardParts, Scored
from models.rewards.toolrl import toolrl_correctness, toolrl_format, toolrl_notation
from models.rewards.user_reward import RewardError, load_user_reward, user_reward_digest
from models.speech.parsing import Parsed
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text

PartsOf = Callable[[DecisionPoint, Parsed, bool], RewardParts]

NAMES = ("graded", "toolrl", "binary", "f1")
_ONE_NUMBER = RewardWeights(format=0.0, tool_accuracy=1.0, answer_correctness=0.0)


@dataclass(frozen=True)
class Reward:
    """A reward: its name, the weights its parts are summed with, and how the parts come about."""

    name: str
    weights: RewardWeights
    parts_of: PartsOf

    def score(self, point: DecisionPoint, text: str, *, thinking: bool, cut: bool = False) -> Scored:
        """Parse a completion and score every part; arguments as ``compose.score`` has them."""
        parsed = compose.read(point, text, thinking=thinking, cut=cut)
        return Scored(parsed, self.parts_of(point, parsed, thinking))

    def total(self, parts: RewardParts) -> float:
        """The weighted sum of the parts that apply."""
        return compose.total(parts, self.weights)

    def maximum(self, point: DecisionPoint) -> float:
        """The greatest reward at this decision point; of a variant without a bound of its own, what gold earns."""
        if self.name == "graded":
            return compose.maximum(point, self.weights)
        gold = completion_text(point.expected, PLACEHOLDER_THOUGHT)
        return self.total(self.score(point, gold, thinking=True).parts)


def load_reward(spec: str, weights: RewardWeights) -> Reward:
    """The reward named by ``spec``: one of ``NAMES``, or the path of a Python file (``models.rewards.user_reward``).

    ``weights`` are those of ``graded``. The published ones and a user's own are one number (``toolrl``: the plain sum
    of its two), carried in the part ``tool_accuracy``.

    Raises:
        RewardError: Unknown name, or a file that cannot be used.
    """
    match spec:
        case "graded":
            return Reward(spec, weights, lambda point, parsed, thinking: compose.parts(point, parsed, weights.partial))
        case "toolrl":
            return Reward(spec, RewardWeights(format=1.0, tool_accuracy=1.0, answer_correctness=0.0), _toolrl)
        case "binary":
            return Reward(spec, _ONE_NUMBER, _binary)
        case "f1":
            return Reward(spec, _ONE_NUMBER, _f1)
    if not spec.endswith(".py"):
        raise RewardError(f"no reward {spec!r}; use one of {', '.join(NAMES)} or the path of a Python file")
    function = load_user_reward(Path(spec))
    return Reward(spec, _ONE_NUMBER, lambda point, parsed, thinking: _one_number(function(point, parsed)))


def reward_digest(spec: str) -> str:
    """What a stage's address needs beside the name: the bytes of a user's file; empty for our own, whose code counts.

    Raises:
        RewardError: The file is missing.
    """
    if spec in NAMES:
        return ""
    if not Path(spec).is_file():
        raise RewardError(f"no reward {spec!r}; use one of {', '.join(NAMES)} or the path of a Python file")
    return user_reward_digest(Path(spec))


def _toolrl(point: DecisionPoint, parsed: Parsed, thinking: bool) -> RewardParts:
    text = toolrl_notation(parsed.raw, thinking=thinking)
    calls = point.expected.tool_calls
    return RewardParts(toolrl_format(text, call_is_due=bool(calls)), toolrl_correctness(text, calls), None)


def _binary(point: DecisionPoint, parsed: Parsed, thinking: bool) -> RewardParts:
    """1 for a well-formed completion with exactly the expected calls, else 0, as in Tool-N1 (arXiv 2505.00024)."""
    return _one_number(float(parsed.ok and same_calls(point.expected.tool_calls, parsed.calls, point.tools)))


def _f1(point: DecisionPoint, parsed: Parsed, thinking: bool) -> RewardParts:
    """F1 over exactly right calls, ``2 matched / (expected + made)``, NeMo Gym's ``f1``; 1 if none is due or made."""
    expected, made = point.expected.tool_calls, parsed.calls
    if not expected and not made:
        return _one_number(0.0 if parsed.attempted_call else 1.0)
    return _one_number(2 * exact_matches(expected, made, point.tools) / (len(expected) + len(made)))


def _one_number(value: float) -> RewardParts:
    return RewardParts(0.0, value, None)
