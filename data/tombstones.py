"""Tombstones: conversations that were forgotten and must not come back with the next ingestion.

One line of JSON each, append-only, with the id and the moment and nothing of the content. They do not enter the dataset
version: forgetting rewrites the versions that are there, and ingesting one of them again gives what was rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from data import paths
from data.files import write_whole
from data.schema import Conversation, Quarantined

REASON = "forgotten"


def forgotten_ids() -> dict[str, str]:
    """Id of each forgotten conversation → when it was forgotten (ISO 8601, UTC)."""
    file = paths.forgotten()
    if not file.exists():
        return {}
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {row["conversation_id"]: row["at"] for row in rows}


def bury(conversation_id: str) -> bool:
    """Leave a tombstone; False if there was one already."""
    known = forgotten_ids()
    if conversation_id in known:
        return False
    known[conversation_id] = datetime.now(UTC).isoformat(timespec="seconds")
    rows = [json.dumps({"conversation_id": each, "at": at}, ensure_ascii=False) for each, at in known.items()]
    write_whole(paths.forgotten(), "".join(f"{row}\n" for row in rows))
    return True


def without_forgotten(items: Iterable[Conversation | Quarantined]) -> Iterator[Conversation | Quarantined]:
    """The same items; one with a tombstone becomes a quarantined row that says no more than that."""
    ids = forgotten_ids()
    for item in items:
        name = item.id if isinstance(item, Conversation) else f"{item.source}/{item.record_id}"
        if name in ids:
            detail = f"apprentice forget, {ids[name][:10]}"
            yield Quarantined(source=item.source, record_id=item.record_id, reason=REASON, detail=detail)
        else:
            yield item
