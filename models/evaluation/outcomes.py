"""From an evaluation's rows to outcomes: what a page of results needs of each turn, and nothing that was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from models.evaluation import bfcl, failures
from models.evaluation.heeding import announced, same_arguments
from models.evaluation.ledger import thought_first
from models.evaluation.rejudge import judged_again
from models.evaluation.slices import calls_begun

if TYPE_CHECKING:
    import pandas as pd

    from data.schema import DecisionPoint


def outcomes(
    rows: pd.DataFrame, points: Mapping[str, DecisionPoint], *, step: str, by_bfcl: bool = False
) -> pd.DataFrame:
    """Rows of ``OUTCOME_SCHEMA`` for one judgement.

    Args:
        rows: Rows of an evaluation.
        points: Its decision points by id. Verdicts are those of the judge as it is now; rows without a point keep the
            one they have; where that is a failure (by BFCL's rules: always) their cause is that nobody can tell it any
            more. Rows of changed turns (``variant``) have no cause.
        step: The judgement's key in its comparison.
        by_bfcl: Take the leaderboard's error for the cause.
    """
    import pandas as pd

    from data.outcomes import LEFT_OUT

    rows = judged_again(rows, points)
    called = calls_begun(rows)
    # An answer may be a list in brackets, too; only calls have arguments.
    acted = list(zip(rows["reasoning"], rows["action"].where(called), strict=True))
    counted = [thought_first(*pair) for pair in acted]
    there = rows[rows["decision_point_id"].isin(set(points)) & rows["variant"].isna()]
    causes: pd.Series = pd.Series(None, index=rows.index, dtype=object)
    grounded = causes.copy()
    if by_bfcl:
        causes.loc[there.index] = bfcl.errors_of(there, points)
    elif len(there):
        caused = failures.causes(there, points).set_axis(there.index)
        causes.loc[there.index], grounded.loc[there.index] = caused["cause"], caused["grounded"]
    gone = ~rows["decision_point_id"].isin(set(points)) & rows["variant"].isna()
    causes[gone if by_bfcl else gone & ~rows["turn_success"].astype(bool)] = bfcl.POINT_GONE
    return rows.drop(columns=list(LEFT_OUT)).assign(
        step=step,
        called=called,
        cause=causes,
        grounded=grounded,
        values=[total for _, total in counted],
        values_thought_first=[found for found, _ in counted],
        announced=pd.Series([announced(thought) for thought in rows["reasoning"]], index=rows.index, dtype=object),
        same_arguments=pd.Series(
            [same_arguments(*pair) for pair in acted],
            index=rows.index,
            dtype=object,
        ),
    )
