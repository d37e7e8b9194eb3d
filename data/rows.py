"""Conversations, decision points and rejected records as Arrow rows, one function per table of data/sql/schema.sql.

Pure: objects in, ``pyarrow.Table`` out. The ``conversations`` table carries the whole record as JSON beside its
columns, because a snapshot has to give back exactly what was stored; the other tables are there to be asked in SQL.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError

from data.schema import Conversation, DecisionPoint, Message, Quarantined
from data.versions import DatasetVersion

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


class Unstorable(ValueError):
    """A record that cannot be written without loss; says which one and why."""


def check_references(conversations: Sequence[Conversation], points: Sequence[DecisionPoint]) -> None:
    """Make sure that decision points can be rebuilt from references.

    Raises:
        Unstorable: An identifier occurs twice, or a decision point is not a message of one of the conversations with
            all that precedes it.
    """
    known = {conversation.id: conversation for conversation in conversations}
    _refuse_twice("conversation", [conversation.id for conversation in conversations])
    _refuse_twice("decision point", [point.id for point in points])
    for point in points:
        conversation = known.get(point.conversation_id)
        if conversation is None:
            raise Unstorable(f"decision point {point.id!r} names no stored conversation: {point.conversation_id!r}")
        if not _is_part_of(point, conversation):
            raise Unstorable(
                f"decision point {point.id!r} differs from message {point.message_index} of its conversation"
            )


def _refuse_twice(what: str, ids: Sequence[str]) -> None:
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise Unstorable(f"{len(twice)} {what} id(s) occur more than once, for example {twice[0]!r}")


def _is_part_of(point: DecisionPoint, conversation: Conversation) -> bool:
    at = point.message_index
    return (
        0 <= at < len(conversation.messages)
        and point.expected == conversation.messages[at]
        and point.history == conversation.messages[:at]
        and point.tools == conversation.tools
        and (point.source, point.split) == (conversation.source, conversation.split)
    )


def conversation_tables(version: str, conversations: Sequence[Conversation]) -> dict[str, pa.Table]:
    """Tables ``conversations``, ``messages``, ``tools`` and ``calls``.

    Raises:
        Unstorable: A text is not valid Unicode, or a number is not finite: neither survives JSON.
    """
    rows: dict[str, list[Row]] = {"conversations": [], "messages": [], "tools": [], "calls": []}
    for conversation in conversations:
        try:
            rows["conversations"].append(_conversation(conversation))
            rows["messages"] += _messages(conversation)
            rows["tools"] += _tools(conversation)
            rows["calls"] += _calls(conversation)
        except (ValueError, PydanticSerializationError) as error:
            raise Unstorable(
                f"conversation {conversation.id!r} cannot be stored: {error}; quarantine it or mend its source"
            ) from error
    return {name: _table(version, found) for name, found in rows.items()}


def decision_point_table(version: str, points: Sequence[DecisionPoint]) -> pa.Table:
    """Table ``decision_points``: references into conversations plus the columns worth filtering by."""
    return _table(version, [_decision_point(point) for point in points])


def quarantine_table(version: str, quarantined: Iterable[Quarantined]) -> pa.Table:
    """Table ``quarantine``: one row per rejected conversation.

    Text that is not valid Unicode keeps its readable part: a rejected record must never stop an ingestion.
    """
    rows = [{name: _readable(value) for name, value in record.model_dump().items()} for record in quarantined]
    return _table(version, rows)


def version_table(versions: Sequence[DatasetVersion]) -> pa.Table:
    """Table ``dataset_versions``: one row per dataset version, its counts summed up and in full."""
    import pyarrow as pa

    return pa.Table.from_pylist([_version(version) for version in versions])


def _version(version: DatasetVersion) -> Row:
    named = version.model_dump(include={"version", "source", "fingerprint", "code_version", "created_at"})
    totals = {what: version.total(what) for what in ("conversations", "decision_points", "quarantined")}
    return {**named, **totals, "settings": _json(version.settings), "counts": _json(version.counts)}


def _readable(text: str) -> str:
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _conversation(conversation: Conversation) -> Row:
    record = conversation.model_dump_json()
    return {
        "conversation_id": conversation.id,
        "source": conversation.source,
        "record_id": conversation.record_id,
        "split": conversation.split,
        "domains": list(conversation.domains),
        "num_messages": len(conversation.messages),
        "num_tools": len(conversation.tools),
        "num_calls": sum(len(message.tool_calls) for message in conversation.messages),
        "record": record,
        "metadata": _json(conversation.metadata),
    }


def _messages(conversation: Conversation) -> Iterator[Row]:
    for index, message in enumerate(conversation.messages):
        yield {
            "conversation_id": conversation.id,
            "message_index": index,
            "role": message.role,
            "content": message.content,
            "tool_call_id": message.tool_call_id,
            "num_calls": len(message.tool_calls),
            "acts": [str(act) for act in message.acts],
            "requested": list(message.requested),
            "facts": _facts(message),
            "rationale": message.rationale,
        }


def _facts(message: Message) -> str:
    return _json([fact.model_dump(mode="json") for fact in message.facts])


def _tools(conversation: Conversation) -> Iterator[Row]:
    for index, tool in enumerate(conversation.tools):
        yield {
            "conversation_id": conversation.id,
            "tool_index": index,
            "name": tool.name,
            "description": tool.description,
            "parameters": _json(tool.parameters),
            "is_write": tool.is_write,
        }


def _calls(conversation: Conversation) -> Iterator[Row]:
    writes = {tool.name: tool.is_write for tool in conversation.tools}
    for message_index, message in enumerate(conversation.messages):
        for call_index, call in enumerate(message.tool_calls):
            yield {
                "conversation_id": conversation.id,
                "message_index": message_index,
                "call_index": call_index,
                "id": call.id,
                "name": call.name,
                "arguments": _json(call.arguments),
                "arguments_raw": call.arguments_raw,
                "is_write": writes.get(call.name),
                "accepted": _json(call.accepted),
            }


def _decision_point(point: DecisionPoint) -> Row:
    return {
        "decision_point_id": point.id,
        "conversation_id": point.conversation_id,
        "message_index": point.message_index,
        "source": point.source,
        "split": point.split,
        "domain": point.domain,
        "kind": point.kind,
        "tool": point.tool,
        "num_calls": len(point.expected.tool_calls),
        "num_facts": len(point.expected.facts),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _table(version: str, rows: Sequence[Row]) -> pa.Table:
    """Column types are inferred; ``INSERT ... BY NAME`` casts them to those of schema.sql, which is their one home."""
    import pyarrow as pa

    return pa.Table.from_pylist([{"dataset_version": version, **row} for row in rows])
