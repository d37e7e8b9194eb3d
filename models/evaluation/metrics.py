"""The judge: what was right about one completion, by rules that know nothing of the reward.

Every model, whatever its training, is judged by the same code. *Turn success* is the headline: on call turns exactly
the expected calls and nothing else; on answer turns an answer that conveys every fact and does what was due, as far as
no fact speaks for it (models/evaluation/acts_done.py): asks for what was asked for, reports, takes leave.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from data.schema import DecisionPoint, ToolCall
from models.equality import Verdict, argument_verdicts, same_calls, stated_arguments
from models.evaluation.acts_done import does_what_was_due
from models.speech.parsing import Parsed
from models.telling import tells
from models.wording import is_answer, is_dump, normalise, words

#: Words of an answer that may repeat the user's: "You too!", "Good bye".
LONGEST_ECHO = 3


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
    spared = _may_be_left_out(expected)
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
    """Over pairs of calls of one tool, paired so that most is right; a call without a partner has nothing right."""
    from scipy.optimize import linear_sum_assignment

    specs = {tool.name: tool for tool in point.tools}
    verdicts = [
        [
            Counter(argument_verdicts(due, call, specs.get(due.name)).values()) if due.name == call.name else None
            for call in made
        ]
        for due in expected
    ]
    right = [[found[Verdict.RIGHT] if found is not None else 0 for found in row] for row in verdicts]
    # One more for the same tool: a pair of two tools that is as right, which is not at all, would leave both alone.
    worth = [
        [count + (found is not None) for count, found in zip(counts, row, strict=True)]
        for counts, row in zip(right, verdicts, strict=True)
    ]
    rows, columns = linear_sum_assignment(worth, maximize=True) if made else ((), ())
    paired = {(row, column) for row, column in zip(rows, columns, strict=True) if verdicts[row][column] is not None}
    stated = sum(sum((verdicts[row][column] or Counter()).values()) for row, column in paired)
    alone = [call for row, call in enumerate(expected) if row not in {pair[0] for pair in paired}]
    alone += [call for column, call in enumerate(made) if column not in {pair[1] for pair in paired}]
    stated += sum(len(stated_arguments(call, specs.get(call.name))) for call in alone)
    return sum(right[row][column] for row, column in paired) / stated if stated else None


def _argument_names(
    calls: tuple[ToolCall, ...], point: DecisionPoint, spared: frozenset[tuple[str, str]]
) -> Counter[tuple[str, frozenset[str]]]:
    specs = {tool.name: tool for tool in point.tools}
    named = ((call.name, stated_arguments(call, specs.get(call.name))) for call in calls)
    return Counter((tool, frozenset(name for name in names if (tool, name) not in spared)) for tool, names in named)


def _may_be_left_out(expected: tuple[ToolCall, ...]) -> frozenset[tuple[str, str]]:
    """Arguments whose accepted values include none at all, each with its tool."""
    return frozenset(
        (call.name, name) for call in expected for name, accepted in call.accepted.items() if None in accepted
    )
