"""How often the gate of promotion errs: weeks simulated with challengers whose true gains and losses are known.

Turns of a conversation share a mood, both models meet the same turns, and the gate is the one that promotes. Three
kinds of week: nothing changed; a real gain that costs exactly the margin on no-call turns; a real gain alone. The
first two must not promote in more than 5 of 100, the last should.

    python benchmarks/promotion.py --weeks 400 --conversations 400
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.evaluation.promotion import MARGINS, Decision, decide
from models.evaluation.statistics import wilson_bounds

TURNS = 6
SPLITS = ("validation_seen", "validation_unseen")
#: Name of a kind of week → true gain of turn success on unseen tools, true loss of decisions on no-call turns.
WEEKS = {
    "nothing changed": (0.0, 0.0),
    "a gain at the guard's cost": (0.12, MARGINS["no-call turns"]),
    "a gain": (0.12, 0.0),
}
#: Share of turns at which two models of one lineage differ by chance alone.
CHURN = 0.1


def week(generator: np.random.Generator, gain: float, loss: float, conversations: int) -> Decision:
    """The gate's decision on one simulated pair of models, ``conversations`` per split."""
    frames = [
        _judged(split, _pair(generator, gain if split.endswith("unseen") else 0.0, loss, conversations))
        for split in SPLITS
    ]
    before, after = (pd.concat([pair[side] for pair in frames], ignore_index=True) for side in (0, 1))
    return decide(before, after, seed=int(generator.integers(1 << 30)))


def _pair(
    generator: np.random.Generator, gain: float, loss: float, conversations: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    shape = (conversations, TURNS)
    mood = generator.normal(0, 0.1, (conversations, 1))
    return {
        "turn_success": _twins(generator, np.broadcast_to(0.45 + mood, shape), gain),
        "decision_correct": _twins(generator, np.full(shape, 0.85), -loss),
        "format_ok": _twins(generator, np.full(shape, 0.98), 0.0, churn=0.01),
    }


def _twins(
    generator: np.random.Generator, chance: np.ndarray, change: float, churn: float = CHURN
) -> tuple[np.ndarray, np.ndarray]:
    """Before and after: the same draw, except for a share drawn again, and a true change of the mean."""
    before = generator.random(chance.shape) < chance
    again = generator.random(chance.shape) < churn
    after = np.where(again, generator.random(chance.shape) < chance, before)
    # Flipping wrong to right (or right to wrong) with this chance moves the mean by ``change``.
    room = 1 - chance if change > 0 else chance
    flipped = generator.random(chance.shape) < np.minimum(1, abs(change) / room)
    return before, np.where(flipped, change > 0, after)


def _judged(split: str, columns: dict[str, tuple[np.ndarray, np.ndarray]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    conversations = next(iter(columns.values()))[0].shape[0]
    index = np.arange(conversations * TURNS)
    head = {
        "decision_point_id": [f"{split}/{turn}" for turn in index],
        "conversation_id": [f"{split}/{turn // TURNS}" for turn in index],
        "split": split,
        "kind": np.where(index % 2, "answer", "call"),
    }
    before, after = (
        pd.DataFrame({**head, **{name: pair[side].reshape(-1) for name, pair in columns.items()}}) for side in (0, 1)
    )
    return before, after


def rates(weeks: int, conversations: int, seed: int) -> dict[str, dict[str, float]]:
    """Share of promotions in each kind of week, with Wilson's 95 % bounds."""
    found = {}
    for number, (kind, (gain, loss)) in enumerate(WEEKS.items()):
        generator = np.random.default_rng([seed, number])
        decisions = [week(generator, gain, loss, conversations) for _ in range(weeks)]
        promoted = sum(one.promote for one in decisions) / weeks
        low, high = wilson_bounds(promoted, weeks)
        found[kind] = {"promoted": promoted, "low": low, "high": high, "weeks": weeks}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=400, help="of each kind")
    parser.add_argument("--conversations", type=int, default=400, help="per split, six turns each")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(rates(given.weeks, given.conversations, given.seed), indent=1))


if __name__ == "__main__":
    main()
