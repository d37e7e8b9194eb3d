"""Prompts to completions, every shared prefix computed once.

Prompts that share a conversation share a trunk: it is prefilled once, and all completions of all its decision points
are decoded together (see ``attention``). A row stops at the end-of-turn token and leaves the batch. Used for GRPO's
rollouts (through TRL's ``rollout_func``) and, greedily, for evaluation. A conversation that goes on keeps its keys and
values from turn to turn (``sessions``), so a turn costs what is new in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from models.engine.attention import ATTENTION, Branches, DecodeState, Trunk
from models.engine.sampling import Sampling, choose, rollout_uniforms
from models.engine.sessions import Sessions
from models.engine.tree import common_prefix
from models.policy import merged

#: A prompt joins a trunk if no more than this many of its last tokens differ (the opener of a think block, say).
LONGEST_TAIL = 32


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


def decoder(model: Any, dtype: torch.dtype) -> Any:
    """A copy of ``model`` for decoding: in ``dtype``, without gradients, attending over trunks."""
    import copy

    twin = copy.deepcopy(model).to(dtype).eval().requires_grad_(False)
    twin.set_attn_implementation(ATTENTION)
    return twin


def refresh(twin: Any, model: Any) -> None:
    """Copy the current weights of ``model`` (under a LoRA adapter: merged) into its decoding copy."""
    if hasattr(model, "peft_config"):
        with merged(model) as weights:
            twin.load_state_dict(weights)
        return
    with torch.no_grad():
        for target, source in zip(twin.parameters(), model.parameters(), strict=True):
            target.copy_(source)


@torch.inference_mode()
def generate(
    model: Any,
    requests: Sequence[Request],
    *,
    end_token: int,
    max_new_tokens: int,
    sampling: Sampling,
    max_rows: int = 64,
    on_batch: Callable[[int], None] | None = None,
    sessions: Sessions | None = None,
) -> list[Generated]:
    """Complete every request.

    Args:
        model: A causal language model prepared by ``decoder``.
        requests: In any order; those that share a prefix are best given together.
        end_token: Id of the end-of-turn token.
        max_new_tokens: Tokens of a completion at most.
        sampling: Greedy or seeded sampling.
        max_rows: Rows decoded together (whole conversations, unless one alone has more).
        on_batch: Called with the number of requests finished so far.
        sessions: What earlier calls computed of the requests' sessions, and where this one leaves what it computes.

    Returns:
        One ``Generated`` per request, in their order.
    """
    results = [Generated() for _ in requests]
    finished = 0
    for batch in _batches(_chains([list(request.prompt) for request in requests]), max_rows):
        _run(model, requests, batch, results, end_token, max_new_tokens, sampling, sessions)
        finished += sum(len(members) for _, members in batch)
        if on_batch:
            on_batch(finished)
    return results


Chain = tuple[list[int], list[tuple[int, int]]]
"""A trunk's tokens and its members: ``(index of the request, how many trunk tokens it may see)``."""


def _chains(prompts: list[list[int]]) -> list[Chain]:
    """Group prompts by trunk. Longest first, so a trunk is its longest member less that member's last token."""
    chains: list[Chain] = []
    by_start: dict[tuple[int, ...], list[int]] = {}
    for index in sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i)):
        prompt = prompts[index]
        candidates = by_start.setdefault(tuple(prompt[:64]), [])
        home, visible = _longest_shared(chains, candidates, prompt)
        if home is None:
            candidates.append(len(chains))
            chains.append((prompt[:-1], [(index, len(prompt) - 1)]))
        else:
            chains[home][1].append((index, visible))
    return chains


def _longest_shared(chains: list[Chain], candidates: list[int], prompt: list[int]) -> tuple[int | None, int]:
    best, best_shared = None, -1
    for candidate in candidates:
        shared = min(common_prefix(chains[candidate][0], prompt), len(prompt) - 1)
        if len(prompt) - shared <= LONGEST_TAIL and shared > best_shared:
            best, best_shared = candidate, shared
    return best, best_shared


def _batches(chains: list[Chain], max_rows: int) -> Iterator[list[Chain]]:
    batch: list[Chain] = []
    rows = 0
    for chain in chains:
        if batch and rows + len(chain[1]) > max_rows:
            yield batch
            batch, rows = [], 0
        batch.append(chain)
        rows += len(chain[1])
    if batch:
        yield batch


