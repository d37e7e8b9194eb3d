"""The tool accuracy reward: whether the right calls were made, and none where none was due.

It is graded, because a small model first learns the tool, then its arguments, then their values; and it is signed on
every turn, because a reward that pays calls but leaves answer turns alone teaches a model to call always.

**The zero line** is chosen for the mix of turns. About one turn in four is a call turn, so if answering without a call
earned as much as an exact call does, a policy that never calls would gain most of the time for nothing. Not calling
where no call is due therefore earns only ``NO_CALL_RIGHT`` (the answer itself is paid by answer correctness), and
calling there costs several times that. With c the share of call turns, never calling gains
``c * ANSWERED_INSTEAD + (1 - c) * NO_CALL_RIGHT``, at or below zero from c = 1/7 on; always calling, exactly where due,
gains at most ``c + (1 - c) * UNASKED_READ``, at or below zero up to c = 0.459. SGD has c = 0.23.

**The order** on call turns, best first: exact, an optional argument missing, a value wrong, a required argument
missing, the right tool without arguments, a wrong tool, an answer instead, an invented tool, a malformed call, nothing
said, gibberish, an unasked call that writes. The order also holds after the format reward of 0.5 is added, which only
well-formed completions earn; that is why well-formed gibberish and unasked writes lie so low here.
"""

from __future__ import annotations

from collections.abc import Iterable

from data.schema import DecisionPoint, ToolCall
from models.rewards.matching import match_calls
from models.rewards.saying import no_answer
from models.speech.parsing import Parsed

WRONG_TOOL = -0.25
ANSWERED_INSTEAD = -0.6
INVENTED_TOOL = -0.75
MALFORMED = -0.85
NOTHING_SAID = -0.95
PRETENCE = -1.4
UNASKED_WRITE = -1.5

#: On answer turns.
NO_CALL_RIGHT = 0.1
SILENCE = -0.3
NO_ANSWER = -0.5
UNASKED_READ = -0.85
UNASKED_INVENTED = -0.92
UNASKED_MALFORMED = -0.95

#: A spurious or missing call costs by the cube of F1 over calls: one junk call beside the exact one leaves 0.30, less
#: than any single wrong value does.
COUNT_POWER = 3
TEXT_BESIDE_CALL_COST = 0.25
#: Each further wrong call of the same kind.
FURTHER_CALL_COST = 0.02
_FURTHER_AT_MOST = 3


def tool_accuracy_reward(point: DecisionPoint, parsed: Parsed) -> float:
    """How right the calls of a completion are, in [-1.5, 1]; ``highest(point)`` for gold.

    Calls are scored as understood even if the think block is at fault: that is the format reward's to punish.
    """
    if point.kind == "answer":
        return _answer_turn(point, parsed)
    if parsed.calls:
        return _calls_made(point, parsed)
    if parsed.attempted_call:
        return MALFORMED
    if not parsed.answer:
        return NOTHING_SAID
    return PRETENCE if no_answer(point, parsed.answer) else ANSWERED_INSTEAD


def highest(point: DecisionPoint) -> float:
    """What the right action earns: 1 where calls are due, ``NO_CALL_RIGHT`` where none is."""
    return 1.0 if point.kind == "call" else NO_CALL_RIGHT


def _answer_turn(point: DecisionPoint, parsed: Parsed) -> float:
    if not parsed.attempted_call:
        if not parsed.answer:
            return SILENCE
        return NO_ANSWER if no_answer(point, parsed.answer) else NO_CALL_RIGHT
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
