"""What prompts of one conversation in a step cost: how alike their gradients are, against other conversations'.

    python benchmarks/gradients.py --dataset VERSION --base DIRECTORY --prompts 240 --set grpo.thinking=false

computes GRPO's gradient of one prompt after the other (``apprentice grpo --profile laptop``, weights kept as they are),
four prompts of a conversation in a row. With ``rho`` the share of a gradient's variance that the prompts of a
conversation have in common (the intraclass correlation), the gradient of a step with ``m`` prompts of each conversation
has ``1 + (m - 1) rho`` times the variance of one whose prompts all come from different conversations (the design effect
of cluster sampling: Kish 1965, section 5.4). So many times more prompts a step would make it equal; how much faster
prompts in a row are is ``equal_score.py``'s ``step_ratio``.

``noise_scale`` is how many prompts a step would need until noise and signal are alike (the simple noise scale:
McCandlish et al. 2018, https://arxiv.org/abs/1812.06162, equation 2.9); far below it the variance is what counts.

Products of gradients are estimated from a million coordinates drawn at random; ``raw`` takes them as they are, ``adam``
divides each by its root mean square first, as Adam's step does. Intervals: 95 %, bootstrap over conversations. The last
line is JSON: ``ours`` is the variance of a step with four in a row, ``peer`` that of one without.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from transformers import TrainerCallback

from data import paths, profiles
from data.reporting import Silent
from data.rollouts import read_rollouts
from data.snapshot import read_decision_points
from flows.assignments import nested
from models.training import grpo
from models.training.job import TrainingJob

COORDINATES = 1_000_000
IN_A_ROW = 4
RUN = "gradients"


class Gradients(TrainerCallback):
    """Keeps the same coordinates of each step's gradient."""

    def __init__(self) -> None:
        self.kept: list[np.ndarray] = []
        self._places: list[tuple[torch.nn.Parameter, torch.Tensor]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Draw the coordinates, evenly over all trained weights."""
        trained = [one for one in model.parameters() if one.requires_grad]
        share = min(1.0, COORDINATES / sum(one.numel() for one in trained))
        draw = torch.Generator().manual_seed(0)
        for one in trained:
            places = torch.randint(one.numel(), (round(share * one.numel()),), generator=draw)
            self._places.append((one, places))

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take them from the gradient of this step."""
        found = [torch.zeros(len(at)) if one.grad is None else one.grad.flatten()[at] for one, at in self._places]
        self.kept.append(torch.cat(found).float().numpy())
        print(f"\r{len(self.kept)} prompts", end="", flush=True)


class Lengths(Silent):
    """Keeps how many tokens the completions of each step had: TRL's loss divides by them, a larger step's would not."""

    def __init__(self) -> None:
        self.kept: list[float] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Keep the mean length."""
        if "train/completion_length" in values:
            self.kept.append(values["train/completion_length"])


def alike(gram: np.ndarray, conversations: Sequence[str], draws: int = 2000) -> dict[str, Any]:
    """Intraclass correlation and noise scale from products of gradients, with intervals over whole conversations.

    Args:
        gram: Product of each two prompts' gradients.
        conversations: Of each prompt.
        draws: Of the bootstrap; a conversation drawn twice is not compared with itself.
    """
    names = sorted(set(conversations))
    member = np.array([[one == name for one in conversations] for name in names], dtype=float)
    blocks = member @ gram @ member.T  # sums of products of each two conversations
    squares = member @ np.diag(gram)
    sizes = member.sum(axis=1)

    def estimate(times: np.ndarray) -> tuple[float, float]:
        squared = (times * squares).sum() / (times * sizes).sum()
        within = (times * (blocks.diagonal() - squares)).sum() / (times * sizes * (sizes - 1)).sum()
        pairs = np.outer(times, times)
        np.fill_diagonal(pairs, 0.0)
        between = (pairs * blocks).sum() / (pairs * np.outer(sizes, sizes)).sum()
        return (within - between) / (squared - between), (squared - between) / between

    rho, noise = estimate(np.ones(len(names)))
    chance = np.random.default_rng(0)
    drawn = [
        estimate(np.bincount(chance.integers(len(names), size=len(names)), minlength=len(names)).astype(float))[0]
        for _ in range(draws)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "rho": round(rho, 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "noise_scale": round(noise, 1) if noise > 0 else None,  # the signal was not found
    }


def gradients(chosen: argparse.Namespace) -> tuple[np.ndarray, list[str]]:
    """Gradient (some coordinates of it, times its tokens) and conversation of each prompt."""
    own = {
        "max_steps": chosen.prompts,
        "batch_size": chosen.generations,
        "micro_batch_size": chosen.generations,
        "num_generations": chosen.generations,
        "points_per_conversation": IN_A_ROW,
        "learning_rate": 1e-12,  # lost in the rounding of any weight
        "weight_decay": 0.0,
        "max_grad_norm": 1e9,  # a step is clipped, not its prompts
        "validate_every": 10**6,
        "validation_decision_points": 2,
        "save_every_minutes": 10**6,
        "minutes": None,
    }
    settings = profiles.resolve(chosen.profile, profiles.merge(nested(chosen.set), {"grpo": own}))
    heard, taken = Lengths(), Gradients()
    with mock.patch.object(grpo, "averaged", return_value=([taken], nullcontext)):
        grpo.train_grpo(TrainingJob(RUN, chosen.dataset, chosen.base, paths.run(RUN), settings), heard)
    print()
    rollouts = read_rollouts(RUN).sort_values("step").drop_duplicates("step")
    points = read_decision_points(chosen.dataset, splits=["train"])
    conversation = {point.id: point.conversation_id for point in points}
    rows = np.stack(taken.kept) * np.array(heard.kept)[:, None]
    return rows, [conversation[one] for one in rollouts["decision_point_id"]]


def main() -> None:
    """Compute the gradients and tell how alike they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--base", required=True, type=Path, help="directory of the model that GRPO would start from")
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--prompts", type=int, default=240)
    parser.add_argument("--generations", type=int, default=8, help="completions of a prompt")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    datasets = paths.datasets()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "datasets").symlink_to(datasets)  # what is computed here is nobody's run
        with mock.patch.dict(os.environ, APPRENTICE_VAR=folder):
            rows, conversations = gradients(chosen)
    if len(set(conversations)) < 2:
        raise SystemExit("all prompts are of one conversation: there is nothing to compare; raise --prompts")
    moved = rows[np.abs(rows).max(axis=1) > 0]
    scaled = rows / (np.sqrt((rows**2).mean(axis=0)) + 1e-12)
    found = {name: alike(one @ one.T, conversations) for name, one in (("raw", rows), ("adam", scaled))}
    rho = found["adam"]["rho"]
    result = {
        "benchmark": "gradients",
        "ours": round(1 + (IN_A_ROW - 1) * rho, 3),
        "peer": 1.0,
        "ratio": round(1 / (1 + (IN_A_ROW - 1) * rho), 3),
        "prompts": len(rows),
        "with_gradient": len(moved),
        "conversations": len(set(conversations)),
        **found,
        **{
            f"variance_of_{size}_in_a_row": [round(1 + (size - 1) * x, 3) for x in (rho, *found["adam"]["interval"])]
            for size in (2, IN_A_ROW)
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
