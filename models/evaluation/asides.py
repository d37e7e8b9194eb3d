"""Turns as they were recorded beside the same turns changed: what a change costs each model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from models.evaluation import bfcl
from models.evaluation.document import ArmRows, answers, interval, percent, points_of, table
from models.evaluation.pairing import Seeded, item_of, paired
from models.evaluation.slices import calls_begun
from models.evaluation.statistics import relative_change
from models.evaluation.verdicts import MARGIN, Pairs, Verdict, seeded_interval

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


Question = tuple[str, str, str]


def asked_aside(
    arms: Sequence[ArmRows], looks: Mapping[str, str | None], questions: Sequence[Question]
) -> dict[str, dict[Question, Verdict]]:
    """The questions of the main table on each look aside, first seed, each look a family of its own.

    Args:
        arms: On common ground.
        looks: Name of each look, and the slice of it that counts; None: all its turns. ``irrelevance`` is that part of
            BFCL, right by the leaderboard's rule.
        questions: As in ``document.answers``.
    """
    found = {}
    for look, where in looks.items():
        there = [replace(arm, frames={0: rows}) for arm in arms if len(rows := _looked(arm, look))]
        if verdicts := answers(there, questions, where, MARGIN):
            found[look] = {asked: one for asked, one in verdicts.items() if one.difference.n}
    return found


def _looked(arm: ArmRows, look: str) -> pd.DataFrame:
    rows = arm.aside.get("on bfcl" if look == "irrelevance" else look)
    if rows is None:
        return next(iter(arm.frames.values()))[:0]
    if look != "irrelevance":
        return rows
    asked = rows[rows["domain"].isin(bfcl.IRRELEVANCE) & (rows["cause"] != bfcl.POINT_GONE)]
    return asked.assign(turn_success=asked["cause"].isna())


def asked_table(found: Mapping[str, Mapping[Question, Verdict]], titles: Mapping[str, str]) -> str:
    """Differences between arms on the turns of each look; empty without any."""
    rows = [
        [
            look,
            f"{titles[after]} − {titles[before]}",
            points_of(one),
            f"{one.difference.n} / {one.difference.clusters}",
            f"{100 * one.detectable:.1f}" if one.detectable <= 1 else "–",
            f"{one.adjusted_p:.3f}",
            f"**{one.word}**",
        ]
        for look, there in found.items()
        for (after, before, _), one in there.items()
    ]
    heads = [
        "turns",
        "difference of",
        "points [95 %]",
        "turns / conversations",
        "detectable",
        "p after Holm",
        "verdict",
    ]
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
    return [percent(before), percent(after), _relative(pairs), str(before.n)]


def _relative(pairs: Pairs) -> str:
    change = relative_change(pairs.before, pairs.after, pairs.clusters)
    if math.isnan(change.mean):
        return "–"
    bounds = "" if math.isnan(change.low) else f" [{100 * change.low:+.0f}, {100 * change.high:+.0f}]"
    return f"{100 * change.mean:+.0f} %{bounds}"
