"""Requests completed by several processes, each with its share of the cores.

A decoding step is some thousand small products, and nearly all of its time grows with its rows. Two threads of one
process gain little on it: between two products each waits for Python's lock or for the other at a barrier. Two
processes with half of the rows each take little more than half of the time (docs/performance.md). So the parts of a
call are taken by whichever process is free: this one, or helpers that map the same weights (``shared_weights``).
A completion is a function of its part, computed the same way whoever takes it.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from data import workers
from models.engine.chains import chains_of, parts_of
from models.engine.decoding import Generated, Request, Wanted
from models.engine.lean import pack
from models.engine.shared_weights import attach, can_share, share, skeleton
from models.engine.single import complete_here

#: Weights times tokens from which a call is worth starting a helper, whose imports take some seconds of a core.
WORTH = 1e11
#: Rows of a part, in units of those that are decoded together: enough that who is done makes room for others, few
#: enough that processes end at about the same time.
PLACES_FILLED = 4
#: Rows below which a process has too few for its products to be worth while.
FEWEST_ROWS = 8


@dataclass(frozen=True)
class _Weights:
    """Where a helper finds the model; ``version`` counts how often its weights have changed."""

    path: str
    bones: bytes
    version: int


@dataclass(frozen=True)
class _Task:
    """A part of a call, as it travels to a helper."""

    weights: _Weights
    requests: list[Request]
    wanted: Wanted
    max_rows: int
    threads: int


class Crew:
    """This process and the helpers of one decoding copy. They end with the copy, or with this process."""

    def __init__(self, model: Any, helpers: int) -> None:
        self._path = share(model)
        self._bones = skeleton(model)
        self._ask = workers.Crew()
        self._threads = ThreadPoolExecutor(helpers, "decoding")
        self.helpers = helpers
        weakref.finalize(model, _dismiss, self._ask, self._threads)

    def complete(
        self,
        model: Any,
        requests: Sequence[Request],
        wanted: Wanted,
        max_rows: int,
        on_batch: Callable[[int], None] | None = None,
    ) -> list[Generated]:
        """As ``complete_here``, by all processes.

        Raises:
            data.workers.WorkerDied: A helper was killed or crashed.
        """
        processes = self.helpers + 1
        results: list[Generated] = [Generated() for _ in requests]
        waiting = deque(_shares(requests, max_rows, processes))
        weights = _Weights(self._path, self._bones, model.version)
        threads = max(1, torch.get_num_threads() // processes)
        finished = 0

        def done(share: list[int], completed: list[Generated]) -> None:
            nonlocal finished
            for index, one in zip(share, completed, strict=True):
                results[index] = one
            finished += len(share)
            if on_batch:
                on_batch(finished)

        def help_out() -> list[tuple[list[int], list[Generated]]]:
            mine = []
            while (share := _next(waiting)) is not None:
                task = _Task(weights, [requests[index] for index in share], wanted, max_rows, threads)
                mine.append((share, self._ask(_complete, task)))
            return mine

        helping = [self._threads.submit(help_out) for _ in range(min(self.helpers, len(waiting) - 1))]
        try:
            with _threads(threads):
                while (share := _next(waiting)) is not None:
                    mine = [requests[index] for index in share]
                    done(share, complete_here(model, mine, wanted, max_rows))
            for future in _as_they_end(helping):
                for share, completed in future.result():
                    done(share, completed)
        except BaseException:
            waiting.clear()
            self.dismiss()  # Ctrl-C, say: nobody waits for the parts that helpers are at
            model.crew = None
            raise
        return results

    def dismiss(self) -> None:
        """End the helpers, busy or not."""
        _dismiss(self._ask, self._threads)


def crew_for(model: Any, requests: Sequence[Request], wanted: Wanted) -> Crew | None:
    """The crew of a decoding copy, engaged when first worth while; None where this process does better alone.

    That depends on the call alone, so that a resumed run computes as the first one did. Sessions stay in this process:
    what they keep is where it was computed.
    """
    if wanted.sessions is not None or model.device.type != "cpu" or not can_share():
        return None
    processes = min(torch.get_num_threads(), workers.MOST, len(requests) // FEWEST_ROWS)
    work = len(requests) * wanted.max_new_tokens * sum(one.numel() for one in model.parameters())
    if processes < 2 or work < WORTH:
        return None
    if model.crew is None:
        model.crew = Crew(model, min(torch.get_num_threads(), workers.MOST) - 1)
    crew: Crew = model.crew
    return crew


def _shares(requests: Sequence[Request], max_rows: int, processes: int) -> list[list[int]]:
    """Indices of the requests in parts, as many for each process where they are few."""
    chains = chains_of([request.prompt for request in requests])
    rounds = -(-len(requests) // (PLACES_FILLED * max_rows * processes))
    most = -(-len(requests) // (rounds * processes))
    return [[index for _, index, _ in part] for part in parts_of(chains, most)]


def _next(waiting: deque[list[int]]) -> list[int] | None:
    try:
        return waiting.popleft()
    except IndexError:  # another process was quicker
        return None


def _as_they_end(futures: Sequence[Future[Any]]) -> Iterator[Future[Any]]:
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from ended


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _dismiss(ask: workers.Crew, threads: ThreadPoolExecutor) -> None:
    ask.stop()
    threads.shutdown(cancel_futures=True)
    ask.close()


_held: dict[str, tuple[int, Any]] = {}


def _complete(task: _Task) -> list[Generated]:
    """In a helper: the completions of a part."""
    torch.set_num_threads(task.threads)
    return complete_here(_model(task.weights), task.requests, task.wanted, task.max_rows)


def _model(weights: _Weights) -> Any:
    version, model = _held.get(weights.path) or (-1, None)
    if model is None:
        model = attach(weights.bones, weights.path)
    if version != weights.version:
        pack(model)
        _held[weights.path] = weights.version, model
    return model
