"""Cuts a conversation into decision points: each assistant message with all that precedes it.

A greeting before the user has said anything is none: there was nothing to decide.
"""

from __future__ import annotations

from collections.abc import Iterable

from data.schema import Conversation, DecisionPoint, Message


def decision_points(conversation: Conversation) -> list[DecisionPoint]:
    """One decision point per assistant message after the first user message, in order.

    History and tools are shared, not copied.
    """
    points: list[DecisionPoint] = []
    asked = False
    domain = conversation.domains[0] if conversation.domains else conversation.source
    for index, message in enumerate(conversation.messages):
        asked = asked or message.role == "user"
        if message.role != "assistant" or not asked:
            continue
        if message.tool_calls:
            domain = _domain(message, conversation.domains, domain)
        points.append(
            DecisionPoint(
                id=f"{conversation.id}#{index}",
                conversation_id=conversation.id,
                message_index=index,
                source=conversation.source,
                split=conversation.split,
                domain=domain,
                kind="call" if message.tool_calls else "answer",
                tool=message.tool_calls[0].name if message.tool_calls else None,
                tools=conversation.tools,
                history=conversation.messages[:index],
                expected=message,
            )
        )
    return points


def by_conversation(points: Iterable[DecisionPoint]) -> dict[str, list[DecisionPoint]]:
    """Decision points by conversation id; both stand in the order given."""
    conversations: dict[str, list[DecisionPoint]] = {}
    for point in points:
        conversations.setdefault(point.conversation_id, []).append(point)
    return conversations


def _domain(message: Message, domains: tuple[str, ...], otherwise: str) -> str:
    """The domain a call belongs to: the longest whose name opens the tool's (``Hotels_2`` of ``Hotels_2_Find``)."""
    name = message.tool_calls[0].name
    opening = [domain for domain in domains if name == domain or name.startswith(f"{domain}_")]
    return max(opening, key=len, default=otherwise)
