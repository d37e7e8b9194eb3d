"""One completion read and judged; and stored completions judged again by the judge as it is now.

What was said stays, what is made of it can be said anew: so all evaluations of a comparison have one judge, whenever
they were decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from models.evaluation.metrics import Judgement, judge
from models.evaluation.variants import without_required_information
from models.speech.parsing import Parsed, parse_completion
from models.speech.template import THINK_CLOSE

if TYPE_CHECKING:
    import pandas as pd

    from data.schema import DecisionPoint


def read_and_judged(
    point: DecisionPoint, text: str, *, thinking: bool, forced: bool = False, truncated: bool = False
) -> tuple[Parsed, Judgement]:
    """What can be read from a completion, and the verdict on it.

    Args:
        point: The turn as the model met it.
        text: All that was decoded.
        thinking: Whether it was to think.
        forced: Whether the thought was given: then the action alone counts.
        truncated: Whether it was cut off before its end: who is answered by that got no whole turn.
    """
    parsed = parse_completion(
        text.partition(THINK_CLOSE.strip())[2].lstrip() if forced else text,
        thinking=thinking and not forced,
        tools=point.tools,
        text_beside_call=point.speaks_beside_call,
    )
    judged = judge(point, parsed)
    return parsed, replace(judged, turn_success=False, format_ok=False) if truncated else judged


def judged_again(rows: pd.DataFrame, points: Mapping[str, DecisionPoint]) -> pd.DataFrame:
    """The rows of an evaluation with today's verdicts.

    Args:
        rows: Rows with the columns of ``data.evaluations``.
        points: Their decision points by id, as they were recorded. Rows without one keep the verdict they have.

    Returns:
        The rows, less those of a withheld value that stands elsewhere in its conversation, as it is read now: a call
        was right there.
    """
    import pandas as pd

    known = rows[rows["decision_point_id"].isin(set(points))]
    each = zip(known.index, known.to_dict("records"), strict=True)
    verdicts = {index: _verdict_on(row, points[row["decision_point_id"]]) for index, row in each}
    found = {index: one for index, one in verdicts.items() if one is not None}
    made = rows.drop(index=[index for index in verdicts if index not in found])
    if not found:
        return made
    anew = pd.DataFrame.from_dict(found, orient="index", dtype=object)
    for column in anew.columns:
        values = made[column].astype(object)
        values.loc[anew.index] = anew[column]
        made[column] = values
    return made


def _verdict_on(row: Mapping[Any, Any], point: DecisionPoint) -> dict[str, Any] | None:
    """Columns of the verdict on one stored completion; None where nothing can be withheld at its turn."""
    changed = row.get("variant")
    changed = changed if isinstance(changed, str) else ""
    met = without_required_information(point) if changed.startswith("withheld") else point
    if met is None:
        return None
    forced, truncated = "thoughts " in changed, bool(row.get("truncated"))
    _, judged = read_and_judged(
        met, str(row["text"]), thinking=bool(row["thinking"]), forced=forced, truncated=truncated
    )
    verdict = judged.as_row()
    if changed.startswith("distractors"):  # which tools were added is not stored: calls of these cannot be read here
        del verdict["format_ok"]
    return verdict
