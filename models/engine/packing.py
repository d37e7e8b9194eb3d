"""Scoring the completions of one prompt together: the prompt is computed once, not once per completion.

The rows of a GRPO group differ only after their common prompt. They are packed into one row, the prompt followed by
all completions, with positions that restart at the prompt's end and a mask that lets each completion see the prompt
and itself (the idea of Prefix Grouper, arXiv 2506.05433). Each branch repeats the prompt's last token, because the
first token of every completion is predicted from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Packed:
    """One packed row.

    ``input_ids``, ``position_ids`` and ``labels`` are ``(1, tokens)``; ``labels[0, t]`` is the token predicted *at*
    position t (no shift), -100 on the prompt. ``visible`` is ``(1, 1, tokens, tokens)`` boolean. ``slices[r]`` is where
    row r's branch lies.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    labels: torch.Tensor
    visible: torch.Tensor
    slices: list[slice]


def group_by_prompt(input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_width: int) -> list[list[int]]:
    """Indices of rows with the same prompt, groups in order of their first row.

    Args:
        input_ids: ``(rows, prompt + completion_width)``, prompts padded on the left.
        attention_mask: Same shape, 1 on tokens that are no padding.
        completion_width: Width of the completion part.
    """
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, (ids, mask) in enumerate(zip(input_ids, attention_mask.bool(), strict=True)):
        prompt = ids[:-completion_width][mask[:-completion_width]]
        groups.setdefault(tuple(prompt.tolist()), []).append(row)
    return list(groups.values())


def pack(input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_width: int) -> Packed:
    """Pack rows that share one prompt (see ``group_by_prompt`` for the arguments)."""
    mask = attention_mask.bool()
    prompt = input_ids[0, :-completion_width][mask[0, :-completion_width]]
    trunk = prompt[:-1]
    lengths = mask[:, -completion_width:].sum(dim=1).tolist()
    branches = [
        torch.cat([prompt[-1:], row[-completion_width:][:length]])[:length]
        for row, length in zip(input_ids, lengths, strict=True)
    ]
    labels = [row[-completion_width:][:length] for row, length in zip(input_ids, lengths, strict=True)]
    start = len(trunk)
    device = input_ids.device
    owner = torch.cat([torch.full((length,), number, device=device) for number, length in enumerate(lengths)])
    positions = torch.cat([torch.arange(start, start + length, device=device) for length in lengths])
    ends = torch.tensor(lengths).cumsum(0).tolist()
    return Packed(
        input_ids=torch.cat([trunk, *branches]).unsqueeze(0),
        position_ids=torch.cat([torch.arange(start, device=device), positions]).unsqueeze(0),
        labels=torch.cat([torch.full_like(trunk, -100), *labels]).unsqueeze(0),
        visible=_visible(start, owner),
        slices=[slice(start + end - length, start + end) for end, length in zip(ends, lengths, strict=True)],
    )


def _visible(trunk: int, owner: torch.Tensor) -> torch.Tensor:
    """Causal, and a branch sees the trunk and itself but no other branch."""
    total = trunk + len(owner)
    causal = torch.ones(total, total, dtype=torch.bool, device=owner.device).tril()
    causal[trunk:, trunk:] &= owner.unsqueeze(0) == owner.unsqueeze(1)
    return causal.view(1, 1, total, total)


def unpack(values: torch.Tensor, packed: Packed, completion_width: int) -> torch.Tensor:
    """Per-token values ``(1, tokens)`` of the packed row as ``(rows, completion_width)``, zero on padding."""
    rows = [
        torch.nn.functional.pad(values[0, part], (0, completion_width - (part.stop - part.start)))
        for part in packed.slices
    ]
    return torch.stack(rows)
