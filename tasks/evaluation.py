"""Evaluation as a task: a model's rows, its numbers in its own MLflow run, and a note of every look at the test set."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data import paths
from data.parquet import set_aside_damaged
from data.schema import TEST_SPLITS
from data.settings import Settings
from models import tracking
from tasks import choices, records, showing
from tasks.addresses import evaluation_address, thinks
from tasks.records import Record
from tasks.reporting import duration
from tasks.stage import Interrupted, Upstream, Work, now, perform, say

if TYPE_CHECKING:
    import pandas as pd


class NothingToEvaluate(Exception):
    """The splits hold no decision points; the message says what to do."""


@task(name="evaluate", task_run_name="evaluate {run_id}", cache_policy=NO_CACHE)
def evaluate(settings: Settings, run_id: str, pipeline_run_id: str | None = None, force: bool = False) -> str:
    """Evaluation id of a model on validation, or on test with ``settings.evaluation.final``; resumes what was begun.

    One that is done again, by ``force`` or because its files are not what it left, has an id of its own: nothing of the
    earlier one counts as judged, and none of its time as spent.

    Raises:
        MissingUpstream: The run is unknown, unfinished or damaged.
        Interrupted: Stopped by a signal; rows are kept and the same call goes on.
        NothingToEvaluate: The dataset's splits are empty.
    """
    model = records.of_run(run_id)
    thinking = thinks(settings, model)
    address = evaluation_address(settings, model)
    earlier = records.load(address.stage, address.key)
    evaluation_id = address.key
    if earlier is not None:
        evaluation_id = str(earlier.outputs.get("evaluation_id", evaluation_id))
        if earlier.status == "done" and (force or not records.intact(earlier)):
            _set_aside_unreadable(evaluation_id)
            evaluation_id = f"{address.key}-{now()[:19].replace(':', '')}"
    if settings.evaluation.final:
        # Before a row is seen: an interrupted look is a look, and so is reuse.
        _note_final_use(evaluation_id, model, settings.evaluation.dataset)
    record = perform(
        address,
        lambda work: _evaluate(work, settings, model, thinking, evaluation_id),
        profile=settings.profile,
        upstream=Upstream(start_run_id=model.run_id, pipeline_run_id=pipeline_run_id),
        force=force,
        inside=model.run_id,
        begun={"evaluation_id": evaluation_id},
    )
    evaluation_id = str(record.outputs["evaluation_id"])
    leave_evaluation(evaluation_id, model, thinking)
    return evaluation_id


def _set_aside_unreadable(evaluation_id: str) -> None:
    """Hide files of an earlier evaluation that cannot be read: queries of all evaluations and ``apprentice forget``
    would meet them for ever."""
    if damaged := set_aside_damaged(files_of(evaluation_id)):
        say(f"evaluation: {len(damaged)} files of {evaluation_id} could not be read and are hidden")


def _evaluate(work: Work, settings: Settings, model: Record, thinking: bool, evaluation_id: str) -> dict[str, Any]:
    from models.evaluation.run import evaluate as run_evaluation

    splits = work.record.settings["splits"]
    model_dir, own = model.model_place
    dataset_version = settings.evaluation.dataset or own
    outcome = run_evaluation(
        model_dir,
        run_id=model.run_id,
        stage=model.stage,
        evaluation_id=evaluation_id,
        dataset_version=dataset_version,
        splits=splits,
        thinking=thinking,
        settings=settings,
        reporter=work.reporter,
        alike=own if dataset_version != own else None,
    )
    if outcome.stopped == "interrupted":
        raise Interrupted(
            f"evaluation: stopped after {outcome.rows} of {outcome.planned} decision points, which are kept. "
            "Run the same command again to go on."
        )
    if not outcome.rows:
        raise NothingToEvaluate(
            f"dataset {dataset_version} has no decision points in {', '.join(splits)}, or the budget was too "
            "short for one: ingest more conversations (--conversations) or raise --minutes"
        )
    changed = settings.evaluation.changes is not None
    if not changed and choices.plays_episodes(settings, choices.source_of(dataset_version)):
        _play(work, settings, model, thinking, evaluation_id)
    _publish(work, settings, model, thinking, evaluation_id)
    reached = f"{outcome.rows} of {outcome.planned} decision points in {duration(outcome.seconds)}"
    why = " (its budget)" if outcome.stopped == "budget" else ""
    how = ", ".join(part for part in ("thinking" if thinking else "no thinking", settings.evaluation.changes) if part)
    work.reporter.say(f"{model.stage}, {how}: {reached}{why}")
    reached_rows = {"stopped": outcome.stopped, "rows": outcome.rows, "seconds": outcome.seconds}
    files = records.listed(files_of(evaluation_id))
    return {"outputs": {"evaluation_id": evaluation_id, **reached_rows}, "files": files}


def _play(work: Work, settings: Settings, model: Record, thinking: bool, evaluation_id: str) -> None:
    """Whole episodes beside single turns, on tasks that are the same for every model."""
    from models.practice.evaluation import evaluate_episodes

    model_dir, _ = model.model_place
    outcome = evaluate_episodes(
        model_dir,
        run_id=model.run_id,
        stage=model.stage,
        evaluation_id=evaluation_id,
        splits=work.record.settings["splits"],
        thinking=thinking,
        settings=settings,
        reporter=work.reporter,
    )
    if outcome.stopped == "interrupted":
        raise Interrupted(
            f"evaluation: stopped after {outcome.episodes} of {outcome.planned} episodes, which are kept. "
            "Run the same command again to go on."
        )
    why = " (its budget)" if outcome.stopped == "budget" else ""
    reached = f"{outcome.episodes} of {outcome.planned} episodes in {duration(outcome.seconds)}"
    work.reporter.say(f"{model.stage}: {reached}{why}")


def _publish(work: Work, settings: Settings, model: Record, thinking: bool, evaluation_id: str) -> None:
    import pandas as pd

    from models.evaluation.passes import summarise_episodes
    from models.evaluation.table import flat_metrics, summarise

    tables = [summarise(rows_of(evaluation_id))]
    if len(episodes := episodes_of(evaluation_id)):
        tables.append(summarise_episodes(episodes))
    summary = pd.concat(tables, ignore_index=True)
    prefix = _prefix(work.record.settings["splits"], thinking, model.thinking)
    if (elsewhere := work.record.settings["dataset"]) is not None:
        prefix = f"{prefix}_on_{choices.source_of(elsewhere)}"
    if (changed := settings.evaluation.changes) is not None:
        prefix = f"{prefix}_{re.sub('[^a-z0-9]+', '_', changed)}"
    figures = {name.replace("eval", prefix, 1): value for name, value in flat_metrics(summary).items()}
    # All at step 0, so that MLflow draws bars side by side, not lonely points on axes of different lengths.
    work.run.log_results(figures, 0)
    work.run.log_table(summary, f"evaluation/{evaluation_id}.json")
    work.run.tag({"evaluation_id": evaluation_id})
    showing.draw_evaluation(work.run, summary, rows_of(evaluation_id), model.stage, prefix)
    if prefix == "eval":
        showing.describe_model(work.run, summary, model, f"Validation, {model.stage}, 95 % intervals")


def leave_evaluation(evaluation_id: str, model: Record, thinking: bool) -> None:
    """The numbers of an evaluation as Prefect artifacts, whether it was done now or taken over."""
    from models.evaluation.table import summarise

    summary = summarise(rows_of(evaluation_id))
    rows = summary[summary["group"].isin(["exposure", "tool"])].round(3).to_dict("records")
    text = f"{showing.origin(model)}\n\n{showing.metric_table(summary)}"
    how = f"{model.stage}, {'thinking' if thinking else 'no thinking'}"
    showing.leave(f"evaluation-{model.stage}", text, rows=rows, run_id=model.run_id, description=how)


def _prefix(splits: list[str], thinking: bool, trained_to_think: bool) -> str:
    """``eval`` means validation, as the model was trained; other splits and the other mode get names of their own."""
    name = "final" if splits == list(TEST_SPLITS) else "eval"
    return name if thinking == trained_to_think else f"{name}_{'thinking' if thinking else 'plain'}"


def rows_of(evaluation_id: str) -> pd.DataFrame:
    """The rows of one evaluation."""
    from data.evaluations import read_evaluations

    return read_evaluations(evaluation_id)


def files_of(evaluation_id: str) -> list[Path]:
    """The files of one evaluation's rows and episodes."""
    from data.episodes import FOLDER
    from data.parquet import shards

    directory = paths.evaluations() / evaluation_id
    return shards(directory) + shards(directory / FOLDER)


