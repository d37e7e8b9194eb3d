"""Trunks and how rows hang on them: what attention of a decoding step reads, laid out so that few calls read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

#: Share of a layout of several trunks that may be empty.
MOST_EMPTY = 0.3


@dataclass
class Trunk:
    """Keys and values of one token prefix, by layer: each ``(kv_heads, tokens, head_dim)``."""

    keys: list[torch.Tensor] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        """Tokens it holds."""
        return int(self.keys[0].shape[1]) if self.keys else 0


@dataclass
class Branches:
    """Neighbouring rows and the trunks they continue, laid side by side so that one call attends over all of them.

    ``rows`` is their slice of the decode batch. ``keys`` and ``values`` are per layer
    ``(trunks, kv_heads, longest, head_dim)``. Each trunk has ``most`` places for rows: ``places`` holds the row of each
    place and ``back`` the place of each row; both None where every trunk has ``most`` rows. ``hidden`` is
    ``(trunks, most, longest)``, True where a row must not see a trunk's token, None if all see all.
    """

    rows: slice
    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    most: int
    places: torch.Tensor | None = None
    back: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    _mask: torch.Tensor | None = field(default=None, init=False)

    def mask(self, share: int, dtype: torch.dtype) -> torch.Tensor | None:
        """What is added to the scores of ``most * share`` queries: minus infinity where hidden; None if all see all."""
        if self._mask is None and self.hidden is not None:
            hidden = self.hidden.repeat_interleave(share, dim=1).unsqueeze(1)
            self._mask = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(
                hidden, float("-inf")
            )
        return self._mask


def side_by_side(hung: Sequence[tuple[Trunk, Sequence[int]]]) -> list[Branches]:
    """Lay out rows that are ordered by trunk.

    Neighbouring trunks stand together as long as little of what is laid out is empty (``MOST_EMPTY``): a copy of their
    keys and values against a call a layer and token for each.

    Args:
        hung: Trunks, and how many of its tokens each of its rows may see.
    """
    found: list[Branches] = []
    start, first = 0, 0
    while first < len(hung):
        last = first + 1
        while last < len(hung) and _fits(hung[first : last + 1]):
            last += 1
        found.append(_laid_out(hung[first:last], start))
        start, first = found[-1].rows.stop, last
    return found


def _fits(hung: Sequence[tuple[Trunk, Sequence[int]]]) -> bool:
    filled = sum(max(visible) * len(visible) for _, visible in hung)
    longest, most = max(max(visible) for _, visible in hung), max(len(visible) for _, visible in hung)
    return filled >= (1 - MOST_EMPTY) * longest * most * len(hung)


def _laid_out(hung: Sequence[tuple[Trunk, Sequence[int]]], start: int) -> Branches:
    counts = [len(visible) for _, visible in hung]
    longest, most = max(max(visible) for _, visible in hung), max(counts)
    device = hung[0][0].keys[0].device
    seen = torch.zeros(len(hung), most, dtype=torch.long)
    for place, (_, visible) in enumerate(hung):
        seen[place, : len(visible)] = torch.tensor(visible)
        seen[place, len(visible) :] = longest  # nobody reads what an empty place sees, but it must see something
    seen = seen.to(device)
    hidden = torch.arange(longest, device=device) >= seen.unsqueeze(-1)
    even = min(counts) == most
    inside = torch.cat([place * most + torch.arange(count) for place, count in enumerate(counts)]).to(device)
    places = None
    if not even:
        places = torch.zeros(len(hung) * most, dtype=torch.long, device=device)
        places[inside] = torch.arange(sum(counts), device=device)
    return Branches(
        rows=slice(start, start + sum(counts)),
        keys=[_stacked([trunk.keys[layer] for trunk, _ in hung], longest) for layer in range(len(hung[0][0].keys))],
        values=[_stacked([trunk.values[layer] for trunk, _ in hung], longest) for layer in range(len(hung[0][0].keys))],
        most=most,
        places=places,
        back=None if even else inside,
        hidden=hidden if bool(hidden.any()) else None,
    )


def _stacked(parts: Sequence[torch.Tensor], longest: int) -> torch.Tensor:
    """``(kv_heads, tokens, head_dim)`` each, as ``(parts, kv_heads, longest, head_dim)``; one alone is not copied."""
    if len(parts) == 1:
        return parts[0][None, :, :longest]
    whole = parts[0].new_zeros(len(parts), parts[0].shape[0], longest, parts[0].shape[2])
    for place, part in enumerate(parts):
        length = min(longest, part.shape[1])
        whole[place, :, :length] = part[:, :length]
    return whole


@dataclass
class DecodeState:
    """Own suffixes of all rows and the trunks they hang on.

    ``hung`` holds the trunks, in the rows' order, and how many of its tokens each of its rows may see. ``keys`` and
    ``values`` hold per layer a buffer ``(rows, kv_heads, capacity, head_dim)`` of which each row fills the first
    positions, ``length`` of them the longest, ``each_length`` each.
    """

    hung: Sequence[tuple[Trunk, Sequence[int]]]
    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    length: int = 0
    each_length: Sequence[int] = ()
    _beyond: tuple[torch.Tensor, torch.Tensor] | None = field(default=None, init=False)
    _pointers: dict[str, torch.Tensor] = field(default_factory=dict, init=False)

    @cached_property
    def branches(self) -> list[Branches]:
        """The rows over their trunks, laid out for torch; made once, when first asked for."""
        return side_by_side(self.hung)

    def native(self, pointers: Callable[[DecodeState], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """What ``pointers`` makes of the state for the kernels; made once, when first asked for."""
        if not self._pointers:
            self._pointers = pointers(self)
        return self._pointers

    def fill(self, lengths: Sequence[int]) -> None:
        """Take note of how many positions each row fills, before the next token of each is added."""
        self.length, self.each_length, self._beyond = max(lengths), lengths, None

    @property
    def mask(self) -> torch.Tensor | None:
        """Minus infinity beyond what a row fills and the token being added, ``(rows, 1, 1, length + 1)``; None where
        all rows fill as many."""
        return None if min(self.each_length) == self.length else self._uneven()[1]

    def _uneven(self) -> tuple[torch.Tensor, torch.Tensor]:
        """How many positions each row fills, and ``mask``."""
        if self._beyond is None:
            keys = self.keys[0]
            lengths = torch.tensor(self.each_length, device=keys.device)
            beyond = torch.arange(self.length + 1, device=keys.device) > lengths.unsqueeze(1)
            mask = torch.zeros(beyond.shape, dtype=keys.dtype, device=keys.device).masked_fill_(beyond, float("-inf"))
            self._beyond = lengths, mask[:, None, None]
        return self._beyond

    def add(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add a token of each row, ``(rows, kv_heads, head_dim)`` each; all keys and values of the layer so far."""
        found = []
        even = min(self.each_length) == self.length
        for buffer, new in ((self.keys[layer], key), (self.values[layer], value)):
            if even:
                buffer[:, :, self.length] = new
            else:
                buffer[torch.arange(len(new), device=new.device), :, self._uneven()[0]] = new
            found.append(buffer[:, :, : self.length + 1])
        return found[0], found[1]
