"""Conversations and decision points out of a snapshot, exactly as they were stored."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from data.schema import Conversation, DecisionPoint, Split
from data.snapshot.manifests import checked_file

_POINT_COLUMNS = ["decision_point_id", "conversation_id", "message_index", "domain", "kind", "tool"]
_BATCH = 1000


def read_conversations(version: str, splits: Sequence[Split] | None = None) -> list[Conversation]:
    """Conversations exactly as they were stored, ordered by id.

    Args:
        version: Name of a dataset version.
        splits: Only these; None takes all.

    Raises:
        SnapshotMissing: There is no such snapshot.
        SnapshotDamaged: It cannot be trusted.
    """
    table = _table(version, "conversations", ["record"], splits)
    return [Conversation.model_validate_json(record) for record in table.column("record").to_pylist()]


def read_decision_points(
    version: str, splits: Sequence[Split] | None = None, kind: Literal["call", "answer"] | None = None
) -> list[DecisionPoint]:
    """Decision points exactly as they were stored, ordered by conversation and message.

    The file holds references; history, tools and the expected message come from the conversation and are shared
    between its points. Arguments and errors as for ``read_conversations``; ``kind`` None takes both.
    """
    conversations = {conversation.id: conversation for conversation in read_conversations(version, splits)}
    rows = _table(version, "decision_points", _POINT_COLUMNS, splits).to_pylist()
    return [_rebuild(row, conversations[row["conversation_id"]]) for row in rows if kind in (None, row["kind"])]


def read_points_by_id(version: str, wanted: Collection[str]) -> dict[str, DecisionPoint]:
    """The decision points of these ids that the version has, by id; only their conversations are built.

    Raises as ``read_conversations`` does.
    """
    named = sorted({identifier.rpartition("#")[0] for identifier in wanted})
    records = _table(version, "conversations", ["record"], None, named).column("record").to_pylist()
    conversations = {one.id: one for one in map(Conversation.model_validate_json, records)}
    rows = _table(version, "decision_points", _POINT_COLUMNS, None, named).to_pylist()
    chosen = (row for row in rows if row["decision_point_id"] in wanted)
    return {row["decision_point_id"]: _rebuild(row, conversations[row["conversation_id"]]) for row in chosen}


def iterate_decision_points(version: str) -> Iterator[DecisionPoint]:
    """All decision points in the order of ``read_decision_points``, a few thousand conversations in memory at a time.

    Raises as ``read_conversations`` does.
    """
    import pyarrow.parquet as pq

    rows = _rows_of(checked_file(version, "decision_points.parquet"))
    row = next(rows, None)
    with pq.ParquetFile(checked_file(version, "conversations.parquet")) as file:
        for batch in file.iter_batches(batch_size=_BATCH, columns=["record"]):
            for record in batch.column("record").to_pylist():
                conversation = Conversation.model_validate_json(record)
                while row is not None and row["conversation_id"] == conversation.id:
                    yield _rebuild(row, conversation)
                    row = next(rows, None)


def _rows_of(file: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=_BATCH, columns=_POINT_COLUMNS):
            yield from batch.to_pylist()


def _rebuild(row: dict[str, Any], conversation: Conversation) -> DecisionPoint:
    """``model_construct`` because every part was validated when the conversation was read."""
    at = row["message_index"]
    return DecisionPoint.model_construct(
        id=row["decision_point_id"],
        conversation_id=conversation.id,
        message_index=at,
        source=conversation.source,
        split=conversation.split,
        domain=row["domain"],
        kind=row["kind"],
        tool=row["tool"],
        tools=conversation.tools,
        history=conversation.messages[:at],
        expected=conversation.messages[at],
    )


def _table(
    version: str,
    name: str,
    columns: list[str],
    splits: Sequence[Split] | None,
    conversations: Sequence[str] | None = None,
) -> Any:
    import pyarrow.parquet as pq

    filters: list[tuple[str, str, list[Any]]] | None = None if splits is None else [("split", "in", list(splits))]
    if conversations is not None:
        filters = [*(filters or []), ("conversation_id", "in", list(conversations))]
    if splits is not None and not splits:
        raise ValueError("splits is empty; name at least one split or pass None for all")
    return pq.read_table(checked_file(version, f"{name}.parquet"), columns=columns, filters=filters)
