"""Rows under way: one token at a time for all of them, over the trunks they hang on (see ``attention``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import torch

from models.engine.lean import next_logits
from models.engine.sampling import Sampling, choose, rollout_uniforms
from models.engine.sessions import Sessions
from models.engine.trunks import Branches, DecodeState, Trunk, side_by_side


@dataclass(frozen=True)
class Request:
    """One completion to be made: the prompt's tokens, and what its random stream is a function of.

    ``session`` names the conversation it belongs to, where its next prompt will continue this one.
    """

    prompt: Sequence[int]
    key: tuple[int | str, ...] = ()
    session: str | None = None


@dataclass
class Generated:
    """Tokens of one completion (the end-of-turn token included, if reached) with their log-probabilities."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


@dataclass
class _Row:
    """A completion under way: ``forced`` prompt tokens come before it, then its own."""

    index: int
    trunk: int
    visible: int
    forced: list[int]
    uniforms: np.ndarray | None
    session: str | None = None
    done: bool = False


@dataclass
class _Batch:
    """The rows being decoded, ordered by trunk, and the token each feeds next."""

    rows: list[_Row]
    trunks: list[Trunk]
    state: DecodeState
    step: int = 0


@dataclass(frozen=True)
class Wanted:
    """What holds for every row: how its tokens are chosen and when it ends."""

    end_token: int
    max_new_tokens: int
    sampling: Sampling
    sessions: Sessions | None = None


Member = tuple[int, int, Trunk]
"""A row to be decoded: the index of its request, how many tokens it sees of its trunk, and the trunk."""


def decode(
    model: Any,
    requests: Sequence[Request],
    members: Sequence[Member],
    results: list[Generated],
    wanted: Wanted,
) -> None:
    """Complete the requests of ``members``, those of a trunk side by side, into ``results``.

    Args:
        model: A decoding copy (``models.engine.rollout.decoder``).
        requests: All requests of the call.
        members: The rows to decode here.
        results: One per request; those of the members are filled.
        wanted: What holds for every row.
    """
    batch = _start(requests, members, wanted)
    while batch.rows:
        logits = _step(model, batch, results)
        _take(batch, logits, results, wanted.sampling)
        _mark_done(batch, results, wanted)
        _leave(batch, requests, results, wanted.sessions)


def _start(requests: Sequence[Request], members: Sequence[Member], wanted: Wanted) -> _Batch:
    trunks = list({id(trunk): trunk for _, _, trunk in members}.values())
    number = {id(trunk): place for place, trunk in enumerate(trunks)}
    rows = [
        _Row(
            index=index,
            trunk=number[id(trunk)],
            visible=visible,
            forced=list(requests[index].prompt[visible:]),
            uniforms=None if wanted.sampling.greedy else rollout_uniforms(requests[index].key, wanted.max_new_tokens),
            session=requests[index].session,
        )
        for index, visible, trunk in members
    ]
    capacity = max(len(row.forced) for row in rows) + wanted.max_new_tokens
    shape = trunks[0].keys[0].shape
    buffers = [
        [trunks[0].keys[0].new_empty(len(rows), shape[0], capacity, shape[2]) for _ in trunks[0].keys] for _ in range(2)
    ]
    state = DecodeState(branches=_branches(rows, trunks), keys=buffers[0], values=buffers[1])
    return _Batch(rows=rows, trunks=trunks, state=state)


def _branches(rows: list[_Row], trunks: list[Trunk]) -> list[Branches]:
    """The rows over their trunks; rows are ordered by trunk, which leaving the batch preserves."""
    return side_by_side(
        [(trunks[number], [row.visible for row in group]) for number, group in groupby(rows, lambda row: row.trunk)]
    )


def _step(model: Any, batch: _Batch, results: list[Generated]) -> torch.Tensor:
    """Feed one token per row; logits ``(rows, vocabulary)`` of the next."""
    feed = [
        row.forced[batch.step] if batch.step < len(row.forced) else results[row.index].ids[-1] for row in batch.rows
    ]
    ids = torch.tensor(feed, device=model.device)
    positions = torch.tensor([row.visible + batch.step for row in batch.rows], device=model.device)
    logits = next_logits(model, ids, positions, batch.state)
    batch.state.length += 1
    batch.step += 1
    return logits


def _take(batch: _Batch, logits: torch.Tensor, results: list[Generated], sampling: Sampling) -> None:
    """Append the next token of every row that has read its whole prompt."""
    ready = [number for number, row in enumerate(batch.rows) if batch.step >= len(row.forced) and not row.done]
    if not ready:
        return
    rows = [batch.rows[number] for number in ready]
    uniforms = None
    if not sampling.greedy:
        drawn = [row.uniforms[len(results[row.index].ids)] for row in rows if row.uniforms is not None]
        uniforms = torch.tensor(drawn, dtype=torch.float64, device=logits.device)
    tokens, logprobs = choose(logits if len(ready) == len(batch.rows) else logits[ready], sampling, uniforms)
    for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
        results[row.index].ids.append(token)
        results[row.index].logprobs.append(logprob)


def _mark_done(batch: _Batch, results: list[Generated], wanted: Wanted) -> None:
    for row in batch.rows:
        ids = results[row.index].ids
        row.done = bool(ids) and (ids[-1] == wanted.end_token or len(ids) >= wanted.max_new_tokens)


def _leave(
    batch: _Batch, requests: Sequence[Request], results: list[Generated], sessions: Sessions | None = None
) -> None:
    """Let finished rows leave, an eighth of the batch at a time: compacting the buffers copies them."""
    staying = [number for number, row in enumerate(batch.rows) if not row.done]
    if staying and len(batch.rows) - len(staying) < len(batch.rows) / 8:
        return
    for number, row in enumerate(batch.rows):
        if row.done and row.session is not None and sessions is not None:
            seen = [*requests[row.index].prompt, *results[row.index].ids[:-1]]  # the last token was never fed
            sessions.keep(row.session, seen, batch.trunks[row.trunk], row.visible, batch.state, number)
    batch.rows = [batch.rows[number] for number in staying]
    if not batch.rows:
        return
    keep = torch.tensor(staying, device=batch.state.keys[0].device)
    length = batch.state.length
    for buffers in (batch.state.keys, batch.state.values):
        for layer, buffer in enumerate(buffers):
            fresh = buffer.new_empty(len(staying), *buffer.shape[1:])
            fresh[:, :, :length] = buffer[keep, :, :length]
            buffers[layer] = fresh
    batch.state.branches = _branches(batch.rows, batch.trunks)
