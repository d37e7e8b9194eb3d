"""How often the gate of promotion errs: weeks simulated with challengers whose true gains and losses are known.

Turns of a conversation share a mood, both models meet the same turns, and the gate is the one that promotes. Kinds of
week: nothing changed; a gain as large as the gate prints as detectable; a large gain that costs exactly the margin of
one guard, spread over single turns or lost in whole conversations. The last ones and the first must not promote in more
than 5 of 100; the second is what the gate is for.

    python benchmarks/promotion.py --weeks 400
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.evaluation import statistics
from models.evaluation.promotion import CONVERSATIONS, MARGINS, POLICY, TASKS, Decision, decide
from models.evaluation.statistics import wilson_bounds
from models.evaluation.verdicts import Pairs

SPLITS = ("validation_seen", "validation_unseen")
#: Column of a guarded slice, and how often a model is right there.
COLUMNS = {
    "no-call turns": ("decision_correct", 0.9),
    "seen tools": ("turn_success", 0.6),
    "format": ("format_ok", 0.995),
}
LARGE = 0.12
#: Share of turns at which two models of one lineage differ by chance alone, by column.
CHURN = {"turn_success": 0.15, "decision_correct": 0.08, "format_ok": 0.005}
#: Share of episodes without a breach, and of those that go otherwise by chance.
CLEAN, RESTLESS = 0.97, 0.03


@dataclass(frozen=True)
class Week:
    """What is true of a challenger."""

    gain: float = 0.0
    """Of turn success on unseen tools."""
    loses: str | None = None
    """The guard at which it loses exactly the margin."""
    whole: bool = False
    """Whether that loss falls on whole conversations (tasks), rather than on turns here and there."""


def weeks(detectable: float) -> dict[str, Week]:
    """Kinds of week by name."""
    costly = {
        f"{name} at its margin, {how}": Week(LARGE, name, whole)
        for name in (*COLUMNS, POLICY)
        for whole, how in ((False, "here and there"), (True, "whole conversations"))
    }
    return {"nothing changed": Week(), "a gain of the detectable size": Week(detectable), **costly}


def decided(random: np.random.Generator, week: Week, conversations: int, turns: int) -> Decision:
    """The gate's decision on one simulated pair of models, ``conversations`` of ``turns`` for each split."""
    both = [[], []]  # type: list[list[pd.DataFrame]]
    for split in SPLITS:
        for side, frame in zip(both, _judged(random, week, split, (conversations, turns)), strict=True):
            side.append(frame)
    champion, challenger = (pd.concat(side, ignore_index=True) for side in both)
    return decide(champion, challenger, policy=_played(random, week), seed=int(random.integers(1 << 30)))


def _judged(random: np.random.Generator, week: Week, split: str, shape: tuple[int, int]) -> Iterator[pd.DataFrame]:
    mood = random.normal(0, 0.1, (shape[0], 1))
    columns = {}
    for guard, (column, chance) in COLUMNS.items():
        lost = MARGINS[guard] if week.loses == guard and (guard != "seen tools" or split.endswith("_seen")) else 0.0
        gain = week.gain if column == "turn_success" and split.endswith("unseen") else 0.0
        chances = np.clip(np.broadcast_to(chance + (mood if column == "turn_success" else 0.0), shape), 0.01, 0.999)
        columns[column] = _twins(random, chances, CHURN[column], gain - lost, week.whole)
    index = np.arange(shape[0] * shape[1])
    head = {
        "decision_point_id": [f"{split}/{turn}" for turn in index],
        "conversation_id": [f"{split}/{turn // shape[1]}" for turn in index],
        "split": split,
        "kind": np.where(index % 4 == 3, "call", "answer"),
    }
    for side in (0, 1):
        yield pd.DataFrame({**head, **{name: pair[side].reshape(-1) for name, pair in columns.items()}})


def _twins(
    random: np.random.Generator, chances: np.ndarray, churn: float, change: float, whole: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Before and after: the same draw, except for a share drawn again, and a true change of the mean."""
    before = random.random(chances.shape) < chances
    again = random.random(chances.shape) < churn
    after = np.where(again, random.random(chances.shape) < chances, before)
    if not change:
        return before, after
    # Flipping wrong to right (or right to wrong) with this chance moves the mean by ``change``.
    room = (1 - chances if change > 0 else chances).mean() if whole else (1 - chances if change > 0 else chances)
    drawn = random.random((len(chances), 1) if whole and change < 0 else chances.shape)
    return before, np.where(drawn < np.minimum(1, abs(change) / room), change > 0, after)


def _played(random: np.random.Generator, week: Week) -> Pairs:
    """Episodes without a breach, two of each task."""
    lost = MARGINS[POLICY] if week.loses == POLICY else 0.0
    before, after = _twins(random, np.full((2 * TASKS, 2), CLEAN), RESTLESS, -lost, week.whole)
    tasks = np.repeat(np.arange(2 * TASKS), 2)
    return Pairs(before.reshape(-1).astype(float), after.reshape(-1).astype(float), tasks)


def told(decisions: Sequence[Decision]) -> dict[str, object]:
    """Share of weeks that promote with Wilson's 95 % bounds, and of those in which each condition holds by itself."""
    promoted = float(np.mean([one.promote for one in decisions]))
    low, high = wilson_bounds(promoted, len(decisions))
    held = {name: float(np.mean([one.guards[name].ruled_out for one in decisions])) for name in decisions[0].guards}
    return {
        "promoted": promoted,
        "low": round(low, 4),
        "high": round(high, 4),
        "gain": float(np.mean([one.headline.word == "better" for one in decisions])),
        **held,
    }


def printed(conversations: int, turns: int, seed: int) -> float:
    """The size that weeks with a true gain of just that size print, in the mean.

    Not that of weeks where nothing changed: there fewer turns differ, so a smaller size is printed, and a gain of it
    meets the wider error that comes with its own turns.
    """
    size = 0.0
    for again in range(4):
        random = np.random.default_rng([seed, 0, again])
        decisions = [decided(random, Week(size), conversations, turns) for _ in range(20)]
        size = float(np.mean([one.headline.detectable for one in decisions]))
    return size


def rates(number: int, conversations: int, turns: int, seed: int, kinds: Sequence[str] = ()) -> dict[str, object]:
    """By kind of week (all, unless some are named): how often it promotes."""
    detectable = printed(conversations, turns, seed)
    found: dict[str, object] = {}
    for place, (kind, week) in enumerate(weeks(detectable).items(), start=1):
        if not kinds or kind in kinds:
            random = np.random.default_rng([seed, place])
            found[kind] = told([decided(random, week, conversations, turns) for _ in range(number)])
    return {"weeks": number, "shape": [conversations, turns], "detectable": round(detectable, 4), "kinds": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=400, help="of each kind")
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS, help="per split")
    parser.add_argument("--turns", type=int, default=10, help="of a conversation")
    parser.add_argument("--kind", action="append", default=[], help="only this kind of week")
    parser.add_argument("--resamples", type=int, default=statistics.RESAMPLES, help="of a bootstrap; fewer are faster")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    statistics.RESAMPLES = given.resamples
    print(json.dumps(rates(given.weeks, given.conversations, given.turns, given.seed, given.kind)))


if __name__ == "__main__":
    main()
