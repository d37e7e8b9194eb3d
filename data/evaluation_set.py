"""The frozen evaluation set: every conversation a model was ever to be judged by, across sources and versions.

A dataset grows weekly; this list only ever gains. It is what keeps a conversation once in test in test in every later
version, also under another name, what training conversations of any source are compared with, and what lets two models
be judged on the same items although they learned from different versions: ``shared_items``.

Lies under ``var/evaluation_set/``, one Parquet file per source, each written whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from data import paths
from data.content import PERMUTATIONS
from data.files import write_whole
from data.parquet import DamagedFile, damage, hidden_name, shards, sync_directory, sync_file
from data.schema import TEST_SPLITS, VALIDATION_SPLITS, Split

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

JUDGED: frozenset[Split] = frozenset({*VALIDATION_SPLITS, *TEST_SPLITS})


class Frozen(NamedTuple):
    """One conversation of the evaluation set."""

    conversation_id: str
    source: str
    split: Split
    content: str
    """``data.content.content_hash``: what was said."""
    since: str
    """Dataset version that brought it."""
    signature: bytes
    """MinHash, ``PERMUTATIONS`` little-endian 32-bit numbers."""


class SharedItem(NamedTuple):
    """A conversation that several dataset versions hold alike, to the last character of prompt and gold."""

    conversation_id: str
    split: Split
    content: str
    record: str
    """SHA-256 (hex) of the stored record."""


def load() -> list[Frozen]:
    """The whole set, by source and then in the order it grew.

    Raises:
        data.parquet.DamagedFile: A file cannot be read.
    """
    return [Frozen(**row) for file in shards(paths.evaluation_set()) for row in _rows(file)]


def digest(frozen: Iterable[Frozen]) -> str:
    """SHA-256 (hex) of what the set says about training: names, splits and contents, in any order."""
    lines = sorted(f"{item.source}\0{item.conversation_id}\0{item.split}\0{item.content}" for item in frozen)
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def outcome(base: str, frozen: Iterable[Frozen]) -> str | None:
    """The dataset version that ``base`` became under an evaluation set like this, if that is known."""
    try:
        found = json.loads(_outcomes().read_text(encoding="utf-8"))[base]
        return str(found["version"]) if found["evaluation_set"] == digest(frozen) else None
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None  # not known: everything is read again, with the same result


def remember(base: str, version: str) -> None:
    """Keep what ``base`` became under the present evaluation set."""
    try:
        known = dict(json.loads(_outcomes().read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError, ValueError):
        known = {}  # what is lost is read again
    known[base] = {"version": version, "evaluation_set": digest(load())}
    write_whole(_outcomes(), json.dumps(known, indent=1, sort_keys=True) + "\n")


def _outcomes() -> Path:
    return paths.evaluation_set() / "outcomes.json"


def extend(source: str, items: Sequence[Frozen]) -> int:
    """Add the items of one source that the set does not hold yet; returns how many those were.

    An item is known by its name and content: a conversation that says something else now is one more.
    """
    file = paths.evaluation_set() / f"{source}.parquet"
    old = [Frozen(**row) for row in _rows(file)] if file.exists() else []
    known = {(item.conversation_id, item.content) for item in old}
    new = [item for item in items if (item.conversation_id, item.content) not in known]
    if new:
        _write([*old, *new], file)
    return len(new)


def forget(conversation_ids: Collection[str]) -> int:
    """Take conversations out of the set, for good; returns how many rows went."""
    gone = 0
    for file in shards(paths.evaluation_set()):
        items = [Frozen(**row) for row in _rows(file)]
        kept = [item for item in items if item.conversation_id not in conversation_ids]
        if len(kept) < len(items):
            _write(kept, file)
        gone += len(items) - len(kept)
    return gone


def shared_items(versions: Sequence[str], splits: Sequence[Split]) -> list[SharedItem]:
    """Conversations of the evaluation set that every one of these published versions holds in the same wording.

    Models that learned from different versions are comparable on these, item by item. Ordered by id.

    Raises:
        data.snapshot.SnapshotMissing: One of the versions is not published.
        data.snapshot.SnapshotDamaged: It cannot be trusted.
        ValueError: No version, or a split that nobody is judged by.
    """
    if not versions or not splits or not JUDGED.issuperset(splits):
        raise ValueError(f"name at least one version, and splits among {', '.join(sorted(JUDGED))}")
    frozen = {(item.conversation_id, item.content) for item in load()}
    return [item for item in held_alike(versions, splits) if (item.conversation_id, item.content) in frozen]


def held_alike(versions: Sequence[str], splits: Sequence[Split]) -> list[SharedItem]:
    """Conversations that every one of these published versions holds in the same wording, in the same of these splits,
    whether or not the evaluation set knows them. Ordered by id.

    Raises:
        data.snapshot.SnapshotMissing: One of the versions is not published.
        data.snapshot.SnapshotDamaged: It cannot be trusted.
    """
    first, *others = (_records(version, splits) for version in versions)
    return sorted(item for name, item in first.items() if all(other.get(name) == item for other in others))


def _records(version: str, splits: Sequence[Split]) -> dict[str, SharedItem]:
    from data.snapshot import read_conversations

    found = {}
    for conversation in read_conversations(version, splits):
        found[conversation.id] = _shared(conversation)
    return found


def _shared(conversation: Any) -> SharedItem:
    from data.content import content_hash, words_of

    record = hashlib.sha256(conversation.model_dump_json().encode()).hexdigest()
    return SharedItem(conversation.id, conversation.split, content_hash(words_of(conversation)), record)


def signature_matrix(frozen: Sequence[Frozen]) -> NDArray[np.uint32]:
    """Signatures as rows, for ``data.duplicates.near_duplicates``."""
    import numpy as np

    joined = b"".join(item.signature for item in frozen)
    return np.frombuffer(joined, dtype="<u4").astype(np.uint32).reshape(-1, PERMUTATIONS)


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in Frozen._fields if name != "signature"]
    return pa.schema([*texts, ("signature", pa.binary(4 * PERMUTATIONS))])


def _rows(file: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_table(file, schema=_schema()).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{damage(file)} ({error})") from error


def _write(items: Sequence[Frozen], file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    hidden = hidden_name(file)
    pq.write_table(pa.Table.from_pylist([item._asdict() for item in items], schema=_schema()), hidden)
    sync_file(hidden)
    hidden.replace(file)
    sync_directory(file.parent)
