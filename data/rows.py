"""Conversations, decision points and rejected records as Arrow rows of the tables of data/sql/schema.sql.

Pure: objects in, ``pyarrow.Table`` out. ``Columns`` collects the rows, and one function per kind of object adds to it.
The ``conversations`` table carries the whole record as JSON beside its columns, because a snapshot has to give back
exactly what was stored; the other tables are there to be asked in SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError

from data.flags import Flag
from data.json_text import parameters_json, to_json
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


class Columns(dict[str, dict[str, list[Any]]]):
    """Values of the tables to come, by table and column: lists instead of one dictionary per row, which costs half.

    The columns are those of the schemas given (see ``data.warehouse.arrow_schemas``); every row must fill each.
    """

    def __init__(self, schemas: Mapping[str, pa.Schema]) -> None:
        super().__init__({table: {name: [] for name in schema.names} for table, schema in schemas.items()})
        self.schemas = schemas

    def add(self, table: str, row: Row) -> None:
        """Append one row; ``dataset_version`` is left to ``tables``.

        Raises:
            KeyError: The row has a column that the table lacks.
        """
        columns = self[table]
        for name, value in row.items():
            columns[name].append(value)

    def tables(self) -> dict[str, pa.Table]:
        """The rows so far as typed tables, empty ones included; the warehouse fills in ``dataset_version``.

        Raises:
            Unstorable: A value has no place in its column's type, such as text that is not Unicode.
        """
        import pyarrow as pa

        found = {}
        for table, columns in self.items():
            schema = self.schemas[table]
            height = max(len(values) for values in columns.values())
            columns["dataset_version"] = [""] * height
            try:
                arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
                found[table] = pa.Table.from_arrays(arrays, schema=schema)
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
                raise Unstorable(f"table {table}: {error}") from error
        return found


def record_of(conversation: Conversation) -> str:
    """A conversation as JSON.

    Raises:
        Unstorable: A text is not valid Unicode, or a value has no JSON form.
    """
    try:
        return conversation.model_dump_json()
    except (PydanticSerializationError, ValueError) as error:
        raise Unstorable(f"conversation {conversation.id!r} cannot be stored: {error}") from error


def add_conversation(columns: Columns, conversation: Conversation, record: str, content: str) -> None:
    """Add a conversation, with its messages, tools and calls.

    Args:
        columns: Where to.
        conversation: What.
        record: Its JSON (``model_dump_json``).
        content: Its ``data.content.content_hash``.

    Raises:
        Unstorable: A text is not valid Unicode, or a number is not finite: neither survives JSON. Nothing is added.
    """
    try:
        rows = {"messages": _messages(conversation), "tools": _tools(conversation), "calls": _calls(conversation)}
        listed = {table: list(some) for table, some in rows.items()}
    except (ValueError, TypeError) as error:
        raise Unstorable(
            f"conversation {conversation.id!r} cannot be stored: {error}; quarantine it or mend its source"
        ) from error
    columns.add("conversations", _conversation(conversation, record, content))
    for table, some in listed.items():
        for row in some:
            columns.add(table, row)


def add_decision_point(columns: Columns, point: DecisionPoint) -> None:
    """Add a decision point: references into conversations plus the columns worth filtering by."""
    columns.add("decision_points", _decision_point(point))


def add_flag(columns: Columns, conversation: Conversation, flag: Flag) -> None:
    """Add one doubt about a message that is kept."""
    columns.add("flags", {"conversation_id": conversation.id, "split": conversation.split, **flag._asdict()})


def add_quarantined(columns: Columns, rejected: Quarantined) -> None:
    """Add one rejected record.

    Text that is not valid Unicode keeps its readable part: a rejected record must never stop an ingestion.
    """
    columns.add("quarantine", {name: readable(value) for name, value in rejected.model_dump().items()})


def version_table(versions: Sequence[DatasetVersion]) -> pa.Table:
    """Table ``dataset_versions``: one row per dataset version, its counts summed up and in full."""
    import pyarrow as pa

    return pa.Table.from_pylist([_version(version) for version in versions])


def _version(version: DatasetVersion) -> Row:
    named = version.model_dump(include={"version", "source", "fingerprint", "code_version", "created_at"})
    totals = {what: version.total(what) for what in ("conversations", "decision_points", "quarantined")}
    return {**named, **totals, "settings": to_json(version.settings), "counts": to_json(version.counts)}


def readable(text: str) -> str:
    """``text`` with what is not valid Unicode written as an escape."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _conversation(conversation: Conversation, record: str, content: str) -> Row:
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
        "metadata": to_json(conversation.metadata),
        "content_hash": content,
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
    if not message.facts:
        return "[]"
    return to_json([{"name": fact.name, "kind": fact.kind, "forms": fact.forms} for fact in message.facts])


def _tools(conversation: Conversation) -> Iterator[Row]:
    for index, tool in enumerate(conversation.tools):
        yield {
            "conversation_id": conversation.id,
            "tool_index": index,
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters_json(tool),
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
                "arguments": to_json(call.arguments),
                "arguments_raw": call.arguments_raw,
                "is_write": writes.get(call.name),
                "accepted": to_json(call.accepted),
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
