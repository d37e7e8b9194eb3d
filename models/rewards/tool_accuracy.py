"""The tool accuracy reward: whether the right calls were made, and none where none was due.

It is graded, because a small model first learns the tool, then its arguments, then their values; and it is signed on
every turn, because a reward that pays calls but leaves answer turns alone teaches a model to call always.

The order on call turns, best first: exact, an optional argument missing, a value wrong, a required argument missing,
the right tool without arguments, a wrong tool, an answer instead of a call, an invented tool, a malformed call, no
action at all, an unasked call that writes.
"""

from __future__ import annotations

from collections.abc import Iterable

from data.schema import DecisionPoint, ToolCall
from models.rewards.matching import match_calls
from models.speech.parsing import Parsed
from models.wording import is_answer

WRONG_TOOL = -0.25
ANSWERED_INSTEAD = -0.5
INVENTED_TOOL = -0.6
MALFORMED = -0.75
NO_ACTION = -0.85
UNASKED_WRITE = -1.0

#: On answer turns.
UNASKED_READ = -0.75
UNASKED_INVENTED = -0.9
UNASKED_MALFORMED = -1.0
SILENCE = -0.5

#: A spurious or missing call costs by the cube of F1 over calls: one junk call beside the exact one leaves 0.30, less
#: than any single wrong value does.
COUNT_POWER = 3
TEXT_BESIDE_CALL_COST = 0.25
#: Each further wrong call of the same kind.
FURTHER_CALL_COST = 0.05
_FURTHER_AT_MOST = 3


def tool_accuracy_reward(point: DecisionPoint, parsed: Parsed) -> float:
    """How right the calls of a completion are, in [-1, 1]; 1 for gold on every turn.

    Calls are scored as understood even if the think block is at fault: that is the format reward's to punish.
    """
    if point.kind == "answer":
        return _answer_turn(point, parsed)
    if parsed.calls:
        return _calls_made(point, parsed)
    if parsed.attempted_call:
        return MALFORMED
    return ANSWERED_INSTEAD if is_answer(parsed.answer or "") else NO_ACTION


def _answer_turn(point: DecisionPoint, parsed: Parsed) -> float:
    if not parsed.attempted_call:
        return 1.0 if is_answer(parsed.answer or "") else SILENCE
    if writes(point, parsed.calls):
        return UNASKED_WRITE
    if not parsed.calls or parsed.lost_call:
        return UNASKED_MALFORMED
    if invents(point, parsed.calls):
        return UNASKED_INVENTED
    return UNASKED_READ - _further(len(parsed.calls))


def _calls_made(point: DecisionPoint, parsed: Parsed) -> float:
    matching = match_calls(point.expected.tool_calls, parsed.calls, point.tools)
    if writes(point, matching.spurious):
        return UNASKED_WRITE
    if parsed.lost_call:
        return MALFORMED
    if invents(point, matching.spurious):
        return INVENTED_TOOL
    if not matching.pairs:
        return WRONG_TOOL - _further(len(parsed.calls))
    beside = TEXT_BESIDE_CALL_COST if parsed.answer and not point.speaks_beside_call else 0.0
    f1_over_calls = 2 * matching.pairs / (len(point.expected.tool_calls) + len(parsed.calls))
    return matching.likeness / matching.pairs * f1_over_calls**COUNT_POWER * (1 - beside)


def writes(point: DecisionPoint, calls: Iterable[ToolCall]) -> bool:
    """Whether any of the calls changes the world."""
    writing = {tool.name for tool in point.tools if tool.is_write}
    return any(call.name in writing for call in calls)


def invents(point: DecisionPoint, calls: Iterable[ToolCall]) -> bool:
    """Whether any of the calls names a tool that is not on offer."""
    offered = {tool.name for tool in point.tools}
    return any(call.name not in offered for call in calls)


def _further(calls: int) -> float:
    return FURTHER_CALL_COST * min(calls - 1, _FURTHER_AT_MOST)
