"""Greedy completions of whole conversations: the shared-trunk engine against batched ``generate`` per decision point.

    .venv/bin/python benchmarks/evaluate.py --source sgd --path ../shared/data/sgd --conversations 50

The peer gets the same prompts in the same precision, sorted by length so that little is padded, and stops a row at its
end of turn as ours does; the best of its batch sizes counts. Rows whose tokens differ between the two are counted: in
bfloat16 rounding decides ties. The last line is JSON: seconds of ours and the peer, and how many times longer the peer
takes (``ratio``).
"""

from __future__ import annotations

import copy
import time
from typing import Any

from workload import arguments, decision_points_of, fetch, prompt_texts, tell


def time_ours(twin: Any, prompts: list[list[int]], end: int, tokens: int) -> tuple[float, list[list[int]]]:
    """Seconds of the engine, and what it wrote."""
    from models.engine.rollout import Request, generate
    from models.engine.sampling import Sampling

    started = time.perf_counter()
    requests = [Request(prompt) for prompt in prompts]
    done = generate(twin, requests, end_token=end, max_new_tokens=tokens, sampling=Sampling(), max_rows=64)
    return time.perf_counter() - started, [one.ids for one in done]


def time_peer(peer: Any, prompts: list[list[int]], end: int, tokens: int, batch: int) -> tuple[float, list[list[int]]]:
    """Seconds of ``generate``, and what it wrote."""
    import torch

    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    written: list[list[int]] = [[] for _ in prompts]
    started = time.perf_counter()
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        width = max(len(prompts[number]) for number in part)
        ids = torch.tensor([[end] * (width - len(prompts[number])) + prompts[number] for number in part])
        mask = torch.tensor([[0] * (width - len(prompts[number])) + [1] * len(prompts[number]) for number in part])
        with torch.inference_mode():
            out = peer.generate(
                ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens, eos_token_id=end, pad_token_id=end
            )
        for number, row in zip(part, out[:, width:].tolist(), strict=True):
            written[number] = row[: row.index(end) + 1] if end in row else row
    return time.perf_counter() - started, written


def main() -> None:
    """Time both sides and print the result."""
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, default=160, help="tokens of a completion at most")
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 64], help="rows of the peer's batches")
    chosen = parser.parse_args()

    from data.profiles import resolve
    from models.compute import decode_dtype
    from models.engine.rollout import decoder
    from models.policy import load_model, load_tokenizer

    directory = fetch(chosen.model)
    dtype = decode_dtype(resolve("laptop", {"device": "cpu"}))
    model, tokenizer = load_model(directory), load_tokenizer(directory)
    points = decision_points_of(chosen.source, chosen.path, "conversation", chosen.conversations)
    texts = prompt_texts(tokenizer, points, "conversation")
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    twin, peer, end = decoder(model, dtype), copy.deepcopy(model).to(dtype).eval(), tokenizer.eos_token_id
    time_ours(twin, prompts[:1], end, 4)
    ours, written = time_ours(twin, prompts, end, chosen.tokens)
    print(f"ours: {ours:.1f} s", flush=True)
    peers, differing = {}, {}
    for batch in chosen.batches:
        name = f"batch {batch}"
        peers[name], theirs = time_peer(peer, prompts, end, chosen.tokens, batch)
        differing[name] = sum(left != right for left, right in zip(written, theirs, strict=True))
        print(f"generate, {name}: {peers[name]:.1f} s", flush=True)
    tell(
        "evaluate",
        ours,
        peers,
        decision_points=len(points),
        prompt_tokens=sum(map(len, prompts)),
        written_tokens=sum(map(len, written)),
        differing=differing,
        dtype=str(dtype),
    )


if __name__ == "__main__":
    main()
