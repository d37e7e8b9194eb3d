"""The whole job as one parent run: opened or resumed, and ended with its results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data.settings import Settings
from models import tracking
from tasks import episode_results, locks, records, results, showing
from tasks.selection import Selection
from tasks.stage import Upstream, Work, bury_the_dead, cut_short, now, say, tracked, unfinished_at
from tasks.weekly.report import write_report


def open_tracking() -> None:
    """Load MLflow and open a store of this machine ahead of time: every whole job needs both."""
    tracking.store.open_early()


@contextmanager
def parent_run(settings: Settings, selection: Selection) -> Iterator[str]:
    """MLflow run id of the whole; one that was cut short is resumed, a finished one is followed by a new one."""
    facts = settings.model_dump(mode="json")
    if not selection.whole:
        facts["stages"] = list(selection.stages)
    address = records.address("pipeline", code="", settings=facts)
    name = f"pipeline-{address.key}"
    with locks.hold(name, "run"):
        bury_the_dead(except_for=address, held=name)
        work: Work | None = None
        try:
            with tracked(address, unfinished_at(address, force=False), settings.profile, Upstream(), {}) as work:
                work.record.lock = name
                records.save(work.record)
                yield work.record.run_id
        except BaseException as error:
            if work is not None:
                records.save(work.record.model_copy(update=cut_short(error)))
            raise
        records.save(work.record.model_copy(update={"status": "done", "ended": now()}))


@task(name="results", cache_policy=NO_CACHE)
def show_results(evaluation_ids: Sequence[str], dataset_version: str, pipeline_run_id: str) -> None:
    """Print the table, say where to look next, and leave it in Prefect and in the parent run."""
    lines = results.print_results(evaluation_ids)
    episodes = episode_results.print_episodes(evaluation_ids)
    parts = [results.markdown_table(lines), episode_results.episode_markdown(episodes), results.caution(lines)]
    text = "\n\n".join(part for part in parts if part)
    showing.leave("results", text, run_id=pipeline_run_id, description=f"dataset {dataset_version}")
    _describe(pipeline_run_id, text, lines, dataset_version)
    showing.log_side_by_side(pipeline_run_id, evaluation_ids)
    _report(pipeline_run_id)
    say(where_to_look())


def _report(run_id: str) -> None:
    """The week on one page, under ``var/reports`` and with the parent run; it tells of judgements on validation."""
    try:
        file = write_report()
    except records.MissingUpstream as error:  # a run that judged on test alone: its results stand above
        say(f"report: left out, it tells of judgements on validation ({error})")
        return
    tracking.StageRun(run_id, say).log_text(file.read_text(encoding="utf-8"), "report.html")
    say(f"report: {file}")


def _describe(run_id: str, text: str, lines: Sequence[results.Line], dataset_version: str) -> None:
    run = tracking.StageRun(run_id, say)
    tags: dict[str, Any] = {"mlflow.note.content": text, "dataset_version": dataset_version}
    run.tag(tags | {f"run.{line.model}": line.run_id for line in lines})
    values = {
        f"{line.model}/{line.where}/{metric}": interval.mean
        for line in lines
        for metric, interval in line.intervals.items()
        if interval.n
    }
    run.log_results(values, 0)


def where_to_look() -> str:
    """Commands that show more."""
    return """
Curves and comparisons:  apprentice ui
What went wrong:         apprentice query "SELECT stage, tool, count(*) AS wrong FROM evaluations
                           WHERE NOT turn_success GROUP BY ALL ORDER BY wrong DESC LIMIT 10"
What it thought:         apprentice query "SELECT text, reward FROM rollouts ORDER BY reward DESC LIMIT 5"
A whole conversation:    apprentice query "SELECT episode_id, stage, domain, cause FROM episodes LIMIT 10"
                           apprentice show EPISODE
"""
