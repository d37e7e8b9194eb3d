"""Turns as they were recorded beside the same turns changed: what a change costs each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.evaluation.document import ArmRows, interval, percent, table
from models.evaluation.pairing import Seeded, item_of, paired
from models.evaluation.slices import calls_begun
from models.evaluation.verdicts import seeded_interval

if TYPE_CHECKING:
    import pandas as pd


def aside_table(arms: Sequence[ArmRows], looks: Sequence[str]) -> str:
    """Turn success as recorded and as changed on the same turns, what of it is lost, relative, and calls begun.

    The calls stand beside it because a slice where a call is never right (``withheld``) pays whoever calls less: a
    model that notices the gap stops calling there and calls on the same turns as recorded.
    """
    rows = []
    for arm in arms:
        first = min(arm.frames)
        for look in looks:
            changed = arm.aside.get(look)
            if changed is None or not len(changed):
                continue
            recorded = arm.frames[first]
            if look == "withheld":  # the right action is another one there, so scores have nothing to pair with
                one = interval({first: changed})
                cells = ["–", percent(one), "–", str(one.n)]
            else:
                cells = _drop({first: recorded}, {first: changed})
            rows.append([look, arm.title, *cells, *_calls(recorded, changed)])
    heads = ["change", "model", "as recorded", "changed", "relative", "n", "calls, as recorded", "calls, changed"]
    return table(heads, rows) if rows else ""


def _calls(recorded: pd.DataFrame, changed: pd.DataFrame) -> list[str]:
    """Share of turns on which a call was begun, as recorded and as changed, on the turns in both."""
    items = [frame["decision_point_id"].map(item_of) for frame in (recorded, changed)]
    shared = set(items[0]) & set(items[1])
    if not shared:
        return ["–", "–"]
    both = zip((recorded, changed), items, strict=True)
    return [f"{100 * float(calls_begun(frame[item.isin(shared)]).mean()):.0f} %" for frame, item in both]


def _drop(recorded: Seeded, changed: Seeded) -> list[str]:
    pairs = paired(recorded, changed)
    if not len(pairs.differences):
        return ["–", "–", "–", "0"]
    before, after = (
        seeded_interval(side, pairs.clusters, [0] * len(pairs.differences)) for side in (pairs.before, pairs.after)
    )
    relative = f"{100 * (after.mean / before.mean - 1):+.0f} %" if before.mean else "–"
    return [percent(before), percent(after), relative, str(before.n)]
