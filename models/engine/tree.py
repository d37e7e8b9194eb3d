"""Rows of tokens as one prefix tree, packed into a single row: every shared prefix is computed once.

The decision points of a conversation share their history and the completions of a decision point share their prompt,
so most tokens of a GRPO batch are repetitions. Rows are merged by their longest common *token* prefixes, whatever they
stem from, and laid out depth first; a token sees the tokens on its own path and no others (Prefix Grouper, arXiv
2506.05433, does this for one prompt; a tree of any depth is AReaL-DTA's idea, arXiv 2602.00482). Depth first, what a
token may see is two comparisons: ``j <= i < end[j]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

NO_LABEL = -100
Array = TypeVar("Array", np.ndarray, torch.Tensor)


@dataclass(frozen=True)
class Row:
    """A sequence to score: its tokens, of which those from ``start`` on are scored; ``start`` is at least 1."""

    tokens: Sequence[int]
    start: int


@dataclass(frozen=True)
class Tree:
    """Rows merged by their prefixes.

    ``tokens``, ``positions`` (depth on the path) and ``labels`` (the token predicted *at* a position, ``NO_LABEL``
    where none is scored) are ``(packed,)``. ``end[j]`` is where the tokens that may see token j stop. ``scored[r]``
    holds the packed positions at which row r's scored tokens are predicted, in order.
    """

    tokens: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    end: np.ndarray
    scored: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.tokens)


def grow(rows: Sequence[Row], *, own_labels: bool = False) -> Tree:
    """Merge rows into a tree.

    A position predicts one token. Where two scored continuations leave the same token, the second one gets a copy of
    that token to start from: it sees the same path, so it computes the same state.

    Args:
        rows: What to merge.
        own_labels: Whether every row predicts its scored tokens at positions of its own, so that a sum over positions
            counts equal rows as often as they occur. Otherwise equal scored tokens are predicted once.

    Raises:
        ValueError: A row has nothing to predict its first scored token from.
    """
    if any(row.start < 1 or row.start > len(row.tokens) for row in rows):
        raise ValueError("a row's scored part must begin after its first token and within the row")
    tokens: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    total = sum(len(row.tokens) for row in rows) + len(rows)
    labels, end = np.full(total, NO_LABEL), np.zeros(total, dtype=np.int64)
    scored: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(rows)
    path, on_path, size = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0
    for index in sorted(range(len(rows)), key=lambda number: tuple(rows[number].tokens)):
        row, start = np.asarray(rows[index].tokens), rows[index].start
        keep = _branching(on_path, row, start, labels[path], own_labels)
        end[path[keep:]] = size
        path = np.concatenate([path[:keep], np.arange(size, size + len(row) - keep)])
        tokens.append(row[keep:])
        positions.append(np.arange(keep, len(row)))
        size += len(row) - keep
        scored[index] = path[start - 1 : -1] if start < len(row) else path[:0]
        labels[scored[index]] = row[start:]
        on_path = row
    end[path] = size
    return Tree(np.concatenate(tokens), np.concatenate(positions), labels[:size], end[:size], scored)


def _branching(on_path: np.ndarray, row: np.ndarray, start: int, labels: np.ndarray, own_labels: bool) -> int:
    """How much of the current path a row continues: the common prefix, as far as no label stands against the row's."""
    shared = common_prefix(on_path, row)
    due = row[start : shared + 1]
    taken = labels[start - 1 : start - 1 + len(due)]
    against = np.flatnonzero((taken != NO_LABEL) & (own_labels | (taken != due)))
    return start - 1 + int(against[0]) if len(against) else shared


def common_prefix(first: np.ndarray | Sequence[int], second: np.ndarray | Sequence[int]) -> int:
    """Number of leading tokens that two sequences share."""
    length = min(len(first), len(second))
    differing = np.flatnonzero(np.asarray(first[:length]) != np.asarray(second[:length]))
    return int(differing[0]) if len(differing) else length


def sees(query: Array, key: Array, key_end: Array) -> Array:
    """Whether the token at packed position ``query`` may see the one at ``key``; arguments broadcast."""
    return (key <= query) & (query < key_end)


def rows_of(input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_width: int) -> list[Row]:
    """TRL's padded batch as rows whose completions are scored.

    Args:
        input_ids: ``(rows, prompt + completion_width)``, prompts padded on the left, completions on the right.
        attention_mask: Same shape, 1 on tokens that are no padding.
        completion_width: Width of the completion part.
    """
    mask = attention_mask.bool().cpu()
    prompts = mask[:, :-completion_width].sum(dim=1).tolist()
    return [Row(ids[real].tolist(), prompt) for ids, real, prompt in zip(input_ids.cpu(), mask, prompts, strict=True)]


def forest(rows: Sequence[Row], most: int) -> Iterator[tuple[list[int], Tree]]:
    """Trees of at most ``most`` packed tokens, each with the indices of its rows; a larger row stands alone.

    Rows are taken in the order of their tokens, so those with a common prefix meet in one tree.
    """
    members: list[int] = []
    size, before = 0, np.empty(0, dtype=np.int64)
    for index in sorted(range(len(rows)), key=lambda number: tuple(rows[number].tokens)):
        row = np.asarray(rows[index].tokens)
        added = len(row) - common_prefix(before, row) + 1
        if members and size + added > most:
            yield members, grow([rows[member] for member in members])
            members, size, added = [], 0, len(row)
        members.append(index)
        size, before = size + added, row
    if members:
        yield members, grow([rows[member] for member in members])
