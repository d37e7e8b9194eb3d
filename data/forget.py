"""Makes a conversation disappear: tombstone first, then warehouse, snapshots, rollouts, evaluations and their lists.

The tombstone comes first, so a kill in between leaves nothing that could bring the conversation back, and the same
call again finishes the work. Snapshots keep their names (runs refer to them), their manifests get new hashes and
counts. What a model has learned from it is not undone: the caller reports which runs and models had seen it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from data import evaluation_set, paths, snapshot, warehouse
from data.erasing import erase_lines, erase_rows, rows_of
from data.quoting import quoting
from data.reporting import Reporter
from data.schema import Frozen, Split
from data.tombstones import bury, forgotten_ids, quoted_in, was_in
from data.warehouse.removing import versions_holding

#: Below ``var/``: not ours to rewrite (fetched files, other programs' stores) or not about conversations.
_ELSEWHERE = frozenset({"downloads", "base_models", "mlartifacts", "prefect", "locks", "stages", "datasets"})


class UnknownConversation(ValueError):
    """No conversation of this id is stored anywhere; the message says how to find ids."""


class Forgotten(Frozen):
    """What was erased, by place."""

    conversation_id: str
    newly: bool
    """Whether this call left the tombstone; otherwise an earlier one did."""
    warehouse_rows: int = 0
    snapshots: dict[str, Split] = Field(default_factory=dict)
    """Dataset version that this call rewrote → the split it was in there."""
    was_in: dict[str, Split] = Field(default_factory=dict)
    """The same of all versions: also those that an earlier call rewrote, or that only the warehouse held."""
    rollouts: dict[str, int] = Field(default_factory=dict)
    """Run id → rows."""
    evaluations: dict[str, int] = Field(default_factory=dict)
    """Evaluation id → rows."""
    other_files: dict[str, int] = Field(default_factory=dict)
    """Any other file under ``var/`` → rows."""
    quoted: tuple[str, ...] = ()
    """Pages and other texts under ``var/`` that name or quote it, relative to there: they stay."""
    same_record: tuple[str, ...] = ()
    """Stored conversations of other sources with the same record id: perhaps the same words under other names."""


def forget(conversation_id: str, reporter: Reporter) -> Forgotten:
    """Erase a conversation from all rows under ``var/`` and leave a tombstone; safe to call again.

    Pages that quote it are named, not changed. Tables of rollouts and evaluations are read before any is written.

    Nobody may be ingesting, training or evaluating meanwhile: the caller sees to that.

    Raises:
        UnknownConversation: Nothing of that id is stored, and it was not forgotten before.
        data.warehouse.WarehouseBusy: Another process holds the warehouse.
        data.warehouse.WarehouseError, data.snapshot.SnapshotDamaged, data.parquet.DamagedFile: A file cannot be read,
            so it may still hold it.
    """
    snapshot.mend()
    _remove_drafts()
    splits = where(conversation_id)
    others = _same_record(conversation_id)
    files = list(_files())
    held = [file for file in files if file.suffix == ".parquet" and rows_of(file, conversation_id)]
    stored = versions_holding(conversation_id)  # perhaps of a snapshot that somebody removed
    if not (
        splits
        or held
        or stored
        or conversation_id in forgotten_ids()
        or any(_rejected(version.version, conversation_id) for version in snapshot.published())
    ):
        raise UnknownConversation(
            f"no conversation {conversation_id!r} is stored; list ids with "
            '`apprentice query "SELECT conversation_id FROM conversations LIMIT 10"`'
        )
    quoted = quoting(conversation_id, _said(conversation_id, list(splits)))
    newly = bury(conversation_id, {**{name: split for name, split in stored.items() if split}, **splits}, quoted)
    reporter.phase("forgetting", total=len(files), unit="files")
    warehouse_rows = warehouse.forget(conversation_id)
    evaluation_set.forget([conversation_id])
    for version in snapshot.published():
        if version.version in splits or _rejected(version.version, conversation_id):
            _rewrite_snapshot(version.version, conversation_id)
    erased = {}
    for number, file in enumerate(files, start=1):
        if rows := (erase_rows if file.suffix == ".parquet" else erase_lines)(file, conversation_id):
            erased[file.relative_to(paths.var())] = rows
        reporter.update(number)
    return Forgotten(
        conversation_id=conversation_id,
        newly=newly,
        warehouse_rows=warehouse_rows,
        snapshots=splits,
        was_in=was_in(conversation_id),
        quoted=quoted_in(conversation_id),
        rollouts=_by_directory(erased, "rollouts"),
        evaluations=_by_directory(erased, "evaluations"),
        other_files={
            path.as_posix(): rows for path, rows in erased.items() if path.parts[0] not in ("rollouts", "evaluations")
        },
        same_record=others,
    )


def where(conversation_id: str) -> dict[str, Split]:
    """Published dataset versions that hold the conversation → the split it is in there."""
    return {version: split for version, name, split in _stored() if name == conversation_id}


def _said(conversation_id: str, versions: list[str]) -> list[str]:
    """What user and assistant said in it."""
    if not versions:
        return []
    split = where(conversation_id)[versions[-1]]
    for conversation in snapshot.read_conversations(versions[-1], splits=[split]):
        if conversation.id == conversation_id:
            spoken = (message for message in conversation.messages if message.role in ("user", "assistant"))
            return [message.content for message in spoken if message.content]
    return []


def _stored() -> Iterator[tuple[str, str, Split]]:
    """(version, conversation id, split) of every published conversation."""
    import pyarrow.parquet as pq

    for version in snapshot.published():
        file = snapshot.checked_file(version.version, "conversations.parquet")
        table = pq.read_table(file, columns=["conversation_id", "split"])
        for name, split in zip(table["conversation_id"].to_pylist(), table["split"].to_pylist(), strict=True):
            yield version.version, name, split


def _same_record(conversation_id: str) -> tuple[str, ...]:
    record_id = conversation_id.partition("/")[2]
    names = {name for _, name, _ in _stored()} if record_id else set()
    return tuple(sorted(name for name in names if name.endswith(f"/{record_id}") and name != conversation_id))


def _rejected(version: str, conversation_id: str) -> bool:
    return bool(rows_of(paths.dataset(version) / "quarantine.parquet", conversation_id))


def _rewrite_snapshot(version: str, conversation_id: str) -> None:
    with snapshot.rewriting(version) as draft:
        for file in sorted(draft.rglob("*.parquet")):
            erase_rows(file, conversation_id)
        for file in sorted(draft.rglob("*.jsonl")):
            erase_lines(file, conversation_id)


def _files() -> Iterator[Path]:
    """Every file of rows under ``var/`` that a run may have written, snapshots apart."""
    for directory in sorted(path for path in paths.var().iterdir() if path.is_dir() and path.name not in _ELSEWHERE):
        for file in sorted(directory.rglob("*")):
            if file.suffix in (".parquet", ".jsonl") and not file.name.startswith("."):
                yield file


def _remove_drafts() -> None:
    """Unfinished files of killed writers, and what was set aside as damaged or incomplete, may hold anything; nobody
    reads them and nobody is writing now."""
    for ending in (snapshot.DRAFT_SUFFIX, ".damaged", ".incomplete"):
        for unreadable in paths.datasets().glob(f".*{ending}"):
            shutil.rmtree(unreadable)
    for directory in (paths.rollouts(), paths.evaluations()):
        for unreadable in (*directory.rglob(".*.writing"), *directory.rglob(".*.damaged")):
            unreadable.unlink()


def _by_directory(erased: dict[Path, int], room: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for path, rows in erased.items():
        if path.parts[0] == room:
            found[path.parts[1]] = found.get(path.parts[1], 0) + rows
    return found
