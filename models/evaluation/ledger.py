"""The ledger "did thinking help": what thoughts bring on the same turns, and what they cost, slice by slice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.evaluation.pairing import item_of, paired
from models.evaluation.slices import SLICES, part
from models.evaluation.verdicts import Verdict, verdicts
from models.wording import normalise

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Entry:
    """One slice: with thinking against without, on the same turns."""

    where: str
    without: float
    """Turn success without thinking."""
    with_thinking: float
    verdict: Verdict
    tokens_without: float
    """Tokens of a completion."""
    tokens_with: float
    tokens_per_extra_turn: float
    """Tokens spent on thinking for each turn that came right by it; infinite where no gain is shown."""


def thinking_ledger(
    without: Mapping[int, pd.DataFrame], thinking: Mapping[int, pd.DataFrame], slices: Iterable[str] = tuple(SLICES)
) -> list[Entry]:
    """Entries for all turns and for each slice that has any; the verdicts are corrected for their number.

    Both are given under the same seeds, so that tokens are those of the models that are compared.
    """
    parts = {"all": (without, thinking)}
    for name in slices:
        cut = tuple({seed: part(frame, name) for seed, frame in arm.items()} for arm in (without, thinking))
        if all(len(frame) for arm in cut for frame in arm.values()):
            parts[name] = (cut[0], cut[1])
    pairs = {name: paired(*both) for name, both in parts.items()}
    judged = verdicts({name: one for name, one in pairs.items() if len(one.differences)})
    return [_entry(name, parts[name], one) for name, one in judged.items()]


def _entry(where: str, both: tuple[Mapping[int, Any], Mapping[int, Any]], verdict: Verdict) -> Entry:
    pairs = paired(*both)
    tokens = [_mean_tokens(arm, set(_items(both[1 - side]))) for side, arm in enumerate(both)]
    gain = verdict.difference.mean
    return Entry(
        where=where,
        without=float(pairs.before.mean()),
        with_thinking=float(pairs.after.mean()),
        verdict=verdict,
        tokens_without=tokens[0],
        tokens_with=tokens[1],
        # Of a gain that is not shown a price would be read as if it were one.
        tokens_per_extra_turn=(tokens[1] - tokens[0]) / gain if verdict.word == "better" else math.inf,
    )


def _items(arm: Mapping[int, Any]) -> Iterable[str]:
    return (item_of(one) for frame in arm.values() for one in frame["decision_point_id"])


def _mean_tokens(arm: Mapping[int, Any], items: set[str]) -> float:
    counted = [
        frame.loc[frame["decision_point_id"].map(item_of).isin(items), "completion_tokens"] for frame in arm.values()
    ]
    total = sum(len(one) for one in counted)
    return float(sum(one.sum() for one in counted)) / total if total else math.nan


def thought_first(reasoning: Any, action: Any) -> tuple[int, int]:
    """Argument values of a turn's calls that appear in the thought before them, and all of them.

    Numbers and strings count, those of lists one by one; booleans do not: "true" stands in no thought. A value is found
    in its own spelling, letter case, white space and the point of a whole number (2.0) aside, as a word of its own: 2
    does not stand in 12:30.

    Args:
        reasoning: The thought; nothing is found in what is no text.
        action: Calls as JSON, or an answer, which has no values.
    """
    thought = normalise(reasoning) if isinstance(reasoning, str) else ""
    values = _values(action)
    return sum(bool(value) and _stands_in(value, thought) for value in values), len(values)


def _stands_in(value: str, thought: str) -> bool:
    number = value.lstrip("-").isdigit()
    # 5 stands neither in 12:05 nor in -5, but in 3-5.
    before, after = (r"(?<!\d[.,:])(?<!\W-)(?<!^-)", r"(?:\.0+)?(?![.,:]\d)") if number else ("", "")
    return re.search(rf"{before}(?<!\w){re.escape(value)}{after}(?!\w)", thought) is not None


def _values(action: Any) -> Sequence[str]:
    if not isinstance(action, str) or not action.startswith("["):
        return []
    try:
        calls = json.loads(action)
    except ValueError:  # an answer that begins with a bracket
        return []
    arguments = [call.get("arguments") for call in calls if isinstance(call, dict)]
    given = [value for one in arguments if isinstance(one, dict) for value in one.values()]
    each = [item for value in given for item in (value if isinstance(value, list) else [value])]
    told = [value for value in each if isinstance(value, str | int | float) and not isinstance(value, bool)]
    whole = [int(value) if isinstance(value, float) and value.is_integer() else value for value in told]
    return [normalise(str(value)) for value in whole]
