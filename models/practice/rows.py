"""A played episode as a stored row: what was said by whom, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from data.practice.episode import Episode
from data.schema import Message
from models.practice.outcome import Outcome
from models.practice.play import PlayedEpisode
from models.practice.transcript import Turn


def episode_row(played: PlayedEpisode, episode: Episode, outcome: Outcome, head: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of ``data.episodes`` that follow from an episode, beside those of ``head``."""
    return {
        "task_id": episode.task.id,
        "domain": episode.task.domain.name,
        "success": outcome.success,
        "state_right": outcome.state_right,
        "facts": outcome.facts,
        "breaches": list(outcome.breaches),
        "milestones": outcome.milestones,
        "ended": outcome.ended,
        "failed_turn": outcome.failure and outcome.failure.turn,
        "cause": outcome.failure and outcome.failure.cause,
        "turns": outcome.turns,
        "calls": outcome.calls,
        "call_errors": outcome.call_errors,
        "completion_tokens": sum(turn.tokens for turn in played.transcript.turns),
        "messages": messages(episode.messages, played.transcript.turns),
        **head,
    }


def messages(said: list[Message], turns: list[Turn]) -> list[dict[str, Any]]:
    """The messages as stored; the assistant's with their reasoning and what was wrong with them."""
    own = iter(turns)
    return [_own(message, next(own)) if message.role == "assistant" else _outside(message) for message in said]


def _outside(message: Message) -> dict[str, Any]:
    nothing = {"reasoning": None, "calls": None, "tokens": 0, "fault": None}
    return {"role": message.role, "content": message.content, **nothing}


def _own(message: Message, turn: Turn) -> dict[str, Any]:
    """What could not be understood is kept as it was written."""
    parsed = turn.parsed
    fault = "truncated" if turn.cut else None if parsed.ok else str(parsed.status)
    calls = [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
    return {
        "role": "assistant",
        "content": parsed.raw if parsed.lost_call else parsed.answer,
        "reasoning": parsed.reasoning,
        "calls": json.dumps(calls, ensure_ascii=False) if calls and not parsed.lost_call else None,
        "tokens": turn.tokens,
        "fault": fault,
    }
