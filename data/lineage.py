"""From a decision point back to the record it was made of: version, conversation, and the place in the raw files.

Where a raw record lies is the source's to know: one that can tell offers ``locate``. For the others the record id and
the directory have to do.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from data import snapshot
from data.schema import Conversation, Frozen
from data.settings import DataSettings
from data.sources import SourceError, get_source
from data.sources.base import Locating


class NoLineage(ValueError):
    """What was asked for is not stored; the message says what there is."""


class Step(Frozen):
    """One station on the way back."""

    what: str
    """``metric``, ``rollout``, ``evaluation``, ``run``, ``dataset``, ``conversation`` or ``raw record``."""
    name: str
    facts: dict[str, Any]


def dataset_step(version: str) -> Step:
    """What a dataset version was made of.

    Raises:
        NoLineage: Its snapshot is gone.
    """
    try:
        dataset = snapshot.manifest(version)
    except snapshot.SnapshotMissing as error:
        raise NoLineage(f"dataset version {version} is no longer published: {error}") from error
    return Step(
        what="dataset",
        name=version,
        facts={
            "source": dataset.source,
            "path": dataset.settings.get("path"),
            "raw records (hash)": dataset.fingerprint,
            "code (hash)": dataset.code_version,
            "settings": {
                name: value for name, value in dataset.settings.items() if name != "path" and value is not None
            },
            "ingested": dataset.created_at,
        },
    )


def conversation_steps(version: str, conversation_id: str) -> list[Step]:
    """The conversation in this version, and its raw record.

    Raises:
        NoLineage: It is not in the version: never was, or was forgotten.
    """
    conversation = _conversation(version, conversation_id)
    told = {
        "split": conversation.split,
        "domains": list(conversation.domains),
        "messages": len(conversation.messages),
        "tools": [tool.name for tool in conversation.tools],
    }
    return [Step(what="conversation", name=conversation_id, facts=told), raw_step(version, conversation)]


def raw_step(version: str, conversation: Conversation) -> Step:
    """Where the raw record lies now; says so where it cannot be found any more."""
    dataset = snapshot.manifest(version)
    facts: dict[str, Any] = {"source": conversation.source, "path": dataset.settings.get("path")}
    try:
        settings = DataSettings.model_validate(dataset.settings)
        source = get_source(dataset.source)
        place = source.locate(settings, conversation.record_id) if isinstance(source, Locating) else None
    except (SourceError, ValidationError) as error:
        return Step(what="raw record", name=conversation.record_id, facts={**facts, "not found": str(error)})
    if place is not None:
        # Of a redacted dataset the raw record says what was not to be stored or shown: its place has to do.
        facts = {**facts, **place.model_dump(exclude={"record"} if settings.redact else None)}
    return Step(what="raw record", name=conversation.record_id, facts=facts)


def _conversation(version: str, conversation_id: str) -> Conversation:
    import pyarrow.parquet as pq

    file = snapshot.checked_file(version, "conversations.parquet")
    found = pq.read_table(file, columns=["record"], filters=[("conversation_id", "=", conversation_id)])
    if not found.num_rows:
        raise NoLineage(
            f"dataset version {version} holds no conversation {conversation_id!r}; it was forgotten, or the id is wrong"
        )
    return Conversation.model_validate_json(found.column("record")[0].as_py())


def versions_with(conversation_id: str) -> list[str]:
    """Published versions that hold the conversation, oldest first."""
    import pyarrow.parquet as pq

    names = [version.version for version in snapshot.published()]
    condition = [("conversation_id", "=", conversation_id)]
    return [
        name
        for name in names
        if pq.read_table(
            snapshot.checked_file(name, "conversations.parquet"), columns=["split"], filters=condition
        ).num_rows
    ]