def _run(
    model: Any,
    requests: Sequence[Request],
    chains: list[Chain],
    results: list[Generated],
    end_token: int,
    max_new_tokens: int,
    sampling: Sampling,
    sessions: Sessions | None,
) -> None:
    batch = _start(model, requests, chains, max_new_tokens, sampling, sessions)
    while batch.rows:
        logits = _step(model, batch, results)
        _take(batch, logits, results, sampling)
        _mark_done(batch, results, end_token, max_new_tokens)
        _leave(batch, requests, results, sessions)


def _start(
    model: Any,
    requests: Sequence[Request],
    chains: list[Chain],
    max_new_tokens: int,
    sampling: Sampling,
    sessions: Sessions | None,
) -> _Batch:
    trunks = []
    for tokens, members in chains:
        seen = tokens[: max(visible for _, visible in members)]
        names = [requests[index].session for index, _ in members]
        trunks.append(_prefill(model, seen, None if sessions is None else sessions.known(seen, names)))
    rows = [
        _Row(
            index=index,
            trunk=number,
            visible=visible,
            forced=list(requests[index].prompt[visible:]),
            uniforms=None if sampling.greedy else rollout_uniforms(requests[index].key, max_new_tokens),
            session=requests[index].session,
        )
        for number, (_, members) in enumerate(chains)
        for index, visible in members
    ]
    capacity = max(len(row.forced) for row in rows) + max_new_tokens
    shape = trunks[0].keys[0].shape
    buffers = [
        [trunks[0].keys[0].new_empty(len(rows), shape[0], capacity, shape[2]) for _ in trunks[0].keys] for _ in range(2)
    ]
    state = DecodeState(branches=_branches(rows, trunks), keys=buffers[0], values=buffers[1])
    return _Batch(rows=rows, trunks=trunks, state=state)


def _prefill(model: Any, tokens: list[int], known: Trunk | None = None) -> Trunk:
    """The trunk of these tokens, of which ``known`` holds some first ones; one at least is left to compute."""
    trunk = Trunk() if known is None else known
    begin = len(trunk)
    ids = torch.tensor([tokens[begin:]], device=model.device)
    positions = torch.arange(begin, len(tokens), device=model.device).unsqueeze(0)
    model.base_model(input_ids=ids, position_ids=positions, use_cache=False, trunk=trunk)
    return trunk


def _branches(rows: list[_Row], trunks: list[Trunk]) -> list[Branches]:
    """The rows' trunks as slices; rows are ordered by trunk, which leaving the batch preserves."""
    found: list[Branches] = []
    start = 0
    while start < len(rows):
        stop = start
        while stop < len(rows) and rows[stop].trunk == rows[start].trunk:
            stop += 1
        visible = torch.tensor([row.visible for row in rows[start:stop]])
        longest = int(visible.max())
        hidden = None
        if int(visible.min()) < longest:
            hidden = torch.arange(longest).unsqueeze(0) >= visible.unsqueeze(1)
            hidden = hidden.to(trunks[rows[start].trunk].keys[0].device)
        found.append(Branches(trunks[rows[start].trunk], slice(start, stop), longest, hidden))
        start = stop
    return found


def _step(model: Any, batch: _Batch, results: list[Generated]) -> torch.Tensor:
    """Feed one token per row; logits ``(rows, vocabulary)`` of the next."""
    feed = [
        row.forced[batch.step] if batch.step < len(row.forced) else results[row.index].ids[-1] for row in batch.rows
    ]
    positions = [row.visible + batch.step for row in batch.rows]
    device = model.device
    out = model.base_model(
        input_ids=torch.tensor(feed, device=device).unsqueeze(1),
        position_ids=torch.tensor(positions, device=device).unsqueeze(1),
        use_cache=False,
        decode=batch.state,
    )
    batch.state.length += 1
    batch.step += 1
    return model.get_output_embeddings()(out.last_hidden_state[:, -1])


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
    tokens, logprobs = choose(logits[ready], sampling, uniforms)
    for row, token, logprob in zip(rows, tokens.tolist(), logprobs.tolist(), strict=True):
        results[row.index].ids.append(token)
        results[row.index].logprobs.append(logprob)


def _mark_done(batch: _Batch, results: list[Generated], end_token: int, max_new_tokens: int) -> None:
    for row in batch.rows:
        ids = results[row.index].ids
        row.done = bool(ids) and (ids[-1] == end_token or len(ids) >= max_new_tokens)


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