def episodes_of(evaluation_id: str) -> pd.DataFrame:
    """The episodes of one evaluation; empty where it has none."""
    from data.episodes import read_episodes

    return read_episodes("evaluation", evaluation_id)


def final_uses() -> list[dict[str, str]]:
    """Each look at test splits on this machine: run, dataset, evaluation and time.

    A line that cannot be read, as a full disk or a kill leaves one, is left out and told on stderr.
    """
    file = paths.final_uses()
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n") if file.exists() else []
    uses = {number: _use_in(line) for number, line in enumerate(lines, start=1) if line.strip()}
    if lost := [str(number) for number, use in uses.items() if use is None]:
        which = f"line{'s' * (len(lost) > 1)} {', '.join(lost)}"
        told = f"{file}: {which} cannot be read; what was noted there of a look at test splits does not count"
        print(told, file=sys.stderr, flush=True)
    return [use for use in uses.values() if use is not None]


def _use_in(line: str) -> dict[str, str] | None:
    try:
        use = json.loads(line)
    except ValueError:
        return None
    return use if isinstance(use, dict) else None


def _note_final_use(evaluation_id: str, model: Record, dataset: str | None) -> None:
    row = {
        "at": now(),
        "run_id": model.run_id,
        "stage": model.stage,
        "dataset_version": dataset or model.dataset_version,
        "evaluation_id": evaluation_id,
        "git_commit": tracking.git_commit(),
    }
    _append_line(paths.final_uses(), json.dumps(row))
    number = sum(use["run_id"] == model.run_id for use in final_uses())
    tracking.StageRun(model.run_id, lambda text: None).tag({"final_uses": str(number)})


def _append_line(file: Path, line: str) -> None:
    """Append a line; one before it that was cut short is closed off first, so that it alone is lost."""
    with file.open("a+b") as stream:
        cut_short = False
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            cut_short = stream.read(1) != b"\n"
        stream.write(b"\n" * cut_short + line.encode() + b"\n")
