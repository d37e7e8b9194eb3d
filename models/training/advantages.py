"""Advantages from rewards, by TRL's own formula, apart from its trainer.

``GRPOTrainer._generate_and_score_completions`` (TRL 1.16) computes them between generating and the loss, where nobody
else can call it. Replay needs them without generating and the zero-variance settings before the loss, so the few lines
stand here again, operation for operation in float32: the results are equal bit for bit, which a test holds against the
trainer itself. What TRL does not offer is ``flat_groups``: its share of groups without variance is a batch-wide figure
under ``normalize_then_sum`` (``grpo_trainer.py:2800``) and so always 0 or 1 there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

#: Added to standard deviations by TRL.
EPSILON = 1e-4
#: Rewards closer than this are the same.
SAME = 1e-6

Aggregation = Literal["sum_then_normalize", "normalize_then_sum"]
Scale = Literal["group", "batch", "none"]


@dataclass(frozen=True)
class AdvantageRule:
    """How parts become advantages: weights in the order of the parts, group size, and TRL's two settings.

    ``normalize_then_sum`` is GDPO (arXiv 2601.05242): every part is normalised within its group, the weighted sum
    within the batch; ``scale`` is not used then.
    """

    weights: tuple[float, ...]
    group: int
    scale: Scale = "group"
    aggregation: Aggregation = "sum_then_normalize"


def part_table(parts: Sequence[Sequence[float | None]]) -> torch.Tensor:
    """Parts of each completion as float32 ``(rows, parts)``; a part that does not apply (None) is NaN."""
    return torch.tensor([[float("nan") if x is None else float(x) for x in row] for row in parts], dtype=torch.float32)


def advantages(parts: torch.Tensor, rule: AdvantageRule) -> torch.Tensor:
    """Advantages ``(rows,)`` of one generation batch.

    Args:
        parts: ``part_table`` of the batch, whole groups of ``rule.group`` one after the other.
        rule: How to aggregate and to scale.
    """
    weights = torch.tensor(rule.weights, dtype=torch.float32)
    unscorable = torch.isnan(parts).all(dim=1)
    taken = _sum_first(parts, weights, unscorable, rule)
    if rule.aggregation == "normalize_then_sum":
        taken = _normalise_first(parts, weights, unscorable, rule)
    return torch.nan_to_num(taken, nan=0.0)


def _sum_first(
    parts: torch.Tensor, weights: torch.Tensor, unscorable: torch.Tensor, rule: AdvantageRule
) -> torch.Tensor:
    rewards = _weighted(parts, weights, unscorable)
    grouped = rewards.view(-1, rule.group)
    centred = rewards - torch.nanmean(grouped, dim=1).repeat_interleave(rule.group, dim=0)
    if rule.scale == "none":
        return centred
    spread = _std(rewards) if rule.scale == "batch" else _std(grouped, dim=1).repeat_interleave(rule.group, dim=0)
    return centred / (spread + EPSILON)


def _normalise_first(
    parts: torch.Tensor, weights: torch.Tensor, unscorable: torch.Tensor, rule: AdvantageRule
) -> torch.Tensor:
    grouped = parts.view(-1, rule.group, parts.shape[1])
    normal = (grouped - torch.nanmean(grouped, dim=1, keepdim=True)) / (_std(grouped, dim=1, keepdim=True) + EPSILON)
    rewards = _weighted(normal.view(-1, parts.shape[1]), weights, unscorable)
    return (rewards - torch.nanmean(rewards)) / (_std(rewards) + EPSILON)


def _weighted(parts: torch.Tensor, weights: torch.Tensor, unscorable: torch.Tensor) -> torch.Tensor:
    rewards = (parts * weights.unsqueeze(0)).nansum(dim=1)
    rewards[unscorable] = torch.nan
    return rewards


def _std(values: torch.Tensor, dim: int | None = None, keepdim: bool = False) -> torch.Tensor:
    """Standard deviation over what is not NaN, with Bessel's correction, as ``trl.trainer.utils.nanstd``."""
    mean = torch.nanmean(values, dim=dim, keepdim=True)
    variance = torch.nanmean((values - mean) ** 2, dim=dim, keepdim=True)
    count = torch.sum(~torch.isnan(values), dim=dim, keepdim=True)
    correction = count / (count - 1)
    variance *= torch.where(count > 1, correction, torch.full_like(correction, float("nan")))
    std = torch.sqrt(variance)
    if keepdim:
        return std
    return std.squeeze() if dim is None else std.squeeze(dim)


def flat_groups(parts: torch.Tensor, rule: AdvantageRule) -> list[bool]:
    """Which groups have no variance, so that nothing can be learned from them.

    Summed first, a group is flat if the weighted sums are equal; normalised first, only if each part with a weight is,
    since parts that cancel in the sum still differ when each is normalised by itself.
    """
    weights = torch.tensor(rule.weights, dtype=torch.float32)
    columns = parts[:, weights != 0]
    if rule.aggregation == "sum_then_normalize":
        columns = (parts * weights).nansum(dim=1, keepdim=True)
    grouped = columns.reshape(-1, rule.group, columns.shape[1])
    lowest = torch.nan_to_num(grouped, nan=torch.inf).amin(dim=1)
    highest = torch.nan_to_num(grouped, nan=-torch.inf).amax(dim=1)
    return ((highest - lowest) < SAME).all(dim=1).tolist()
