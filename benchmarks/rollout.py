"""Sampling completions: the shared-trunk engine against ``generate`` of transformers at its best batch size.

    .venv/bin/python benchmarks/rollout.py --workload short
    .venv/bin/python benchmarks/rollout.py --workload conversation --source sgd --path ../shared/data/sgd

``short`` is 8 prompts of different conversations, ``conversation`` all decision points of a few conversations; each is
completed 8 times with exactly 64 tokens, so both sides do the same work. Both run in the same process and precision,
in turn; the peer's best of several batch sizes counts. The last line is JSON: seconds of ours and the peer, and how
many times longer the peer takes (``ratio``).
"""

from __future__ import annotations

import time
from typing import Any

from workload import arguments, decision_points_of, fetch, prompt_texts, tell

GROUP = 8
TOKENS = 64


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
    parser = arguments(__doc__)
    parser.add_argument("--workload", choices=["short", "conversation"], default="short")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64], help="rows of the peer's batches")
    chosen = parser.parse_args()

    from data.profiles import resolve
    from models.compute import decode_dtype
    from models.policy import load_model, load_tokenizer

    directory = fetch(chosen.model)
    dtype = decode_dtype(resolve("laptop", {"device": "cpu"}))
    model, tokenizer = load_model(directory), load_tokenizer(directory)
    points = decision_points_of(chosen.source, chosen.path, chosen.workload, chosen.conversations)
    texts = prompt_texts(tokenizer, points, chosen.workload)
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    time_ours(model, prompts[:1], dtype)
    ours = time_ours(model, prompts, dtype)
    print(f"ours: {ours:.1f} s", flush=True)
    peers = {f"batch {batch}": time_peer(model, prompts, dtype, batch) for batch in chosen.batches}
    tell(
        "rollout",
        ours,
        peers,
        workload=chosen.workload,
        rows=len(prompts) * GROUP,
        prompt_tokens=sum(map(len, prompts)),
        dtype=str(dtype),
    )


if __name__ == "__main__":
    main()
