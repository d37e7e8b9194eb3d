"""Whether a model that goes on with another dataset has read what that dataset holds out.

A model is judged on the validation and test splits of the dataset it learned from last. Splits are decided by what a
conversation says, so versions of one source agree on them; other settings or another source need not.
"""

from __future__ import annotations

from collections.abc import Sequence

from data import snapshot
from data.schema import TEST_SPLITS, VALIDATION_SPLITS, Split
from data.splits import content_key
from tasks import records
from tasks.records import Record


class ReadBefore(Exception):
    """A model would be judged on what it has learned from; the message names the datasets and the conversations."""


def require_unread(start: Record, version: str) -> None:
    """Refuse to train ``start`` on another dataset whose held-out conversations it, or what it came from, has learned.

    Going on with its own dataset asks nothing: where what it came from had another, that was asked then.

    Raises:
        ReadBefore: It has, or a dataset it learned from is gone, so that nobody can tell.
    """
    if version == start.dataset_version:
        return
    held_out: dict[str, str] = {}
    for read, run_id in sorted(_read_by(start).items()):
        if read == version:
            continue
        if not snapshot.exists(read):
            raise ReadBefore(
                f"run {run_id}, which this training starts from, learned from dataset {read}, which is not here any "
                f"more: whether it has read what {version} holds out cannot be told. Start from a model whose datasets "
                'are here (`apprentice query "SELECT version, source FROM dataset_versions"` lists them)'
            )
        held_out = held_out or _contents(version, [*VALIDATION_SPLITS, *TEST_SPLITS])
        common = sorted(held_out[key] for key in held_out.keys() & _contents(read, ["train"]).keys())
        if common:
            raise ReadBefore(
                f"run {run_id} has learned from {len(common)} conversations (such as {common[0]}) that dataset "
                f"{version} holds out for judging: they are in the train split of {read}. Ingest both with the same "
                "settings of splits, or start from a model that has not read them"
            )


def _read_by(start: Record) -> dict[str, str]:
    """Dataset version → a run that learned from it, over the model and all it came from."""
    by_id = {record.run_id: record for record in records.every(*records.EVERY_MODEL) if record.status == "done"}
    found: dict[str, str] = {}
    current: Record | None = start
    while current is not None:
        found |= dict.fromkeys(current.learned_from, current.run_id)
        current = by_id.pop(current.start_run_id or "", None)
    return found


def _contents(version: str, splits: Sequence[Split]) -> dict[str, str]:
    """What the conversations of the splits say (a hash) → the id of one that does."""
    return {content_key(one): one.id for one in snapshot.read_conversations(version, splits=splits)}
