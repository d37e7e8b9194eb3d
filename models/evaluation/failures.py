"""Why a turn went wrong: one cause each, BFCL's names where a call is wrong, ours for decisions, answers and format.

What was cut at its token limit failed by that, whatever else it lacks: the rest may have been about to come. Else the
first cause in the order in which an agent decides counts: whether to call, whether what it wrote can be read, which
tool, then BFCL's own order (arguments that are required, those that are made one after the other with their values,
optional ones that were left out); for answers, whether it says what is not known before whether it says all it must.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from data.schema import ASKING_ACTS, Act, DecisionPoint, ToolCall
from models.equality import (
    Verdict,
    accepted_values,
    argument_schemas,
    argument_verdicts,
    asks,
    same_calls,
    same_value,
    stated_arguments,
)
from models.evaluation.acts_done import does_what_was_due
from models.evaluation.bfcl import calls_error
from models.evaluation.metrics import judge
from models.speech.parsing import Parsed, parse_completion
from models.telling import tells
from models.wording import canonical, normalise

if TYPE_CHECKING:
    import pandas as pd

#: Numbers, times, dates and codes of at least two digits: what an agent cannot know unless somebody said it.
_FIGURE = re.compile(r"\d[\d.:/-]*\d")
_FRACTION = re.compile(r"\d+\.\d+")


def failure(point: DecisionPoint, parsed: Parsed) -> str | None:
    """The cause of a failed turn, e.g. ``decision:called_instead``; None where the turn is right."""
    if judge(point, parsed).turn_success:
        return None
    return _call_failure(point, parsed) if point.kind == "call" else _answer_failure(point, parsed)


def _call_failure(point: DecisionPoint, parsed: Parsed) -> str:
    if not parsed.attempted_call:
        return "decision:answered_instead" if parsed.answer else f"format:{parsed.status}"
    if not parsed.calls or parsed.lost_call:
        return f"format:{parsed.status}"
    expected = point.expected.tool_calls
    if same_calls(expected, parsed.calls, point.tools):
        return f"format:{parsed.status}"
    several = "parallel" if len(expected) > 1 else "simple"
    error = calls_error(expected, _as_judged(point, _without_defaults(point, parsed)), point.tools, several)
    if error is not None:
        return error
    return "value_error:others" if parsed.ok else f"format:{parsed.status}"


def _without_defaults(point: DecisionPoint, parsed: Parsed) -> list[ToolCall]:
    """The calls without arguments that only repeat a default nobody expected to be stated: to the judge they are none,
    so they are no cause either."""
    specs = {tool.name: tool for tool in point.tools}
    due = {(call.name, argument) for call in point.expected.tool_calls for argument in call.arguments}
    made = []
    for call in parsed.calls:
        stated = stated_arguments(call, specs.get(call.name))
        kept = {name: value for name, value in call.arguments.items() if name in stated or (call.name, name) in due}
        made.append(call.model_copy(update={"arguments": kept}))
    return made


def _as_judged(point: DecisionPoint, made: list[ToolCall]) -> list[ToolCall]:
    """The calls with the due value where another spelling of it was accepted, as 2.0 for 2: BFCL is stricter, and would
    name that as the cause. Where one call of its tool is due; of several it is not known which was meant."""
    specs = {tool.name: tool for tool in point.tools}
    due = {one.name: one for one in point.expected.tool_calls}
    several = {name for name, count in Counter(one.name for one in point.expected.tool_calls).items() if count > 1}

    def spelled(call: ToolCall) -> ToolCall:
        wanted = due.get(call.name)
        if wanted is None or call.name in several:
            return call
        spec = specs.get(call.name)
        found, stated = argument_verdicts(wanted, call, spec), stated_arguments(wanted, spec)
        schemas = argument_schemas(spec)
        theirs = {
            name: next(
                one for one in accepted_values(wanted, name, stated) if same_value(one, value, schemas.get(name))
            )
            for name, value in call.arguments.items()
            if found.get(name) is Verdict.RIGHT
        }
        return call.model_copy(update={"arguments": {**call.arguments, **theirs}})

    return [spelled(call) for call in made]


def _answer_failure(point: DecisionPoint, parsed: Parsed) -> str:
    if parsed.attempted_call:
        return "decision:called_instead"
    if not parsed.ok:
        return f"format:{parsed.status}"
    text = parsed.answer or ""
    if ungrounded(point, text):
        return "answer:ungrounded"
    if not all(tells(point, fact, text) for fact in point.expected.facts):
        return "answer:missed_fact"
    if not (asks(text) or ASKING_ACTS.isdisjoint(point.expected.acts)):
        return "answer:did_not_ask"
    if not does_what_was_due(point, text):
        asking = Act.REQUEST in point.expected.acts
        return "answer:asked_for_something_else" if asking else "answer:did_something_else"
    return "answer:not_an_answer"


def ungrounded(point: DecisionPoint, answer: str) -> list[str]:
    """Figures in an answer that nobody and no tool said before; the judge's own reading, which rewards do not share.

    Only figures of two digits and more: names and words may be paraphrase, a phone number is not.
    """
    said = " ".join(
        part
        for message in point.history
        for part in (message.content or "", *(call.arguments_raw for call in message.tool_calls))
    )
    if not _unknown(normalise(answer), normalise(said)):
        return []
    # The same with one spelling of numbers, prices and times: $1,200 for 1200, half past five for 17:30, March 11th for
    # a date's 11.
    runs = {run.lstrip("0") for run in re.findall(r"\d+", canonical(said))}
    unknown = _unknown(canonical(answer), canonical(said))
    return [one for one in unknown if not all(run.lstrip("0") in runs for run in re.findall(r"\d+", one))]


def _unknown(answer: str, said: str) -> list[str]:
    there = _FIGURE.findall(said)
    known, digits = set(map(_by_value, there)), {re.sub(r"\D", "", one) for one in there}
    told = _FIGURE.findall(answer)
    return [one for one in told if _by_value(one) not in known and re.sub(r"\D", "", one) not in digits]


def _by_value(figure: str) -> str:
    """A decimal fraction without the zeros at its end: 45.50 is 45.5."""
    return figure.rstrip("0").rstrip(".") if _FRACTION.fullmatch(figure) else figure


def causes(frame: pd.DataFrame, points: Mapping[str, DecisionPoint]) -> pd.DataFrame:
    """The rows of an evaluation with columns ``cause`` (None: right) and ``grounded`` (None on call turns and where an
    answer tells no figure).

    Rows whose decision point is not among ``points`` are left out.
    """
    import pandas as pd

    kept = frame[frame["decision_point_id"].isin(set(points))].reset_index(drop=True)
    found: list[str | None] = []
    grounded: list[bool | None] = []
    for row in kept.to_dict("records"):
        point = points[row["decision_point_id"]]
        parsed = parse_completion(
            row["text"],
            thinking=bool(row["thinking"]),
            tools=point.tools,
            text_beside_call=point.speaks_beside_call,
        )
        found.append("format:truncated" if row.get("truncated") else failure(point, parsed))
        answered = point.kind == "answer" and bool(parsed.answer) and not parsed.attempted_call
        tells = answered and bool(_FIGURE.search(normalise(parsed.answer or "")))
        grounded.append(not ungrounded(point, parsed.answer or "") if tells else None)
    return kept.assign(cause=pd.Series(found, dtype=object), grounded=pd.Series(grounded, dtype=object))


def by_tool(caused: pd.DataFrame) -> pd.DataFrame:
    """How often each cause occurred for each expected tool, most frequent first; answer turns stand under their domain:
    ``(answer: Flights_3)``."""
    failed = caused[caused["cause"].notna()]
    tools = failed["tool"].where(failed["tool"].notna(), "(answer: " + failed["domain"].fillna("?").astype(str) + ")")
    counted = failed.groupby([tools.rename("tool"), "cause"]).size().rename("turns").reset_index()
    return counted.sort_values(["turns", "tool", "cause"], ascending=[False, True, True]).reset_index(drop=True)


def by_tool_between(caused: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """``by_tool`` of several arms: turns by tool and cause, one column an arm, what any arm fails at most first."""
    import pandas as pd

    counted = {name: by_tool(frame).set_index(["tool", "cause"])["turns"] for name, frame in caused.items()}
    table = pd.DataFrame(counted).fillna(0).astype(int)
    return table.loc[table.max(axis=1).sort_values(ascending=False, kind="stable").index] if len(table) else table


def between(caused: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Share of turns that failed for each cause, one column an arm; the most frequent cause of any arm first."""
    import pandas as pd

    shares = {name: frame["cause"].value_counts() / max(1, len(frame)) for name, frame in caused.items()}
    table = pd.DataFrame(shares).fillna(0.0)
    return table.loc[table.max(axis=1).sort_values(ascending=False).index] if len(table) else table


def turned(before: pd.DataFrame, after: pd.DataFrame, *, right: bool, most: int = 10) -> pd.DataFrame:
    """Turns that became right (or wrong): both completions and the cause that went (or came), by decision point.

    Args:
        before: Rows with causes of one model.
        after: Of the other, on the same decision points.
        right: Whether it is right after, and was wrong before; else the reverse.
        most: Rows at most, of as many causes as possible.
    """
    columns = ["decision_point_id", "kind", "text", "cause"]
    same = ["decision_point_id", "kind"]
    joined = before[columns].merge(after[columns], on=same, suffixes=("_before", "_after"))
    was, now = joined["cause_before"].isna(), joined["cause_after"].isna()
    found = joined[~was & now] if right else joined[was & ~now]
    named = found["cause_before" if right else "cause_after"]
    spread = found.assign(round=named.groupby(named).cumcount())
    return spread.sort_values(["round", "decision_point_id"]).head(most).drop(columns="round").reset_index(drop=True)
