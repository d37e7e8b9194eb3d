"""Tombstones: conversations that were forgotten and must not come back with the next ingestion.

One line of JSON each with the id, the moment, the versions it was in and the pages that quote it, nothing of the
content, so that whoever had seen it can still be named where forgetting was cut short. They do not enter the dataset
version: forgetting rewrites the versions that are there, and ingesting one of them again gives what was rewritten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from data import paths
from data.files import write_whole
from data.schema import Conversation, Quarantined, Split

REASON = "forgotten"


def forgotten_ids() -> dict[str, str]:
    """Id of each forgotten conversation → when it was forgotten (ISO 8601, UTC)."""
    return {row["conversation_id"]: row["at"] for row in _rows()}


def was_in(conversation_id: str) -> dict[str, Split]:
    """Dataset version → split of a forgotten conversation, as its tombstones remember."""
    return {
        version: split
        for row in _rows()
        if row["conversation_id"] == conversation_id
        for version, split in row.get("was_in", {}).items()
    }


def quoted_in(conversation_id: str) -> tuple[str, ...]:
    """Texts under ``var/`` that quoted a forgotten conversation and are still there."""
    named = [name for row in _rows() if row["conversation_id"] == conversation_id for name in row.get("quoted_in", ())]
    return tuple(name for name in named if (paths.var() / name).exists())


def bury(conversation_id: str, splits: Mapping[str, Split], quoted: Sequence[str] = ()) -> bool:
    """Leave a tombstone that says where it was; False if there was one already, which learns of further places."""
    rows = _rows()
    mine = next((row for row in rows if row["conversation_id"] == conversation_id), None)
    if mine is None:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        rows.append({"conversation_id": conversation_id, "at": at, "was_in": dict(splits), "quoted_in": list(quoted)})
    else:
        mine["was_in"] = {**mine.get("was_in", {}), **splits}
        mine["quoted_in"] = list(dict.fromkeys((*mine.get("quoted_in", ()), *quoted)))
    write_whole(paths.forgotten(), "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    return mine is None


def _rows() -> list[dict[str, Any]]:
    file = paths.forgotten()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def without_forgotten(items: Iterable[Conversation | Quarantined]) -> Iterator[Conversation | Quarantined]:
    """The same items; one with a tombstone becomes a quarantined row that says no more than that."""
    ids = forgotten_ids()
    for item in items:
        name = item.id if isinstance(item, Conversation) else f"{item.source}/{item.record_id}"
        if name not in ids and isinstance(item, Quarantined):
            # What was rejected is named by its place, and until 2026-12 places lacked the folder.
            name = f"{item.source}/{item.record_id.rpartition('/')[2]}"
        if name in ids:
            detail = f"apprentice forget, {ids[name][:10]}"
            yield Quarantined(source=item.source, record_id=item.record_id, reason=REASON, detail=detail)
        else:
            yield item
