"""Ingestion as a task: a source's files become a dataset version, unless that version is already published."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data import paths
from data.reporting import Reporter
from data.settings import RewardWeights, Settings
from data.versions import DatasetVersion
from tasks import locks, records
from tasks.reporting import reporting
from tasks.showing import leave

if TYPE_CHECKING:
    from data.ingest import IngestReport

#: Share of a kind of turn whose gold may miss the full reward before it is a fault of data, mapping or reward.
GOLD_LIMIT = 0.02


@task(name="ingest", cache_policy=NO_CACHE)
def ingest_source(settings: Settings, pipeline_run_id: str | None = None) -> str:
    """Dataset version of the source that the settings name; says how much is in it and what was rejected.

    Raises:
        SourceError: The source's path is missing or holds something else.
        WarehouseBusy: Another process holds the warehouse.
        Busy: Another ingestion is running.
    """
    from rich.console import Console

    from data.ingest import ingest
    from tasks.ingest_table import ingest_table

    with locks.hold("ingest", "ingest"), reporting("ingest") as reporter:
        report = ingest(settings.data, reporter)
        check_gold(report.dataset_version, settings.grpo.weights, reporter)
    Console().print(ingest_table(report))
    leave("ingest", _as_text(report), rows=_rows(report), description=f"dataset {report.dataset_version}")
    return report.dataset_version


def _as_text(report: IngestReport) -> str:
    conversations, points = sum(report.conversations.values()), sum(report.decision_points.values())
    rejected = sum(report.quarantined.values())
    how = "unchanged since its last ingestion" if report.reused else "new"
    return (
        f"Dataset `{report.dataset_version}` of source **{report.source}**, {how}: {conversations:,} conversations, "
        f"{points:,} decision points, {rejected:,} records in quarantine."
    )


def _rows(report: IngestReport) -> list[dict[str, Any]]:
    splits = [
        {"what": split, "conversations": number, "decision points": report.decision_points.get(split, 0)}
        for split, number in report.conversations.items()
    ]
    return splits + [
        {"what": f"quarantined: {reason}", "conversations": number, "decision points": None}
        for reason, number in report.quarantined.items()
    ]


def check_gold(version: str, weights: RewardWeights, reporter: Reporter) -> None:
    """List every decision point, of all splits, whose recorded action misses the full reward; once per version.

    They stay in SFT and evaluation and are barred from GRPO. More than ``GOLD_LIMIT`` of a kind of turn means that
    data, mapping or reward is at fault, and is said aloud.
    """
    from data.files import write_whole
    from data.snapshot import iterate_decision_points
    from models.rewards.gold import audit
    from models.rewards.variants import load_reward

    file = paths.gold_failures(version)
    if file.exists():
        return
    reporter.phase("checking gold rewards", unit="decision points")
    report = audit(iterate_decision_points(version), load_reward("graded", weights))
    listed = (*report.failures, *report.unjudged)
    rows = [json.dumps(asdict(failure), ensure_ascii=False) for failure in listed]
    write_whole(file, "".join(f"{row}\n" for row in rows))
    told = [f"{report.failed[kind]} of {count:,} {kind} turns" for kind, count in sorted(report.checked.items())]
    reporter.say(f"gold misses the full reward on {', '.join(told)}; listed in {file.name}, barred from GRPO")
    if report.unjudged:
        reporter.say(
            f"{len(report.unjudged):,} more answers that nobody annotated are beyond the reward (docs/data.md): "
            "learned from in SFT, listed and barred from GRPO too"
        )
    if report.open:
        reporter.say(
            f"of {report.derived:,} answers that nobody annotated {report.open:,} have neither a value to tell nor a "
            'question to ask: "right" only means there that the model answers and does not call'
        )
    for kind in report.checked:
        if report.failed_share(kind) > GOLD_LIMIT:
            share = f"{report.failed_share(kind):.1%}"
            reporter.say(f"WARNING: {share} of gold {kind} turns miss the full reward; see {file} for the reasons")


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


def trainable(version: str | None, source: str | None = None) -> str:
    """Like ``dataset``, for training: where none is named the newest that may be trained on.

    Raises:
        MissingUpstream: There is none, or the one named holds nothing to train on.
    """
    from data import snapshot

    if version is None and source is None:
        fitting = [found.version for found in snapshot.published() if _train_conversations(found)]
        return fitting[-1] if fitting else dataset(None)
    chosen = dataset(version, source)
    require_trainable(chosen)
    return chosen


def require_trainable(version: str) -> None:
    """Refuse a dataset without a train split, such as that of a source for evaluation only.

    Raises:
        MissingUpstream: It has none; the message says what to do.
    """
    from data import snapshot

    found = next((found for found in snapshot.published() if found.version == version), None)
    if found is not None and not _train_conversations(found):
        raise records.MissingUpstream(
            f"dataset {version} of source {found.source} has no train split: it is for evaluation only "
            f"(`apprentice evaluate --on {found.source}`); train on another with --source or --dataset"
        )


def _train_conversations(version: DatasetVersion) -> int:
    return version.counts.get("conversations", {}).get("train", 0)
