"""Drawing the next token, so that a rollout is the same whatever shares its batch.

Every rollout has its own stream of uniforms, seeded by what it is (run seed, step, decision point, k), and a token is
drawn from its distribution by inverting the cumulative probabilities at the stream's next uniform.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

#: Tokens of a block whose sum is taken before anything is accumulated.
_BLOCK = 256


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. ``temperature`` 0 means greedy."""

    temperature: float = 0.0
    top_p: float = 1.0

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken and no uniforms are needed."""
        return self.temperature == 0.0


def rollout_uniforms(key: tuple[int | str, ...], length: int) -> np.ndarray:
    """The uniforms of one rollout, ``(length,)`` float64 in [0, 1): a function of ``key`` alone."""
    digest = hashlib.blake2b("\x1f".join(str(part) for part in key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little"))).random(length)


def choose(
    logits: torch.Tensor, sampling: Sampling, uniforms: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Next tokens and their log-probabilities.

    Args:
        logits: ``(rows, vocabulary)``.
        sampling: Temperature and nucleus.
        uniforms: ``(rows,)`` in [0, 1); not needed when greedy.

    Returns:
        Token ids ``(rows,)`` and log-probabilities ``(rows,)`` at the sampling temperature, before the nucleus cut, as
        TRL scores them.
    """
    scores = logits.float()
    if sampling.temperature not in (0.0, 1.0):
        scores = scores / sampling.temperature
    top = scores.amax(dim=-1, keepdim=True)
    weights = (scores - top).exp_()
    total = weights.sum(dim=-1)
    if sampling.greedy or uniforms is None:
        return _first_highest(scores), -total.log()
    if sampling.top_p < 1.0:
        weights = nucleus(weights / total.unsqueeze(-1), sampling.top_p)
    chosen = _invert(weights, uniforms.double())
    return chosen, _of(scores, chosen) - top.squeeze(-1) - total.log()


def _of(scores: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    return scores.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


def _blocks(values: torch.Tensor, beyond: float) -> torch.Tensor:
    """``(rows, columns)`` as ``(rows, blocks, _BLOCK)``, filled up with ``beyond``."""
    missing = -values.shape[-1] % _BLOCK
    return (F.pad(values, (0, missing), value=beyond) if missing else values).unflatten(-1, (-1, _BLOCK))


def _first_highest(scores: torch.Tensor) -> torch.Tensor:
    """``argmax`` of each row, by blocks: torch's own walks the vocabulary one value at a time."""
    blocks = _blocks(scores, float("-inf"))
    block = blocks.amax(dim=-1).argmax(dim=-1)
    return block * _BLOCK + _rows_of(blocks, block).argmax(dim=-1)


def _rows_of(blocks: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    return blocks[torch.arange(len(block), device=block.device), block]


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Columns at which the cumulative weights ``(rows, columns)`` pass ``uniforms`` of their sum.

    In two levels, so that only the sums of blocks and one block a row are accumulated in float64.
    """
    blocks = _blocks(weights, 0.0)
    sums = blocks.sum(dim=-1).double()
    cumulative = sums.cumsum(dim=-1)
    target = uniforms * cumulative[:, -1]
    block = _passing(cumulative, target)
    before = _of(cumulative, block) - _of(sums, block)
    inside = _rows_of(blocks, block).double().cumsum(dim=-1)
    return block * _BLOCK + _passing(inside, target - before)


def _passing(cumulative: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """First column above ``target`` ``(rows,)``; where rounding leaves none, the last one that weighs anything."""
    found = torch.searchsorted(cumulative, target.unsqueeze(-1), right=True)
    last = torch.searchsorted(cumulative, cumulative[:, -1:].contiguous())
    return torch.minimum(found, last).squeeze(-1)


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities ``(rows, vocabulary)`` with those outside the smallest set of mass ``top_p`` set to zero."""
    if top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(dim=-1, descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= top_p
    return probabilities.masked_fill(outside.gather(-1, order.argsort(dim=-1)), 0.0)
