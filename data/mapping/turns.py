"""One message per turn: what a speaker sent in several lines is one turn, as a model would have to say it in one.

Chat logs split turns freely ("One moment." — then the call; two lines in a row). After a user turn or a tool result
exactly one assistant message follows here: texts are joined by a line break, and a text before a call stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

from data.schema import Message


def joined(messages: Iterable[Message]) -> tuple[tuple[Message, ...], int]:
    """The messages with runs of one speaker joined, and how many were joined to the one before."""
    turns: list[Message] = []
    count = 0
    for message in messages:
        before = turns[-1] if turns else None
        if before is not None and _one_turn(before, message):
            turns[-1] = _join(before, message)
            count += 1
        else:
            turns.append(message)
    return tuple(turns), count


def _one_turn(before: Message, message: Message) -> bool:
    """A call ends the turn: what comes after it needs its result."""
    return before.role == message.role and message.role in ("user", "assistant") and not before.tool_calls


def _join(before: Message, message: Message) -> Message:
    content = "\n".join(text for text in (before.content, message.content) if text and text.strip())
    return message.model_copy(
        update={
            "content": content or None,
            "derived": before.derived and message.derived,
            "rationale": " ".join(text for text in (before.rationale, message.rationale) if text) or None,
            "facts": tuple(dict.fromkeys((*before.facts, *message.facts))),
            "acts": tuple(dict.fromkeys((*before.acts, *message.acts))),
            "requested": tuple(dict.fromkeys((*before.requested, *message.requested))),
        }
    )
