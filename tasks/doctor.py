"""What is wrong with the house, and the cure: locks, runs whose process is dead, stored data that changed.

Looks only; ``close_dead_runs`` is the one thing it does on request. Every check yields findings and none of them
stops the others: what cannot be looked at is a finding too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from data import paths, snapshot, warehouse
from data.parquet import DamagedFile, shards
from models import tracking
from models.spool import alias
from tasks import locks, machine, records
from tasks.forgetting import quiet_house
from tasks.machine import Finding
from tasks.stage import now

SHORT = 8


def check_up() -> Iterator[Finding]:
    """All findings, one check after the other."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the next one is still wanted
            yield Finding(check.__name__.replace("_", " "), "bad", f"could not be looked at: {error}")


def held_locks() -> Iterator[Finding]:
    """Who is at work."""
    held = [file.stem for file in sorted(paths.locks().glob("*.lock")) if not locks.is_free(file.stem)]
    for name in held:
        note = paths.locks() / f"{name}.json"
        who = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
        told = f"{who['stage']}, process {who['pid']}, since {who['since']}" if who else "a process that left no note"
        yield Finding("locks", "note", f"{name} is held by {told}")
    if not held:
        yield Finding("locks", "good", "nobody is at work")


_BLOCKS = "while nobody is at work, its deployment may start no other until that is closed"


def dead_runs() -> Iterator[Finding]:
    """Runs that say they are running, and whose process is gone."""
    dead = [record for record in records.running() if locks.is_free(record.lock)]
    for record in dead:
        says = f"{record.stage}, run {record.run_id[:SHORT]}…, began {record.started[:16]} and was killed"
        yield Finding("dead runs", "bad", says, "run the same command again to go on, or `apprentice doctor --close`")
    known = {alias(record.run_id) for record in records.running()}
    for run_id in [run for run in tracking.left_running() if run not in known]:
        says = f"MLflow has run {run_id[:SHORT]}… as running, no stage has it"
        yield Finding("dead runs", "bad", says, "`apprentice doctor --close`")
    for _, name, state in flow_runs():
        yield Finding(
            "dead runs", "note", f"Prefect has '{name}' as {state.lower()}; {_BLOCKS}", "`apprentice doctor --close`"
        )
    if not dead:
        yield Finding("dead runs", "good", "no stage is left running")


def flow_runs() -> list[tuple[str, str, str]]:
    """Flow runs that the local Prefect has as under way while nobody holds a lock: ids, names, states."""
    file = paths.prefect_home() / "prefect.db"
    if not file.exists() or any(not locks.is_free(lock.stem) for lock in paths.locks().glob("*.lock")):
        return []
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        asked = "SELECT id, name, state_name FROM flow_run WHERE state_type IN ('RUNNING', 'PENDING', 'CANCELLING')"
        return [(str(number), str(name), str(state)) for number, name, state in connection.execute(asked)]


def close_dead_runs() -> list[str]:
    """End every run that says it is running, after making sure that nobody is at work; returns what was ended.

    The stages can still be resumed: checkpoints stay.

    Raises:
        Busy: Somebody is at work; the message says who.
    """
    zombies = flow_runs()
    with quiet_house("doctor"):
        closed = _close_flow_runs([flow_run_id for flow_run_id, _, _ in zombies])
        for record in records.running():
            records.save(record.model_copy(update={"status": "interrupted", "ended": now()}))
            closed.append(f"{record.stage}, run {record.run_id}")
        for run_id in tracking.left_running():
            tracking.close_run(run_id)
            closed.append(f"MLflow run {run_id}")
        return closed


def _close_flow_runs(ids: list[str]) -> list[str]:
    if not ids:
        return []
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State
    from prefect.states import Crashed

    with get_client(sync_client=True) as client:
        for flow_run_id in ids:
            state: State[Any] = Crashed(message="Its process is gone; closed by apprentice doctor.")
            client.set_flow_run_state(UUID(flow_run_id), state, force=True)
    return [f"Prefect flow run {flow_run_id}" for flow_run_id in ids]


def stored_data() -> Iterator[Finding]:
    """Published snapshots against their manifests, and the warehouse against them."""
    published = snapshot.published()
    for version in published:
        try:
            snapshot.verify(version.version)
        except snapshot.SnapshotError as error:
            yield Finding("snapshots", "bad", str(error), "`apprentice ingest` publishes it anew")
        else:
            yield Finding("snapshots", "good", f"{version.version} of {version.source} is as it was published")
    if not paths.warehouse().exists():
        yield Finding("warehouse", "note", "nothing was ingested yet", "`apprentice ingest`")
        return
    try:
        stored = {version.version for version in warehouse.stored_versions(wait_seconds=1.0)}
    except warehouse.WarehouseBusy as error:
        yield Finding("warehouse", "note", str(error))
        return
    if lost := sorted({version.version for version in published} - stored):
        cure = "`apprentice ingest` with the settings of that version stores it again"
        yield Finding("warehouse", "note", f"lacks the published {', '.join(lost)}", cure)
    else:
        yield Finding("warehouse", "good", f"opens, holds {len(stored)} dataset versions")


def stored_results() -> Iterator[Finding]:
    """Models and evaluations against what their records say, rollouts, validations and episodes by whether they can be
    read."""
    done = [record for record in records.every(*records.EVERY_MODEL, "evaluation") if record.status == "done"]
    changed = [record for record in done if not records.intact(record)]
    for record in changed:
        says = f"the result of {record.stage}, run {record.run_id[:SHORT]}…, is gone or was changed"
        current = records.load(record.stage, record.key) == record
        cure = (
            "the next run notices and makes it again"
            if current
            else f"{records.kept_as(record)} tells of it: move it away"
        )
        yield Finding("results", "bad", says, cure)
    folders = sorted(folder for folder in paths.rollouts().glob("**/") if folder != paths.rollouts())
    torn = [file for folder in folders for file in shards(folder) if not _readable(file)]
    for file in torn:
        yield Finding("results", "bad", f"{file} cannot be read", "move it away; its rows are lost")
    if not changed and not torn:
        yield Finding("results", "good", f"{len(done)} finished stages are as they were left")


def _readable(file: object) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_table(file)  # the footer alone says nothing of the pages
    except (pa.ArrowException, OSError, DamagedFile):
        return False
    return True


def tracking_store() -> Iterator[Finding]:
    """Whether MLflow answers."""
    uri = tracking.store.tracking_uri()
    try:
        tracking.store.ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, MLflow cannot be asked
        cure = "training goes on without it; start it, or unset MLFLOW_TRACKING_URI"
        yield Finding("mlflow", "bad", f"{uri} does not answer ({str(error).strip()[:120]})", cure)
        return
    yield Finding("mlflow", "good", f"{uri} answers")
    for run_id in tracking.deliver_unsent():
        yield Finding("mlflow", "bad", f"it still refuses what it missed of run {run_id}", f"see {paths.run(run_id)}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    machine.environment,
    machine.disk,
    machine.memory,
    machine.arithmetic,
    machine.kernels,
    held_locks,
    tracking_store,
    dead_runs,
    stored_data,
    stored_results,
    machine.registry,
)
