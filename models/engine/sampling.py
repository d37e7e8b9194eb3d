"""Drawing the next token, so that a rollout is the same whatever shares its batch.

Every rollout has its own stream of uniforms, seeded by what it is (run seed, step, decision point, k), and a token is
drawn from its distribution by inverting the cumulative probabilities at the stream's next uniform.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch


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
    logits = logits.float()
    if sampling.greedy or uniforms is None:
        logprobs = torch.log_softmax(logits, dim=-1)
        chosen = logprobs.argmax(dim=-1)
        return chosen, logprobs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
    logprobs = torch.log_softmax(logits / sampling.temperature, dim=-1)
    probabilities = nucleus(logprobs.exp(), sampling.top_p)
    cumulative = probabilities.double().cumsum(dim=-1)
    target = uniforms.double().unsqueeze(-1) * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, target, right=True).squeeze(-1).clamp(max=logits.shape[-1] - 1)
    return chosen, logprobs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Probabilities ``(rows, vocabulary)`` with those outside the smallest set of mass ``top_p`` set to zero."""
    if top_p >= 1.0:
        return probabilities
    ordered, order = probabilities.sort(dim=-1, descending=True)
    outside = ordered.cumsum(dim=-1) - ordered >= top_p
    return probabilities.masked_fill(outside.gather(-1, order.argsort(dim=-1)), 0.0)
