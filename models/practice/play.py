"""Plays an agent model through many episodes at once, each turn continuing its own history.

All episodes under way write their next message together, in one batch of the shared-trunk engine; then each executes
its calls or hears its user, and goes on. Attempts at one task begin with the same prompt, which is computed once, and
no turn computes again what was computed before it (``models.engine.sessions``). What an attempt samples is a function
of its own key and turn, so it is the same whatever else is played beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from data.schema import Message, ToolCall, ToolSpec
from models.engine.rollout import Request, generate
from models.engine.sampling import Sampling
from models.engine.sessions import Sessions
from models.practice.outcome import UNREADABLE, Ended
from models.practice.transcript import Transcript, Turn, outside_tokens, prompt_tokens


class Stepped(Protocol):
    """What an environment answers to a message."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """Tool results, or the user's reply; none after the last message."""

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""


class Environment(Protocol):
    """An episode as far as playing it needs: ``data.practice.episode.Episode`` is one."""

    @property
    def messages(self) -> list[Message]:
        """The conversation so far, the system's message first."""

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """What is on offer."""

    def step(self, message: Message) -> Stepped:
        """Execute the message's calls, or let the user answer it."""


@dataclass(frozen=True)
class Attempt:
    """One episode to play: ``start`` opens it; ``key`` is what its sampling is a function of.

    Attempts with one ``task_id`` begin with the same prompt and are best given together.
    """

    name: str
    task_id: str
    start: Callable[[], Environment]
    key: tuple[int | str, ...]


@dataclass(frozen=True)
class Playing:
    """How episodes are played."""

    thinking: bool
    sampling: Sampling
    max_new_tokens: int
    """Tokens of one turn."""
    max_length: int
    """Tokens of a whole episode, prompt included."""
    max_turns: int
    """Assistant messages of an episode."""
    max_rows: int = 16
    """Episodes under way at once."""
    keep_reasoning: bool = True
    """Whether earlier turns' reasoning stays in context. False is for evaluation only: what is not in context when a
    turn is written cannot be trained as if it were."""


@dataclass
class PlayedEpisode:
    """An episode that has ended: the environment as it was left, and its tokens.

    The transcript's turns are the assistant's messages of the environment, one by one.
    """

    attempt: Attempt
    environment: Environment
    transcript: Transcript
    ended: Ended


@dataclass
class _Live:
    attempt: Attempt
    environment: Environment
    transcript: Transcript
    ended: Ended | None = None
    calls: int = 0


def play(
    model: Any,
    tokenizer: Any,
    attempts: Sequence[Attempt],
    how: Playing,
    *,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[Turn], None] = lambda turn: None,
) -> Iterator[PlayedEpisode]:
    """Play the attempts; each is given out when it has ended, in no particular order.

    Args:
        model: A decoding copy (``models.engine.rollout.decoder``).
        tokenizer: With our chat template.
        attempts: What to play; a new task begins when all its attempts find room.
        how: Limits and sampling.
        stop: Asked before new attempts begin; those under way are played to their end.
        watch: Told of every turn before the world answers it.
    """
    waiting, live, sessions = deque(attempts), list[_Live](), Sessions()
    while live or waiting:
        if waiting and not stop():
            begun = _next(waiting, how.max_rows - len(live), alone=not live)
            live += [_begin(attempt, tokenizer, how) for attempt in begun]
        if not live:
            return
        _write(model, tokenizer, [one for one in live if one.ended is None], how, sessions, watch)
        for one in live:
            if one.ended is not None:
                sessions.drop(one.attempt.name)
                yield PlayedEpisode(one.attempt, one.environment, one.transcript, one.ended)
        live = [one for one in live if one.ended is None]


def _next(waiting: deque[Attempt], room: int, *, alone: bool) -> list[Attempt]:
    """The next tasks' attempts, as many whole tasks as there is room for; part of one if it is too large even alone."""
    taken: list[Attempt] = []
    while waiting:
        task = waiting[0].task_id
        size = next((n for n, one in enumerate(waiting) if one.task_id != task), len(waiting))
        if len(taken) + size > room:
            if alone and not taken:
                taken = [waiting.popleft() for _ in range(room)]
            break
        taken += [waiting.popleft() for _ in range(size)]
    return taken


def _begin(attempt: Attempt, tokenizer: Any, how: Playing) -> _Live:
    environment = attempt.start()
    prompt = prompt_tokens(tokenizer, environment.messages, environment.tools, thinking=how.thinking)
    live = _Live(attempt, environment, Transcript(tokenizer, how.thinking, environment.tools, prompt))
    live.ended = _limit(live, how)
    return live


def _write(
    model: Any,
    tokenizer: Any,
    live: Sequence[_Live],
    how: Playing,
    sessions: Sessions,
    watch: Callable[[Turn], None],
) -> None:
    """One turn of every episode under way."""
    if not live:
        return
    requests = [
        Request(_prompt(one, tokenizer, how), (*one.attempt.key, len(one.transcript.turns)), one.attempt.name)
        for one in live
    ]
    written = generate(
        model,
        requests,
        end_token=tokenizer.eos_token_id,
        max_new_tokens=how.max_new_tokens,
        sampling=how.sampling,
        max_rows=how.max_rows,
        sessions=sessions,
    )
    for one, generated in zip(live, written, strict=True):
        turn = one.transcript.write(generated)
        watch(turn)
        _go_on(one, turn, tokenizer, how)


def _prompt(one: _Live, tokenizer: Any, how: Playing) -> list[int]:
    if how.keep_reasoning or not how.thinking:
        return one.transcript.so_far
    return prompt_tokens(tokenizer, one.environment.messages, one.environment.tools, thinking=True)


def _go_on(one: _Live, turn: Turn, tokenizer: Any, how: Playing) -> None:
    """Let the world answer a turn, or end the episode. A turn that was cut is heard too, but nothing follows it."""
    message = _said(turn, one.calls)
    one.calls += len(message.tool_calls)
    stepped = one.environment.step(message)
    if turn.cut:
        one.ended = "truncated"
        return
    coming = outside_tokens(tokenizer, stepped.messages, thinking=how.thinking)
    one.ended = "done" if stepped.done else _limit(one, how, len(coming))
    if one.ended is None:
        one.transcript.hear(coming)


def _said(turn: Turn, calls: int) -> Message:
    """The turn as a message: its calls, else what it tells the user; calls are numbered through the episode.

    Nothing of a message is run of which one call cannot be read.
    """
    if turn.parsed.lost_call:
        unreadable = ToolCall(id=f"call_{calls}", name=UNREADABLE, arguments={}, arguments_raw="{}")
        return Message(role="assistant", tool_calls=(unreadable,))
    numbered = [
        ToolCall(id=f"call_{calls + number}", name=one.name, arguments=one.arguments, arguments_raw=one.arguments_raw)
        for number, one in enumerate(turn.parsed.calls)
    ]
    if numbered:
        return Message(role="assistant", tool_calls=tuple(numbered))
    return Message(role="assistant", content=turn.parsed.answer or "")


def _limit(one: _Live, how: Playing, coming: int = 0) -> Ended | None:
    """Why there is no next turn, if there is none; ``coming`` counts the tokens that stand between."""
    if len(one.transcript.turns) >= how.max_turns:
        return "turn_limit"
    return "too_long" if len(one.transcript) + coming + how.max_new_tokens > how.max_length else None
