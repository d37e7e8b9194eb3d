"""Is the average of a training's weights better than its last weights? One training, several averages, one judge.

    python benchmarks/averaging.py --dataset VERSION --base DIRECTORY --minutes 18 --points 200

trains as ``apprentice sft --profile laptop`` would (``--stage prime`` and ``grpo``: as those), keeps the last weights
and averages of several widths side by side, and judges each, greedily, on the same decision points of both validation
splits. ``--set sft.learning_rate=5e-4`` and the like change the recipe. The last lines are JSON, one for each kind of
weights and split. Each width takes as much memory as the weights once more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from data import profiles
from data.reporting import Silent
from data.schema import VALIDATION_SPLITS
from data.snapshot import read_decision_points
from flows.assignments import nested
from models.compute import decode_dtype, device_name
from models.engine.rollout import decoder
from models.evaluation.run import select_points
from models.policy import load_model, load_tokenizer, save_weights
from models.training import averaging
from models.training.averaging import WeightAverage
from models.training.grpo import train_grpo
from models.training.job import TrainingJob
from models.training.priming import prime_thinking
from models.training.sft import train_sft
from models.training.validation import validated, validation_figures

STAGES = {"sft": train_sft, "prime": prime_thinking, "grpo": train_grpo}


class Several(WeightAverage):
    """Averages of several widths of one training, left beside its model with the last weights."""

    widths: tuple[float, ...] = ()
    left_in: Path

    def __init__(self, width: float) -> None:
        super().__init__(width)
        self._others = {str(other): WeightAverage(other) for other in self.widths}

    def on_train_begin(self, *given: Any, **named: Any) -> None:
        """As its own, for each."""
        super().on_train_begin(*given, **named)
        for other in self._others.values():
            other.on_train_begin(*given, **named)

    def on_optimizer_step(self, *given: Any, **named: Any) -> None:
        """As its own, for each."""
        super().on_optimizer_step(*given, **named)
        for other in self._others.values():
            other.on_optimizer_step(*given, **named)

    def on_train_end(self, *given: Any, **named: Any) -> None:
        """Save every one of them."""
        save_weights(named["model"], self.left_in / "last")
        for name, other in self._others.items():
            with other.shown():
                save_weights(named["model"], self.left_in / name)


def main() -> None:
    """Train, then judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--base", required=True, type=Path, help="directory of the model that the stage starts from")
    parser.add_argument("--stage", choices=sorted(STAGES), default="sft")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--minutes", type=float, default=18.0)
    parser.add_argument("--points", type=int, default=200, help="decision points of each validation split")
    parser.add_argument("--widths", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    section = {"minutes": chosen.minutes, "averaging": chosen.widths[0]}
    settings = profiles.resolve(chosen.profile, profiles.merge({chosen.stage: section}, nested(chosen.set)))
    train = STAGES[chosen.stage]
    thinking = {"sft": False, "prime": True, "grpo": settings.grpo.thinking}[chosen.stage]
    with tempfile.TemporaryDirectory() as folder:
        Several.widths, Several.left_in = tuple(chosen.widths), Path(folder)
        run_dir = Path(folder) / "run"
        run_dir.mkdir()
        with mock.patch.object(averaging, "WeightAverage", Several):
            job = TrainingJob("averaging", chosen.dataset, chosen.base, run_dir, settings)
            outcome = train(job, Silent())
        print(json.dumps({"steps": outcome.steps, "seconds": round(outcome.seconds), **outcome.counts}), flush=True)
        tokenizer = load_tokenizer(chosen.base)
        for split in VALIDATION_SPLITS:
            found = select_points(read_decision_points(chosen.dataset, splits=[split]), chosen.points)
            points = [point for conversation in found for point in conversation]
            for name in ("last", *map(str, chosen.widths)):
                model = load_model(Path(folder) / name, device=device_name(settings))
                twin = decoder(model, decode_dtype(settings))
                figures = validation_figures(validated(twin, tokenizer, points, thinking=thinking, settings=settings))
                calls = sum(point.kind == "call" for point in points)
                told = {key.removeprefix("validation/"): round(value, 4) for key, value in figures.items()}
                row = {"weights": name, "split": split, "points": len(points), "calls": calls, **told}
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
