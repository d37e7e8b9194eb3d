"""What stages, comparisons, MLflow and "the newest one" refer to, and so must not be collected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from data import paths, snapshot
from data.garbage import Garbage, References, find, free
from data.parquet import DamagedFile
from data.reporting import Reporter
from models.registry import Known, known
from tasks import comparison, records
from tasks.comparison import State
from tasks.forgetting import quiet_house
from tasks.records import Record


def collect(reporter: Reporter, *, really: bool) -> list[Garbage]:
    """What nothing refers to; with ``really`` it is gone when this returns.

    Raises:
        models.registry.TrackingAway: MLflow does not answer, so nobody can say what it refers to.
        Busy: With ``really``, while an ingestion, training or evaluation is under way.
    """
    if not really:
        return find(references(known()))
    with quiet_house("gc"):
        found = find(references(known()))
        free(found, reporter)
    return found


def references(registry: Known) -> References:
    """What must stay: of every run that is not deleted in MLflow, of registered models, of comparisons, and the newest
    of everything.

    A run deleted in MLflow keeps nothing, unless a model of it is registered, it is the newest good one of its stage
    (over all, or on the newest dataset of a source), or another run that stays started from it.
    """
    every = list(records.every(*_stages()))
    kept = {record.run_id for record in every if record.run_id not in registry.deleted}
    kept |= {run.run_id for run in registry.active} | set(registry.models or {})
    latest = {version.source: version.version for version in snapshot.published()}
    kept |= _newest(every, frozenset(latest.values()))
    # An evaluation has the run of the model that it judged, and started from that.
    starts = {record.run_id: record.start_run_id for record in every if record.stage != "evaluation"}
    starts |= {run.run_id: run.start_run_id for run in registry.active}
    waiting = list(kept)
    while waiting:
        start = starts.get(waiting.pop())
        if start and start not in kept:
            kept.add(start)
            waiting.append(start)
    of_kept = [record for record in every if record.run_id in kept]
    versions = {version for record in of_kept for version in (record.dataset_version, *record.learned_from)}
    versions |= {run.dataset_version for run in registry.active}
    versions |= set(latest.values())
    versions |= {version for state in _comparisons() for version in _datasets(state)}
    return References(
        versions=frozenset(version for version in versions if version),
        runs=frozenset(kept),
        resumable=frozenset(
            record.run_id
            for record in every
            if record.run_id in kept and record.status != "done" and record.stage != "evaluation"
        ),
    )


def _newest(every: list[Record], latest: frozenset[str]) -> set[str]:
    """Runs that "the newest" can mean: per stage, over all datasets and on each of the ``latest`` ones."""
    newest: dict[tuple[str, str | None], Record] = {}
    for record in (each for each in every if each.status == "done"):
        for place in ((record.stage, None), (record.stage, record.dataset_version)):
            if place[1] in (None, *latest) and (
                place not in newest or (record.ended or "") >= (newest[place].ended or "")
            ):
                newest[place] = record
    return {record.run_id for record in newest.values()}


def _comparisons() -> Iterator[State]:
    """Comparisons that are under way or finished; the record of one that cannot be read stands in nobody's way."""
    for file in sorted(paths.comparisons().glob("*/state.json")):
        state = None
        with suppress(DamagedFile):
            state = comparison.load(file.parent.name)
        if state is not None:
            yield state


def _datasets(state: State) -> Iterator[str | None]:
    """Dataset versions that a comparison reads, also those of steps that are yet to come."""
    yield from (state.dataset_version, state.practice_version, *state.elsewhere.values())
    for section, name in (("prime", "rationales"), ("evaluation", "dataset")):
        yield state.settings.get(section, {}).get(name)


def _stages() -> list[str]:
    return sorted(path.name for path in paths.stages().glob("*") if path.is_dir())
