"""Log-probabilities from hidden states on CPUs: TRL's fused LM head with tiles that fit a CPU's caches.

TRL 1.16 (``trl/kernels/chunked_logprob.py``) folds tiles of 4,096 tokens by 32,768 words. Its Triton kernels keep a
tile on chip; where there is no Triton, every step of the fold passes over half a gigabyte of memory, and the products
of the backward run in float32. Here the logits of some thousand tokens are made in one product, in the computing
precision, and folded a few rows at a time, in float32. The gradient takes the logits' place and enters one product each
for hidden states and weights, which sum in float32 and round once, as those of full logits do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

#: Tokens whose logits are held at once, in the computing precision: 200 MB in bf16 for 49,152 words.
TOKENS = 2048
#: Values folded at once, in float32: 3 MB, what the caches of two cores hold with a copy.
_VALUES = 786_432


#: What is computed for each token on request, by TRL's names.
OUTPUTS = frozenset({"log_probs", "entropy", "is_top1"})


class LogProbs(torch.autograd.Function):
    """As TRL's ``ChunkedLogProbFunction`` without soft-capping; the arguments are its own, in its order."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        scale: float,
        outputs: tuple[str, ...],
    ) -> tuple[torch.Tensor | None, ...]:
        """Fold the logits ``scale * (hidden @ weight.T + bias)``.

        Args:
            ctx: Autograd's.
            hidden: ``(tokens, size)``.
            weight: ``(words, size)``.
            bias: ``(words,)`` or None.
            targets: ``(tokens,)`` words.
            scale: Factor on the logits.
            outputs: Whether ``"entropy"`` and ``"is_top1"`` are wanted.

        Returns:
            Log-probabilities of the targets, entropies or None, whether each target is the first highest or None.
        """
        ctx.set_materialize_grads(False)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
        projected, words = hidden.to(dtype), weight.to(dtype)
        log_z, entropy = (torch.empty(len(hidden), dtype=torch.float32) for _ in range(2))
        target = torch.empty(len(hidden), dtype=torch.float32)
        first = torch.zeros(len(hidden), dtype=torch.bool)
        for logits, begin in _products(projected, words, bias):
            for rows, at in _few(logits, begin):
                z = rows.float().mul_(scale)
                target[at] = z.gather(-1, targets[at].unsqueeze(-1)).squeeze(-1)
                top = z.amax(dim=-1, keepdim=True)
                if "is_top1" in outputs:
                    first[at] = _first_highest(z, targets[at], target[at], top.squeeze(-1))
                e = (z - top).exp_()
                total = e.sum(dim=-1)
                log_z[at] = top.squeeze(-1) + total.log()
                if "entropy" in outputs:
                    entropy[at] = log_z[at] - torch.linalg.vecdot(e, z) / total
        ctx.save_for_backward(hidden, weight, bias, targets, log_z, entropy)
        ctx.dtype, ctx.scale = dtype, scale
        ctx.mark_non_differentiable(first)
        return (
            target - log_z,
            entropy if "entropy" in outputs else None,
            first if "is_top1" in outputs else None,
        )

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        """Gradients of hidden states, weights and bias; those that are not needed are None."""
        hidden, weight, bias, targets, log_z, entropy = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        projected, words = hidden.to(ctx.dtype), weight.to(ctx.dtype)
        d_hidden = torch.empty_like(projected) if needs_hidden else None
        d_weight = torch.zeros(weight.shape, dtype=torch.float32) if needs_weight else None
        d_bias = torch.zeros(bias.shape, dtype=torch.float32) if needs_bias else None
        for logits, begin in _products(projected, words, bias):
            for rows, at in _few(logits, begin):
                rows.copy_(_d_logits(rows, at, gradients, targets, log_z, entropy, ctx.scale))
            part = slice(begin, begin + len(logits))
            if d_hidden is not None:
                torch.mm(logits, words, out=d_hidden[part])
            if d_weight is not None:
                d_weight += torch.mm(logits.t(), projected[part])
            if d_bias is not None:
                d_bias += logits.sum(dim=0, dtype=torch.float32)
        return (
            None if d_hidden is None else d_hidden.to(hidden.dtype),
            None if d_weight is None else d_weight.to(weight.dtype),
            None if d_bias is None else d_bias.to(bias.dtype),
            None,
            None,
            None,
        )


def _products(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> Iterator[tuple[torch.Tensor, int]]:
    """Logits of some tokens after the other, in one buffer, and the first of those tokens."""
    buffer = hidden.new_empty(min(TOKENS, len(hidden)), len(weight))
    for begin in range(0, len(hidden), TOKENS):
        part = hidden[begin : begin + TOKENS]
        logits = torch.mm(part, weight.t(), out=buffer[: len(part)])
        yield logits if bias is None else logits.add_(bias.to(logits.dtype)), begin


def _few(logits: torch.Tensor, begin: int) -> Iterator[tuple[torch.Tensor, slice]]:
    """A few rows of ``logits`` after the other, and which of all tokens they are."""
    count = max(1, _VALUES // logits.shape[1])
    for start in range(0, len(logits), count):
        rows = logits[start : start + count]
        yield rows, slice(begin + start, begin + start + len(rows))


def _d_logits(
    rows: torch.Tensor,
    at: slice,
    gradients: tuple[torch.Tensor | None, ...],
    targets: torch.Tensor,
    log_z: torch.Tensor,
    entropy: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Gradient of logits, in float32: ``scale`` times ``g (1[word = target] - p) - g' p (log p + entropy)``."""
    d_logprob, d_entropy = gradients[:2]
    log_p = rows.float().mul_(scale).sub_(log_z[at].unsqueeze(-1))
    spread = None
    if d_entropy is not None:
        factor = (scale * d_entropy[at].float()).unsqueeze(-1)
        spread = (log_p + entropy[at].unsqueeze(-1)).mul_(log_p.exp()).mul_(-factor)
    if d_logprob is None:
        return torch.zeros_like(log_p) if spread is None else spread
    factor = (scale * d_logprob[at].float()).unsqueeze(-1)
    d = log_p.exp_().mul_(-factor).scatter_add_(-1, targets[at].unsqueeze(-1), factor)
    return d if spread is None else d.add_(spread)


def _first_highest(z: torch.Tensor, targets: torch.Tensor, target: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
    """Whether each target is the first of the highest values; only the rows where it is among them are searched."""
    found = target >= top
    rows = found.nonzero().squeeze(-1)
    if len(rows):
        found[rows] = z[rows].argmax(dim=-1) == targets[rows]
    return found
