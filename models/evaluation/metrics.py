"""The judge: what was right about one completion, by rules that know nothing of the reward.

Every model, whatever its training, is judged by the same code. *Turn success* is the headline: on call turns exactly
the expected calls and nothing else; on answer turns an answer that conveys every fact and asks where asking was due.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from data.schema import ASKING_ACTS, DecisionPoint, ToolCall
from models.equality import asks, conveys, same_calls, stated_arguments
from models.speech.parsing import Parsed
from models.wording import is_answer, is_dump


@dataclass(frozen=True)
class Judgement:
    """The metric columns of an evaluation row; None where a metric does not apply to the kind of turn."""

    turn_success: bool
    decision_correct: bool
    """Whether a call was made or begun where one was due, and an answer was given, without one, where none was."""
    tool_name_correct: bool | None
    argument_names_correct: bool | None
    exact_call: bool | None
    facts: float | None
    """Share of the expected facts conveyed; None where the turn has none."""
    format_ok: bool

    def as_row(self) -> dict[str, Any]:
        """The fields by column name."""
        return asdict(self)


def judge(point: DecisionPoint, parsed: Parsed) -> Judgement:
    """Judge one completion at one decision point; never raises on any completion."""
    return _judge_call_turn(point, parsed) if point.kind == "call" else _judge_answer_turn(point, parsed)


def _judge_call_turn(point: DecisionPoint, parsed: Parsed) -> Judgement:
    expected = point.expected.tool_calls
    names = Counter(call.name for call in expected) == Counter(call.name for call in parsed.calls)
    exact = names and same_calls(expected, parsed.calls, point.tools)
    return Judgement(
        turn_success=exact and parsed.ok,
        decision_correct=parsed.attempted_call,
        tool_name_correct=names,
        argument_names_correct=names and _argument_names(expected, point) == _argument_names(parsed.calls, point),
        exact_call=exact,
        facts=None,
        format_ok=parsed.ok,
    )


def _judge_answer_turn(point: DecisionPoint, parsed: Parsed) -> Judgement:
    text = "" if parsed.attempted_call else parsed.answer or ""
    facts = point.expected.facts
    recall = sum(conveys(fact, text) for fact in facts) / len(facts) if facts else None
    asked = asks(text) or ASKING_ACTS.isdisjoint(point.expected.acts)
    is_one = bool(text) and not is_dump(text) and (bool(facts) or is_answer(text, least_words=2))
    return Judgement(
        turn_success=parsed.ok and is_one and asked and recall in (None, 1.0),
        decision_correct=bool(parsed.answer) and not parsed.attempted_call,
        tool_name_correct=None,
        argument_names_correct=None,
        exact_call=None,
        facts=recall,
        format_ok=parsed.ok,
    )


def _argument_names(calls: tuple[ToolCall, ...], point: DecisionPoint) -> Counter[tuple[str, frozenset[str]]]:
    specs = {tool.name: tool for tool in point.tools}
    return Counter((call.name, frozenset(stated_arguments(call, specs.get(call.name)))) for call in calls)
