"""Rows under way: one token at a time for all of them, over the trunks they hang on (see ``attention``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import torch

from models.engine.chains import Line, Member
from models.engine.lean import next_logits
from models.engine.sampling import Sampling, choose, rollout_uniforms
from models.engine.sessions import Sessions
from models.engine.trunks import DecodeState, Trunk


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
    """A completion under way: ``forced`` prompt tokens come before it, then its own; ``step`` tokens were fed."""

    index: int
    trunk: Trunk
    visible: int
    forced: list[int]
    uniforms: np.ndarray | None
    session: str | None = None
    step: int = 0
    done: bool = False


@dataclass(frozen=True)
class Wanted:
    """What holds for every row: how its tokens are chosen and when it ends."""

    end_token: int
    max_new_tokens: int
    sampling: Sampling
    sessions: Sessions | None = None
    own_tails: Sequence[int] = ()


def decode(
    model: Any,
    requests: Sequence[Request],
    wanted: Wanted,
    max_rows: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[Generated]:
    """Complete every request; whoever is done makes room for who waits.

    Args:
        model: A decoding copy (``models.engine.rollout.decoder``).
        requests: At least one.
        wanted: What holds for every row.
        max_rows: Rows decoded together.
        on_batch: Called with the number of requests completed so far.

    Returns:
        One ``Generated`` per request, in their order.
    """
    results = [Generated() for _ in requests]
    prompts, names = [request.prompt for request in requests], [request.session for request in requests]
    line = Line(model, prompts, names, wanted.own_tails)
    places = _Places(min(max_rows, len(line)), line.longest_tail + wanted.max_new_tokens, mixed=len(line) > max_rows)
    rows: list[_Row] = []
    state: DecodeState | None = None
    while rows or len(line):
        if state is None or _time_to_change(rows, line, max_rows):
            rows, staying = _change(requests, rows, state, line, results, wanted, max_rows)
            state = places.state(rows, staying) if rows else None
            completed = len(requests) - len(line) - len(rows)
            if on_batch and completed:
                on_batch(completed)
            continue
        logits = _step(model, rows, state, results)
        _take(rows, logits, results, wanted.sampling)
        _mark_done(rows, results, wanted)
    return results


def _time_to_change(rows: list[_Row], line: Line, max_rows: int) -> bool:
    """Whether finished rows leave: an eighth of them at a time, since compacting the buffers copies what stays, and a
    quarter of all places where others wait, since those bring their trunks."""
    done = sum(row.done for row in rows)
    if len(line):
        return max_rows - len(rows) + done >= max(1, max_rows // 4)
    return done > 0 and (done == len(rows) or done >= len(rows) / 8)


def _change(
    requests: Sequence[Request],
    rows: list[_Row],
    state: DecodeState | None,
    line: Line,
    results: list[Generated],
    wanted: Wanted,
    max_rows: int,
) -> tuple[list[_Row], list[int]]:
    """Finished rows leave, others take their places: the rows from now on, and where those that stay stood."""
    staying = [number for number, row in enumerate(rows) if not row.done]
    for number, row in enumerate(rows):
        if row.done and row.session is not None and wanted.sessions is not None and state is not None:
            seen = [*requests[row.index].prompt, *results[row.index].ids[:-1]]  # the last token was never fed
            wanted.sessions.keep(row.session, seen, row.trunk, row.visible, state, number)
    line.leave([row.index for row in rows if row.done])
    new = line.admit(max_rows - len(staying), wanted.sessions)
    return [rows[number] for number in staying] + [_row(requests[one[0]], one, wanted) for one in new], staying


def _row(request: Request, member: Member, wanted: Wanted) -> _Row:
    index, visible, trunk = member
    return _Row(
        index=index,
        trunk=trunk,
        visible=visible,
        forced=list(request.prompt[visible:]),
        uniforms=None if wanted.sampling.greedy else rollout_uniforms(request.key, wanted.max_new_tokens),
        session=request.session,
    )


class _Places:
    """Buffers for the rows' own keys and values, made once for a call: whoever leaves leaves a place."""

    def __init__(self, rows: int, capacity: int, *, mixed: bool) -> None:
        self._rows, self._capacity, self._mixed = rows, capacity, mixed
        self._buffers: list[list[torch.Tensor]] = []

    def state(self, rows: list[_Row], staying: list[int]) -> DecodeState:
        """The rows, hung on their trunks; the first of them stood at ``staying`` before."""
        if not self._buffers:
            some, layers = rows[0].trunk.keys[0], len(rows[0].trunk.keys)
            shape = (self._rows, some.shape[0], self._capacity, some.shape[2])
            # Where rows come at different times what a row has not filled is masked, and a mask hides no NaN.
            empty = some.new_zeros if self._mixed else some.new_empty
            self._buffers = [[empty(shape) for _ in range(layers)] for _ in range(2)]
        if staying != list(range(len(staying))):
            self._move_up(torch.tensor(staying), max(row.step for row in rows[: len(staying)]))
        keys, values = ([buffer[: len(rows)] for buffer in kept] for kept in self._buffers)
        return DecodeState(hung=_hung(rows), keys=keys, values=values)

    def _move_up(self, staying: torch.Tensor, length: int) -> None:
        for kept in self._buffers:
            for buffer in kept:
                buffer[: len(staying), :, :length] = buffer[staying.to(buffer.device), :, :length]


def _hung(rows: list[_Row]) -> list[tuple[Trunk, list[int]]]:
    """The rows' trunks and how much of them each row sees; neighbours on one trunk are taken together."""
    groups = [list(group) for _, group in groupby(rows, lambda row: id(row.trunk))]
    return [(group[0].trunk, [row.visible for row in group]) for group in groups]


def _step(model: Any, rows: list[_Row], state: DecodeState, results: list[Generated]) -> torch.Tensor:
    """Feed one token per row; logits ``(rows, vocabulary)`` of the next."""
    feed = [row.forced[row.step] if row.step < len(row.forced) else results[row.index].ids[-1] for row in rows]
    ids = torch.tensor(feed, device=model.device)
    positions = torch.tensor([row.visible + row.step for row in rows], device=model.device)
    state.fill([row.step for row in rows])
    logits = next_logits(model, ids, positions, state)
    capacity = state.keys[0].shape[2]
    for row in rows:
        row.step += row.step + 1 < capacity or not row.done  # one that is done goes on, unread, until it leaves
    return logits


def _take(rows: list[_Row], logits: torch.Tensor, results: list[Generated], sampling: Sampling) -> None:
    """Append the next token of every row that has read its whole prompt."""
    ready = [number for number, row in enumerate(rows) if row.step >= len(row.forced) and not row.done]
    if not ready:
        return
    told = [rows[number] for number in ready]
    uniforms = None
    if not sampling.greedy:
        drawn = [row.uniforms[len(results[row.index].ids)] for row in told if row.uniforms is not None]
        uniforms = torch.tensor(drawn, dtype=torch.float64, device=logits.device)
    tokens, logprobs = choose(logits if len(ready) == len(rows) else logits[ready], sampling, uniforms)
    for row, token, logprob in zip(told, tokens.tolist(), logprobs.tolist(), strict=True):
        results[row.index].ids.append(token)
        results[row.index].logprobs.append(logprob)


def _mark_done(rows: list[_Row], results: list[Generated], wanted: Wanted) -> None:
    for row in rows:
        ids = results[row.index].ids
        row.done = bool(ids) and (ids[-1] == wanted.end_token or len(ids) >= wanted.max_new_tokens)
