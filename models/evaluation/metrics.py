"""The judge: what was right about one completion, by rules that know nothing of the reward.

Every model, whatever its training, is judged by the same code. *Turn success* is the headline: on call turns exactly
the expected calls and nothing else; on answer turns an answer that conveys every fact and does what was due, as far as
no fact speaks for it (models/evaluation/acts_done.py): asks for what was asked for, reports, takes leave.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data.schema import DecisionPoint, ToolCall
from models.equality import (
    Verdict,
    argument_schemas,
    argument_verdicts,
    is_default,
    same_calls,
    stated_arguments,
)
from models.evaluation.acts_done import does_what_was_due
from models.speech.parsing import Parsed
from models.telling import tells
from models.wording import is_answer, is_dump, normalise, words

#: Words of an answer that may repeat the user's: "You too!", "Good bye".
LONGEST_ECHO = 3
#: More than the arguments of any turn: what ranks before another count is multiplied by it.
_FIRST = 10_000


@dataclass(frozen=True)
class Judgement:
    """The metric columns of an evaluation row; None where a metric does not apply to the kind of turn."""

    turn_success: bool
    decision_correct: bool
    """Whether a call was made or begun where one was due, and an answer was given, without one, where none was."""
    tool_name_correct: bool | None
    argument_names_correct: bool | None
    argument_values: float | None
    """Share of the arguments that either side states which have the expected value; None where none is stated."""
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
    spared = _may_be_left_out(expected, point)
    return Judgement(
        turn_success=exact and parsed.ok,
        decision_correct=parsed.attempted_call,
        tool_name_correct=names,
        # An exact call may leave out an optional argument that the expected one states, where that is accepted.
        argument_names_correct=exact
        or (names and _argument_names(expected, point, spared) == _argument_names(parsed.calls, point, spared)),
        argument_values=_argument_values(expected, parsed.calls, point),
        exact_call=exact,
        facts=None,
        format_ok=parsed.ok,
    )


def _judge_answer_turn(point: DecisionPoint, parsed: Parsed) -> Judgement:
    text = "" if parsed.attempted_call else parsed.answer or ""
    facts = point.expected.facts
    recall = sum(tells(point, fact, text) for fact in facts) / len(facts) if facts else None
    due = does_what_was_due(point, text)
    # Where nobody annotated what is due, a word alone is no answer, unless the recorded one is no more.
    least = 1 if point.expected.acts or len(words(point.expected.content or "")) == 1 else 2
    is_one = bool(text) and not is_dump(text) and (bool(facts) or is_answer(text, least))
    return Judgement(
        turn_success=parsed.ok and is_one and due and not _repeats(point, text) and recall in (None, 1.0),
        decision_correct=bool(parsed.answer) and not parsed.attempted_call,
        tool_name_correct=None,
        argument_names_correct=None,
        argument_values=None,
        exact_call=None,
        facts=recall,
        format_ok=parsed.ok,
    )


def _repeats(point: DecisionPoint, text: str) -> bool:
    """Whether an answer is what the user said last, word for word; short words of leave are often given back."""
    last = next((message.content or "" for message in reversed(point.history) if message.role == "user"), "")
    return len(words(text)) > LONGEST_ECHO and normalise(text) == normalise(last)


def _argument_values(expected: tuple[ToolCall, ...], made: tuple[ToolCall, ...], point: DecisionPoint) -> float | None:
    """Over pairs of calls of one tool, paired so that most is right and then least is stated in all, whatever order
    they come in; a call without a partner has nothing right."""
    from scipy.optimize import linear_sum_assignment

    specs = {tool.name: tool for tool in point.tools}
    alone = [[len(stated_arguments(call, specs.get(call.name))) for call in calls] for calls in (expected, made)]
    pairs: dict[tuple[int, int], Counter[Verdict]] = {
        (row, column): Counter(argument_verdicts(due, call, specs.get(due.name)).values())
        for row, due in enumerate(expected)
        for column, call in enumerate(made)
        if due.name == call.name
    }
    worth = np.zeros((len(expected), len(made)))
    for (row, column), found in pairs.items():
        spared = alone[0][row] + alone[1][column] - found.total()
        # What is right counts first, then that calls of one tool are paired at all, then what is stated only once.
        worth[row, column] = (found[Verdict.RIGHT] * _FIRST + 1) * _FIRST + spared
    rows, columns = linear_sum_assignment(worth, maximize=True)
    paired = [pair for pair in zip(rows.tolist(), columns.tolist(), strict=True) if pair in pairs]
    stated = sum(alone[0]) + sum(alone[1])
    stated += sum(pairs[row, column].total() - alone[0][row] - alone[1][column] for row, column in paired)
    return sum(pairs[pair][Verdict.RIGHT] for pair in paired) / stated if stated else None


def _argument_names(
    calls: tuple[ToolCall, ...], point: DecisionPoint, spared: frozenset[tuple[str, str]]
) -> Counter[tuple[str, frozenset[str]]]:
    specs = {tool.name: tool for tool in point.tools}
    named = ((call.name, stated_arguments(call, specs.get(call.name))) for call in calls)
    return Counter((tool, frozenset(name for name in names if (tool, name) not in spared)) for tool, names in named)


def _may_be_left_out(expected: tuple[ToolCall, ...], point: DecisionPoint) -> frozenset[tuple[str, str]]:
    """Arguments whose accepted values include none at all or the schema's default, each with its tool."""
    schemas = {tool.name: argument_schemas(tool) for tool in point.tools}
    return frozenset(
        (call.name, name)
        for call in expected
        for name, accepted in call.accepted.items()
        if any(value is None or is_default(value, schemas.get(call.name, {}).get(name)) for value in accepted)
    )
