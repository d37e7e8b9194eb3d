"""Ingestion as a task: a source's files become a dataset version, unless that version is already published."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from data.settings import Settings
from tasks import locks, records
from tasks.reporting import reporting


@task(name="ingest", cache_policy=NO_CACHE)
def ingest_source(settings: Settings, pipeline_run_id: str | None = None) -> str:
    """Dataset version of the source that the settings name; says how much is in it and what was rejected.

    Raises:
        SourceError: The source's path is missing or holds something else.
        WarehouseBusy: Another process holds the warehouse.
        Busy: Another ingestion is running.
    """
    from data.ingest import ingest

    with locks.hold("ingest", "ingest"), reporting("ingest") as reporter:
        report = ingest(settings.data, reporter)
    return report.dataset_version


def dataset(version: str | None, source: str | None = None) -> str:
    """The dataset version to work on: the one given, else the newest published one (of a source, if named).

    Raises:
        MissingUpstream: There is none; the message names the command that makes one.
    """
    from data import snapshot

    if version is not None:
        if not snapshot.exists(version):
            raise records.MissingUpstream(f"no dataset {version}: run `apprentice ingest` or leave the version out")
        return version
    newest = snapshot.latest(source)
    if newest is None:
        of = f" of source {source}" if source else ""
        command = f"apprentice ingest --source {source}" if source else "apprentice ingest"
        raise records.MissingUpstream(f"no dataset{of}: run `{command}` first")
    return newest
