"""Requests completed by this process alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from models.compute import give_back_freed_memory
from models.engine.chains import Chain, chains_of
from models.engine.decoding import Generated, Member, Request, Wanted, decode


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
    if not requests:
        return results
    decode(model, requests, _Line(model, requests, wanted, on_batch), results, wanted, max_rows)
    if len(requests) > max_rows:  # trunks of many lengths came and went
        give_back_freed_memory()
    return results


class _Line:
    """Requests in the order of their trunks, each of which is computed when its first row gets a place."""

    def __init__(
        self, model: Any, requests: Sequence[Request], wanted: Wanted, on_batch: Callable[[int], None] | None
    ) -> None:
        self._model, self._sessions, self._on_batch = model, wanted.sessions, on_batch
        self._names = [request.session for request in requests]
        chains = chains_of([request.prompt for request in requests])
        self._waiting = deque((chain, index, visible) for chain in chains for index, visible in chain.members)
        self._homes: dict[int, Chain] = {index: chain for chain, index, _ in self._waiting}
        self.longest_tail = max(len(requests[index].prompt) - visible for _, index, visible in self._waiting)
        self._finished = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def admit(self, places: int) -> list[Member]:
        taken = [self._waiting.popleft() for _ in range(min(places, len(self._waiting)))]
        return [
            (index, visible, chain.trunk(self._model, self._names, self._sessions)) for chain, index, visible in taken
        ]

    def leave(self, indices: Sequence[int]) -> None:
        for index in indices:
            self._homes.pop(index).left(1)
        self._finished += len(indices)
        if self._on_batch and indices:
            self._on_batch(self._finished)
