"""Policies that never look at the turn, scored on real decision points: none of them may gain by it.

The bench's made cases show what a single trick earns; a policy shows what a habit earns over the mix of turns as it
is. Each is the best of its kind: the one that always calls makes the exact call wherever one is due, the one that never
calls gives the recorded answer wherever one is due. The *gain* is the mean of the tool part, the reward's signed half,
whose zero line models/rewards/tool_accuracy.py explains; the mean of the whole reward is told beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from data.schema import DecisionPoint, ToolCall
from models.rewards.variants import Reward
from models.speech.template import PLACEHOLDER_THOUGHT, THINK_CLOSE, THINK_OPEN, action_text, call_text

GENERIC_QUESTION = "What would you like?"
_NO_ARGUMENTS = "{}"


@dataclass(frozen=True)
class Gain:
    """What a policy earns over the mix: mean tool part (weighted), mean share of the greatest reward, and n."""

    policy: str
    tool_part: float
    share_of_maximum: float
    decision_points: int

    @property
    def holds(self) -> bool:
        """Whether the habit does not pay."""
        return self.tool_part <= 1e-9


def always_call(point: DecisionPoint) -> str:
    """The exact calls where calls are due, elsewhere the mildest call there is: one that only reads."""
    if point.kind == "call":
        return action_text(point.expected)
    reading = [tool.name for tool in point.tools if not tool.is_write]
    return _bare_call(reading[0]) if reading else first_tool(point)


def never_call(point: DecisionPoint) -> str:
    """The recorded answer where an answer is due, elsewhere a question."""
    return point.expected.content or GENERIC_QUESTION if point.kind == "answer" else GENERIC_QUESTION


def repeat_last_call(point: DecisionPoint) -> str:
    """The latest call of the history once more; the first tool where none was made."""
    calls = [call for message in point.history for call in message.tool_calls]
    return call_text(calls[-1]) if calls else first_tool(point)


def first_tool(point: DecisionPoint) -> str:
    """The first tool on offer without arguments; a question where none is on offer."""
    return _bare_call(point.tools[0].name) if point.tools else GENERIC_QUESTION


def generic_question(point: DecisionPoint) -> str:
    """Always the same question."""
    return GENERIC_QUESTION


POLICIES: dict[str, Callable[[DecisionPoint], str]] = {
    "always-call": always_call,
    "never-call": never_call,
    "repeat-last-call": repeat_last_call,
    "first-tool": first_tool,
    "generic-question": generic_question,
}


def gains(points: Sequence[DecisionPoint], reward: Reward) -> list[Gain]:
    """What every policy earns on these decision points."""
    return [_gain(name, policy, points, reward) for name, policy in POLICIES.items()]


def call_share(points: Iterable[DecisionPoint]) -> float:
    """Share of the turns at which calls are due; 0 without turns."""
    due = [point.kind == "call" for point in points]
    return sum(due) / len(due) if due else 0.0


def _gain(name: str, policy: Callable[[DecisionPoint], str], points: Sequence[DecisionPoint], reward: Reward) -> Gain:
    tool_part = whole = 0.0
    for point in points:
        text = f"{THINK_OPEN}{PLACEHOLDER_THOUGHT}{THINK_CLOSE}{policy(point)}"
        parts = reward.score(point, text, thinking=True).parts
        tool_part += reward.weights.tool_accuracy * parts.tool_accuracy
        whole += reward.total(parts) / reward.maximum(point) if reward.maximum(point) > 0 else 0.0
    many = max(1, len(points))
    return Gain(name, tool_part / many, whole / many, len(points))


def _bare_call(name: str) -> str:
    return call_text(ToolCall(id="c0", name=name, arguments={}, arguments_raw=_NO_ARGUMENTS))
