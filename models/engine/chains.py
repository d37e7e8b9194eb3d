"""Prompts grouped by the trunk they share, and the line in which they wait for a place."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from models.engine.lean import grow_trunk
from models.engine.sessions import Sessions
from models.engine.tree import common_prefix
from models.engine.trunks import Trunk

#: A prompt joins a trunk if no more than this many of its last tokens differ (the opener of a think block, say), beside
#: words of its own that are announced (a thought put before the turn). A row reads its tail one token a step, which
#: costs a CPU one to two tokens of a prefill; unannounced, what several rows share would be read by each.
LONGEST_TAIL = 32

Member = tuple[int, int, Trunk]
"""A row to be decoded: the index of its prompt, how many tokens it sees of its trunk, and the trunk."""


@dataclass(eq=False)
class Chain:
    """A trunk's tokens and its members: ``(index of the prompt, how many trunk tokens it may see)``."""

    tokens: list[int]
    members: list[tuple[int, int]]
    _trunk: Trunk | None = None
    _done: int = 0

    def trunk(self, model: Any, names: Sequence[str | None], sessions: Sessions | None) -> Trunk:
        """Keys and values of what the members see, computed when first asked for.

        Args:
            model: Computes them.
            names: Of the sessions that prompts belong to, by the prompts' indices.
            sessions: May hold a part of them already.
        """
        if self._trunk is None:
            seen = self.tokens[: max(visible for _, visible in self.members)]
            mine = [names[index] for index, _ in self.members]
            self._trunk = _prefill(model, seen, None if sessions is None else sessions.known(seen, mine))
        return self._trunk

    def left(self, members: int) -> None:
        """Take note that so many members are done; the trunk goes with the last of them."""
        self._done += members
        if self._done == len(self.members):
            self._trunk = None


def chains_of(prompts: Sequence[Sequence[int]], own_tails: Sequence[int] = ()) -> list[Chain]:
    """Group prompts by trunk. Longest first, so a trunk is its longest member less that member's last token.

    Args:
        prompts: Token ids.
        own_tails: How many of each prompt's last tokens are words of its own, which no other has; empty: none.
    """
    chains: list[Chain] = []
    by_start: dict[tuple[int, ...], list[int]] = {}
    for index in sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i)):
        prompt = list(prompts[index])
        candidates = by_start.setdefault(tuple(prompt[:64]), [])
        home, visible = _longest_shared(
            chains, candidates, prompt, LONGEST_TAIL + (own_tails[index] if own_tails else 0)
        )
        if home is None:
            candidates.append(len(chains))
            chains.append(Chain(prompt[:-1], [(index, len(prompt) - 1)]))
        else:
            chains[home].members.append((index, visible))
    return chains


def _longest_shared(chains: list[Chain], candidates: list[int], prompt: list[int], tail: int) -> tuple[int | None, int]:
    best, best_shared = None, -1
    for candidate in candidates:
        shared = min(common_prefix(chains[candidate].tokens, prompt), len(prompt) - 1)
        if len(prompt) - shared <= tail and shared > best_shared:
            best, best_shared = candidate, shared
    return best, best_shared


class Line:
    """The rows that wait for a place, in the order of their trunks; a trunk is computed when its first row gets one."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        names: Sequence[str | None],
        own_tails: Sequence[int] = (),
    ) -> None:
        self._model, self._names = model, names
        # On a GPU a step's calls cost more than prefilling what it would read.
        chains = chains_of(prompts, own_tails if model.device.type == "cpu" else ())
        self._waiting = deque((chain, index, visible) for chain in chains for index, visible in chain.members)
        self._homes: dict[int, Chain] = {index: chain for chain, index, _ in self._waiting}
        #: The most tokens of a prompt that its row has to read itself.
        self.longest_tail = max(len(prompts[index]) - visible for _, index, visible in self._waiting)

    def __len__(self) -> int:
        """How many still wait."""
        return len(self._waiting)

    def admit(self, places: int, sessions: Sessions | None) -> list[Member]:
        """The next rows, no more than there are places; those of a trunk side by side."""
        taken = [self._waiting.popleft() for _ in range(min(places, len(self._waiting)))]
        return [(index, visible, chain.trunk(self._model, self._names, sessions)) for chain, index, visible in taken]

    def leave(self, indices: Sequence[int]) -> None:
        """Take note that these prompts are completed."""
        for index in indices:
            self._homes.pop(index).left(1)


def _prefill(model: Any, tokens: list[int], known: Trunk | None = None) -> Trunk:
    """The trunk of these tokens, of which ``known`` holds some first ones; one at least is left to compute."""
    trunk = Trunk() if known is None else known
    begin = len(trunk)
    ids = torch.tensor(tokens[begin:], device=model.device)
    grow_trunk(model, ids, torch.arange(begin, len(tokens), device=model.device), trunk)
    return trunk
