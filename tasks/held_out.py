"""Whether a model that goes on with another dataset has read what that dataset holds out.

A model is judged on the validation and test splits of the dataset it learned from last. Splits are decided by what a
conversation says, so versions of one source agree on them; other settings or another source need not.
"""

from __future__ import annotations

from collections.abc import Sequence

from data import snapshot
from data.content import content_hash, words_of
from data.schema import TEST_SPLITS, VALIDATION_SPLITS, Split
from tasks import records
from tasks.records import Record


class ReadBefore(Exception):
    """A model would be judged on what it has learned from; the message names the datasets and the conversations."""


def require_unread(start: Record, version: str, thoughts: str | None = None) -> None:
    """Refuse a training whose model would be judged on what it learns, or what its start or that one's start has.

    Going on with its own dataset asks nothing of what was learned before: where that had another, it was asked then.

    Args:
        start: The model the training starts from.
        version: What it learns from, and what it is judged on.
        thoughts: Dataset whose thoughts it learns instead of that one's (``prime.rationales``).

    Raises:
        ReadBefore: A conversation was or would be read that ``version`` holds out; or a dataset of the past is gone, so
            that nobody can tell.
    """
    before = {} if version == start.dataset_version else _read_by(start)
    readers = {
        read: f"run {run_id}, on which this training builds, has learned from"
        for read, run_id in before.items()
        if read != version
    }
    if thoughts is not None and thoughts != version:
        readers[thoughts] = "this training would learn the thoughts (prime.rationales) of"
    if not readers:
        return
    held_out = _contents(version, [*VALIDATION_SPLITS, *TEST_SPLITS])
    for read, who in sorted(readers.items()):
        if not snapshot.exists(read):
            raise ReadBefore(
                f"{who} dataset {read}, which is not here: whether it has what {version} holds out cannot be told. "
                "Take one whose datasets are here "
                '(`apprentice query "SELECT version, source FROM dataset_versions"` lists them)'
            )
        common = sorted(held_out[key] for key in held_out.keys() & _contents(read, ["train"]).keys())
        if common:
            raise ReadBefore(
                f"{who} dataset {read}, whose train split has {len(common)} conversations (such as {common[0]}) that "
                f"dataset {version} holds out for judging. Ingest both with the same settings of splits, or take "
                "another model or dataset to learn from"
            )


def chosen_on(record: Record) -> set[str]:
    """Conversations by which weights of a model, or of one it came from, were chosen: it is at its best on them. Of
    runs from before validations were stored nothing is known."""
    from data.validations import read_validations

    known = {one.run_id: one for one in records.every(*records.EVERY_MODEL)}
    found: set[str] = set()
    at: Record | None = record
    while at is not None:
        found |= {str(name).rpartition("#")[0] for name in read_validations(at.run_id)["decision_point_id"]}
        at = known.get(at.start_run_id or "")
    return found


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
    """What is said in the conversations of the splits (a hash) → the id of one that does. Not which tools are called:
    where a dataset has them under other names (``data.rename_tools``) it is the same conversation all the same."""
    said = ((words_of(one), one.id) for one in snapshot.read_conversations(version, splits=splits))
    return {content_hash(words): name for words, name in said if words}
