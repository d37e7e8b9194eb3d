"""How often a verdict claims a difference that is none, and finds one of the size it says it would.

Pairs of models as in a comparison of arms: the same turns, conversations that differ in how hard they are and in what a
change does to them, one run of each model for each training seed. How far trainings of one recipe lie apart is given
as a standard deviation in points; with one seed nobody can know it, and no interval has it.

    python benchmarks/verdicts.py --studies 1000
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.evaluation.statistics import wilson_bounds
from models.evaluation.verdicts import Pairs, Verdict, verdict

SEEDS = (1, 2, 3, 5)
#: Standard deviation, from seed to seed, of what a training adds to the model it starts from, in points.
BETWEEN_RUNS = (0.0, 1.0, 2.0, 3.0)
#: Questions of a page: the smallest of as many p values has to be below 5 % over their number (Holm).
QUESTIONS = 7
#: The largest effect that is simulated: turn success of six in ten cannot rise by more.
MOST = 0.38
#: Share of turns at which two models of one lineage differ by chance alone.
CHURN = 0.15


def study(random: np.random.Generator, seeds: int, effect: float, between: float, shape: tuple[int, int]) -> Verdict:
    """The verdict on two recipes whose turn success truly differs by ``effect``."""
    conversations, turns = shape
    hard = np.clip(0.6 + random.normal(0, 0.15, (conversations, 1)), 0.05, 0.95)
    reacts = random.normal(0, 0.05, (conversations, 1))
    before, after = [], []
    for _ in range(seeds):
        # Both are trained anew for a seed; the second starts from the first, so most turns go alike.
        one = random.random(shape) < hard + random.normal(0, between)
        again = random.random(shape) < CHURN
        drawn = random.random(shape) < hard
        moved = effect + reacts + random.normal(0, between)
        two = np.where(again, drawn, one)
        flipped = random.random(shape) < np.abs(moved) / np.where(moved > 0, 1 - hard, hard)
        before.append(one)
        after.append(np.where(flipped, moved > 0, two))
    homes = np.tile(np.repeat(np.arange(conversations), turns), seeds)
    first, second = (np.concatenate([one.reshape(-1) for one in side]).astype(float) for side in (before, after))
    return verdict(Pairs(first, second, homes, np.repeat(np.arange(seeds), conversations * turns)))


def rates(studies: int, shape: tuple[int, int], seed: int) -> list[dict[str, float]]:
    """For each number of seeds and spread between runs: false claims, and how often another study finds a difference of
    the size that one has printed."""
    found = []
    for seeds in SEEDS:
        for between in BETWEEN_RUNS:
            random = np.random.default_rng([seed, seeds, round(100 * between)])
            none = [study(random, seeds, 0.0, between / 100, shape) for _ in range(studies)]
            claimed = float(np.mean([one.word in ("better", "worse") for one in none]))
            low, high = wilson_bounds(claimed, studies)
            printed = [min(one.detectable, MOST) for one in none[: studies // 2]]
            some = [study(random, seeds, size, between / 100, shape) for size in printed]
            found.append(
                {
                    "seeds": seeds,
                    "between_runs_points": between,
                    "false_claims": claimed,
                    "low": round(low, 4),
                    "high": round(high, 4),
                    "false_claims_after_holm": float(np.mean([one.p_value <= 0.05 / QUESTIONS for one in none])),
                    "detectable_points": round(100 * float(np.median(printed)), 2),
                    "found": float(np.mean([one.word == "better" for one in some])),
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="of each kind")
    parser.add_argument("--conversations", type=int, default=68)
    parser.add_argument("--turns", type=int, default=9, help="of a conversation")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shape = (given.conversations, given.turns)
    print(json.dumps({"studies": given.studies, "shape": shape, "rates": rates(given.studies, shape, given.seed)}))


if __name__ == "__main__":
    main()
