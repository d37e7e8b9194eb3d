"""How much of the machine the training part uses, and how its cost grows: forward and backward over prefix trees.

    .venv/bin/python benchmarks/training_rate.py
    .venv/bin/python benchmarks/training_rate.py --histories 500 1000 2000 4000 --groups 4 8 16 32 --tokens 32 64 128

One conversation of ``--points`` decision points, evenly spread over its history, each completed by a group; one of the
three sizes varies at a time, the others stay at the first value given. The products' floating point operations (the
formula of Kaplan et al. 2020, section 2.1, plus the pairs that attention has to look at, plus the head where a token is
labelled) over the seconds, as a share of the best rate at which this machine multiplies bf16 matrices, is ``share``.
The peer computes the first size row by row, as TRL does, with every position through the head. The last line is JSON.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from workload import arguments, fetch, tell


def matrix_rate() -> float:
    """Best measured floating point operations a second of a bf16 product, over shapes that the model has and larger."""
    import torch

    best = 0.0
    for rows, inner, columns in ((4096, 576, 1536), (4096, 1536, 576), (2048, 576, 49152), (4096, 4096, 4096)):
        left, right = torch.randn(rows, inner).bfloat16(), torch.randn(inner, columns).bfloat16()
        left @ right
        for _ in range(5):
            started = time.perf_counter()
            left @ right
            best = max(best, 2 * rows * inner * columns / (time.perf_counter() - started))
    return best


def rows_of_conversation(history: int, points: int, group: int, tokens: int, seed: int = 0) -> list[Any]:
    """Random rows with the shape of a conversation's: histories that are prefixes of one another, own completions."""
    import torch

    from models.engine.tree import Row

    drawn = torch.Generator().manual_seed(seed)
    trunk = torch.randint(10, 49000, (history,), generator=drawn).tolist()
    rows = []
    for number in range(1, points + 1):
        prompt = trunk[: history * number // points]
        for _ in range(group):
            rows.append(Row(prompt + torch.randint(10, 49000, (tokens,), generator=drawn).tolist(), len(prompt)))
    return rows


def operations(model: Any, rows: Sequence[Any]) -> float:
    """Floating point operations of forward and backward over the tree of ``rows``: those of products only."""
    import numpy as np

    from models.engine.tree import grow

    tree, shape = grow(rows), model.config
    within = sum(weights.numel() for name, weights in model.named_parameters() if ".layers." in name)
    pairs = float((tree.end - np.arange(len(tree))).sum())  # each token is seen by all of its descendants and itself
    width = shape.hidden_size // shape.num_attention_heads
    attention = 4 * pairs * shape.num_attention_heads * width * shape.num_hidden_layers
    head = 2.0 * shape.hidden_size * shape.vocab_size * sum(len(at) for at in tree.scored)
    return 3 * (2.0 * within * len(tree) + attention + head)


def time_tree(model: Any, rows: Sequence[Any]) -> float:
    """Seconds of forward and backward over the tree."""
    import torch

    from models.engine.scoring import attend_over_trees, score_rows

    attend_over_trees(model)
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = score_rows(model, rows, max(len(row.tokens) - row.start for row in rows))
    found.sum().backward()
    seconds = time.perf_counter() - started
    model.zero_grad()
    return seconds


def time_rows(model: Any, rows: Sequence[Any], micro_batch: int) -> float:
    """Seconds of forward and backward over padded rows, sorted by length so that little is padded."""
    import torch

    model.set_attn_implementation("sdpa")
    ordered = sorted(rows, key=lambda row: len(row.tokens))
    started = time.perf_counter()
    for first in range(0, len(ordered), micro_batch):
        batch = ordered[first : first + micro_batch]
        longest = max(len(row.tokens) for row in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        mask, scored = torch.zeros_like(ids), torch.zeros(len(batch), longest - 1, dtype=torch.bool)
        for number, row in enumerate(batch):
            ids[number, : len(row.tokens)] = torch.tensor(row.tokens)
            mask[number, : len(row.tokens)] = 1
            scored[number, row.start - 1 : len(row.tokens) - 1] = True
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
        logps = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        logps[scored].sum().backward()
    seconds = time.perf_counter() - started
    model.zero_grad()
    return seconds


def sizes(chosen: argparse.Namespace) -> list[tuple[int, int, int]]:
    """History, group and completion length of each measurement: one of them varies at a time."""
    history, group, tokens = chosen.histories[0], chosen.groups[0], chosen.tokens[0]
    varied = [(one, group, tokens) for one in chosen.histories]
    varied += [(history, one, tokens) for one in chosen.groups[1:]]
    return varied + [(history, group, one) for one in chosen.tokens[1:]]


def main() -> None:
    """Time all sizes and print the result."""
    parser = arguments(__doc__)
    parser.add_argument("--histories", type=int, nargs="+", default=[1000])
    parser.add_argument("--groups", type=int, nargs="+", default=[8])
    parser.add_argument("--tokens", type=int, nargs="+", default=[64])
    parser.add_argument("--points", type=int, default=4, help="decision points of the conversation")
    parser.add_argument("--micro-batches", type=int, nargs="+", default=[1, 8], help="of the peer")
    chosen = parser.parse_args()

    from trl.trainer.utils import add_fused_lm_head

    from models.policy import load_model
    from models.training.seams import fold_in_caches, score_labelled_positions_only

    directory = fetch(chosen.model)
    plain = load_model(directory).train()
    score_labelled_positions_only()
    fold_in_caches()
    model = load_model(directory).train()
    add_fused_lm_head(model, outputs=("log_probs",))
    rate = matrix_rate()
    print(f"bf16 products: {rate / 1e9:.0f} GFLOP/s", flush=True)
    time_tree(model, rows_of_conversation(300, 1, 2, 16))
    grown, first = [], 0.0
    for history, group, tokens in sizes(chosen):
        rows = rows_of_conversation(history, chosen.points, group, tokens)
        seconds = time_tree(model, rows)
        first = first or seconds
        share = operations(model, rows) / seconds / rate
        grown.append(
            {
                "history": history,
                "group": group,
                "tokens": tokens,
                "seconds": round(seconds, 2),
                "share": round(share, 3),
            }
        )
        print(grown[-1], flush=True)
    base = rows_of_conversation(chosen.histories[0], chosen.points, chosen.groups[0], chosen.tokens[0])
    peers = {f"micro-batch {size}": time_rows(plain, base, size) for size in chosen.micro_batches}
    tell(
        "training_rate",
        first,
        peers,
        points=chosen.points,
        gflops=round(rate / 1e9),
        share=grown[0]["share"],
        sizes=grown,
    )


if __name__ == "__main__":
    main()
