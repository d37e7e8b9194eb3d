"""How every stage is conducted: look for a finished result, take the lock, open or resume its run, keep the record.

The one place where content address, reuse, exclusion, MLflow and the record of a stage meet; the tasks say what is
done, this says that it is done once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data.files import write_whole
from models import tracking
from models.spool import alias
from tasks import locks, records
from tasks.code import remember_files
from tasks.records import Address, Record
from tasks.reporting import PlainReporter, reporting


class Interrupted(KeyboardInterrupt):
    """The stage was told to stop (Ctrl-C, SIGTERM), saved its work, and can be resumed."""


@dataclass(frozen=True)
class Upstream:
    """Where a stage comes from: the run it starts from and the pipeline run it belongs to, if any."""

    start_run_id: str | None = None
    pipeline_run_id: str | None = None


@dataclass
class Work:
    """A stage being executed: its record, its MLflow run, and who to tell."""

    record: Record
    run: tracking.StageRun
    reporter: PlainReporter

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return self.run.directory


def say(text: str) -> None:
    """One line for the person who started the run."""
    print(text, flush=True)


def now() -> str:
    """ISO time in UTC, to the microsecond so that records sort."""
    return datetime.now(UTC).isoformat()


def finished(address: Address, *, quietly: bool = False) -> Record | None:
    """The reusable result at an address: finished, and its model unchanged on disk. Says so."""
    record = records.load(address.stage, address.key)
    if record is None or record.status != "done":
        return None
    good = records.intact(record)
    if good:
        say(f"{address.stage}: reused, run {record.run_id}")
    elif not quietly:
        what = "model" if record.model_dir else "result"
        say(f"{address.stage}: the {what} of run {record.run_id} is gone or was changed; doing it again")
    return record if good else None


def perform(
    address: Address,
    do: Callable[[Work], dict[str, Any]],
    *,
    profile: str,
    upstream: Upstream,
    lock: str | None = None,
    force: bool = False,
    tags: Mapping[str, str] | None = None,
    inside: str | None = None,
    begun: Mapping[str, Any] | None = None,
) -> Record:
    """Reuse the finished result at an address, or do the work once, in a run that ends whatever happens.

    Args:
        address: What the result depends on.
        do: The work; returns the fields of ``Record`` that it knows in the end.
        profile: Name of the profile, for the run's name.
        upstream: Run ids to record.
        lock: Name of the lock to hold; by default one of this address alone.
        force: Do it again, in a new run, although there is a finished or unfinished one.
        tags: More MLflow tags.
        inside: An evaluation belongs to the model it judges: its numbers go into that MLflow run, which stays as it is.
        begun: What the record's outputs say while the work is under way.

    Raises:
        Busy: Another process holds the lock.
        Interrupted: Told to stop; the record says so and the next call goes on in the same run.
    """
    if not force and (done := finished(address)) is not None:
        return done
    name = lock or f"{address.stage}-{address.key}"
    with locks.hold(name, address.stage):
        bury_the_dead(except_for=address, held=name)
        if not force and (done := finished(address, quietly=True)) is not None:
            return done
        unfinished = unfinished_at(address, force)
        work: Work | None = None
        try:
            opened = (
                attached(address, inside, profile, upstream)
                if inside
                else tracked(address, unfinished, profile, upstream, tags or {})
            )
            with opened as work:
                work.record = work.record.model_copy(update={"lock": name, "outputs": dict(begun or {})})
                records.save(work.record)
                _let_removals_end(address.stage)
                remember_files(*address.modules)
                outcome = do(work)
        except BaseException as error:
            if work is not None:
                records.save(work.record.model_copy(update=cut_short(error)))
            raise
        record = Record.model_validate({**work.record.model_dump(), **outcome, "status": "done", "ended": now()})
        records.save(record)
        return record


def _let_removals_end(stage: str) -> None:
    """Begin only where nobody is removing what may be read. The record says by now that this stage is under way, and
    whoever removes looks at records once it holds this lock: one of the two sees the other.

    Raises:
        Busy: A removal is under way.
    """
    with locks.hold(locks.REMOVAL, stage):
        pass


def bury_the_dead(*, except_for: Address, held: str) -> None:
    """End the runs of processes that were killed: they say running, but nobody else holds their lock."""
    for record in records.running():
        same = (record.stage, record.key) == (except_for.stage, except_for.key)
        if same or not (record.lock == held or locks.is_free(record.lock)) or not _left_so(record):
            continue
        records.save(record.model_copy(update={"status": "interrupted", "ended": now()}))
        if record.stage != "evaluation":
            tracking.close_run(record.run_id)


def _left_so(record: Record) -> bool:
    """Whether the record is still as it was read: its process may have come to its end since, and let the lock go."""
    return records.load(record.stage, record.key) == record


def unfinished_at(address: Address, force: bool) -> Record | None:
    """The record of an execution that was cut short; with ``force`` its run is closed instead of resumed."""
    earlier = records.load(address.stage, address.key)
    if earlier is None or earlier.status == "done":
        return None
    if force:
        if earlier.stage != "evaluation":
            tracking.close_run(earlier.run_id)
        return None
    return earlier


def cut_short(error: BaseException) -> dict[str, Any]:
    """How a record says that its work did not end well."""
    return {"status": "failed" if isinstance(error, Exception) else "interrupted", "ended": now()}


@contextmanager
def tracked(
    address: Address, unfinished: Record | None, profile: str, upstream: Upstream, tags: Mapping[str, str]
) -> Iterator[Work]:
    """Open or resume the MLflow run of a stage, with its facts, settings and reporter."""
    facts = {"address": address.key, "profile": profile, **tags}
    if address.dataset_version:
        facts["dataset_version"] = address.dataset_version
    if upstream.start_run_id:
        facts["start_run_id"] = upstream.start_run_id
    with tracking.stage_run(
        address.stage,
        name=" ".join([address.stage, profile, (address.dataset_version or "")[:6]]).strip(),
        run_id=unfinished.run_id if unfinished else begun_without_record(address),
        parent_run_id=upstream.pipeline_run_id,
        tags=facts,
        params=flat(address.settings),
        say=lambda text: say(f"{address.stage}: {text}"),
    ) as run:
        record = _begun(address, run.run_id, profile, upstream, unfinished.started if unfinished else now())
        settings = json.dumps({"stage": address.stage, "profile": profile, **address.settings}, indent=2)
        write_whole(run.directory / "settings.json", settings)
        run.log_text(settings, "settings.json")
        with reporting(address.stage, run, run.directory) as reporter:
            if unfinished:
                reporter.say(f"resuming run {run.run_id} ({unfinished.status})")
            yield Work(record, run, reporter)


def begun_without_record(address: Address) -> str | None:
    """A run that MLflow knows and no record does: its process was killed between the two, or the disk was too full for
    the record. The caller holds the lock."""
    known = {name for record in records.every(address.stage) for name in (record.run_id, alias(record.run_id))}
    left = tracking.left_unfinished(stage=address.stage, address=address.key)
    return next((run_id for run_id in left if run_id not in known), None)


@contextmanager
def attached(address: Address, run_id: str, profile: str, upstream: Upstream) -> Iterator[Work]:
    """Work whose numbers go into an MLflow run that has ended and stays as it ended."""
    run = tracking.StageRun(run_id, lambda text: say(f"{address.stage}: {text}"))
    with reporting(address.stage, run, run.directory) as reporter:
        yield Work(_begun(address, run_id, profile, upstream, now()), run, reporter)


def _begun(address: Address, run_id: str, profile: str, upstream: Upstream, started: str) -> Record:
    return Record(
        stage=address.stage,
        key=address.key,
        status="running",
        run_id=run_id,
        dataset_version=address.dataset_version,
        start_run_id=upstream.start_run_id,
        pipeline_run_id=upstream.pipeline_run_id,
        profile=profile,
        settings=address.settings,
        code=address.code,
        start_sha256=address.start_sha256,
        git_commit=tracking.git_commit(),
        started=started,
    )


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as MLflow params: ``{"weights": {"format": 1}}`` → ``{"weights.format": 1}``."""
    rows: dict[str, Any] = {}
    for key, value in settings.items():
        rows.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return rows
