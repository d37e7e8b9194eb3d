"""Requests completed by this process alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch

from models.engine.chains import chains_of, parts_of
from models.engine.decoding import Generated, Request, Wanted, decode


@torch.inference_mode()
def complete_here(
    model: Any,
    requests: Sequence[Request],
    wanted: Wanted,
    max_rows: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[Generated]:
    """Complete every request; the arguments are those of ``models.engine.rollout.generate``."""
    results = [Generated() for _ in requests]
    names = [request.session for request in requests]
    finished = 0
    for part in parts_of(chains_of([request.prompt for request in requests]), max_rows):
        members = [(index, visible, chain.trunk(model, names, wanted.sessions)) for chain, index, visible in part]
        decode(model, requests, members, results, wanted)
        for chain, rows in Counter(chain for chain, *_ in part).items():
            chain.left(rows)
        finished += len(part)
        if on_batch:
            on_batch(finished)
    return results
