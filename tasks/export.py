"""A run's model as a folder for others: what its card says comes from the newest evaluation of it."""

from __future__ import annotations

import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from data import paths
from data.schema import TEST_SPLITS
from tasks import records
from tasks.records import MissingUpstream, Record

if TYPE_CHECKING:
    from models.export import Origin, Result

#: What the card's table shows, headline first.
SHOWN = ("turn_success", "exact_call", "no_call_right", "format_ok")
#: Tokens a model may write at a turn where it was never evaluated.
MAX_NEW_TOKENS = 256


def export(run_id: str, name: str, target: Path | None = None) -> Path:
    """Folder of the exported model of a run: ``target``, or under ``var/exports``.

    Of a model that was trained elsewhere it is what its package in the registry holds.

    Raises:
        MissingUpstream: The run is unknown, unfinished or damaged, and no package holds its model.
        models.export.ExportError: The folder holds something else, or cannot be made.
    """
    from models.export import export_model

    try:
        record = records.of_run(run_id)
    except MissingUpstream as missing:
        return _unpacked(run_id, name, target or paths.exports() / run_id / name, missing)
    folder = target or paths.exports() / record.run_id / name
    export_model(record.model_place[0], folder, origin(record, name))
    return folder


def _unpacked(run_id: str, name: str, folder: Path, missing: MissingUpstream) -> Path:
    """The export as the registry's package holds it; ``missing`` says why there is no other."""
    from models.packaged import unpack, versions_of
    from models.registry import TrackingAway

    try:
        versions = versions_of(run_id)
    except TrackingAway:
        raise missing from None  # who mistypes a run is not told of the registry
    if not versions:
        raise missing
    # Of several packages, which hold the same weights, the one of this name, then the newest.
    packaged = max((one for one in versions if one.place), key=lambda one: (one.name == name, one.number), default=None)
    if packaged is None:
        known = ", ".join(map(str, versions))
        raise MissingUpstream(
            f"of run {run_id} there is no whole model here, and {known}, as the registry knows it, is no package that "
            "holds one: run the same command where it was trained, with the APPRENTICE_VAR of that training"
        )
    note = f"export: of run {run_id} there is no whole model here; what its package {packaged} holds is taken instead"
    print(note, file=sys.stderr, flush=True)
    unpack(packaged, folder)
    return folder


def origin(record: Record, name: str) -> Origin:
    """What a model's card says."""
    from models.export import Origin

    evaluation = newest_evaluation(record)
    most = evaluation.settings.get("max_completion_length", MAX_NEW_TOKENS) if evaluation else MAX_NEW_TOKENS
    return Origin(
        name=name,
        stage=record.stage,
        run_id=record.run_id,
        dataset_version=record.model_place[1],
        thinking=record.thinking,
        base_model=base_model(record),
        git_commit=record.git_commit,
        max_new_tokens=int(most),
        results=_results(evaluation) if evaluation else (),
        judged=_judged(evaluation) if evaluation else "",
    )


def newest_evaluation(record: Record) -> Record | None:
    """The newest finished evaluation of a model on its own dataset, greedy, in the mode it was trained in; test before
    validation."""
    found = [
        one
        for one in records.every("evaluation")
        if one.status == "done"
        and one.settings.get("run_id") == record.run_id
        and one.settings.get("thinking") == record.thinking
        and one.dataset_version == record.dataset_version
        and records.judged_as_recorded(one)
        and records.intact(one)
    ]
    return max(found, key=lambda one: (one.settings.get("splits") == list(TEST_SPLITS), one.ended or ""), default=None)


def base_model(record: Record) -> str:
    """URI of the base model that a model descends from; of a folder its name alone, for where it lies is private."""
    while record.start_run_id:
        record = records.of_run(record.start_run_id, usable=False)
    uri = str(record.settings.get("uri", "unknown"))
    return f"path:{PurePath(uri.removeprefix('path:')).name}" if uri.startswith("path:") else uri


def _results(evaluation: Record) -> list[Result]:
    """By the judge as it is, like every other table: a card beside a page has to say the same of a model."""
    from models.evaluation.table import summarise
    from models.export import Result
    from tasks.judged import judged_now

    table = summarise(judged_now(evaluation.outputs["evaluation_id"]))
    table = table[(table["group"] == "exposure") & table["metric"].isin(SHOWN)]
    table = table.assign(order=table["metric"].map(SHOWN.index)).sort_values(["value", "order"])
    rows: list[dict[str, Any]] = [dict(zip(table.columns, row, strict=True)) for row in table.to_numpy(dtype=object)]
    return [
        Result(f"{row['value']} tools", row["metric"].replace("_", " "), row["mean"], row["low"], row["high"], row["n"])
        for row in rows
    ]


def _judged(evaluation: Record) -> str:
    splits = ", ".join(evaluation.settings["splits"])
    return (
        f"Greedy decoding, {evaluation.outputs['rows']:,} decision points of {splits} in dataset "
        f"`{evaluation.dataset_version}`; intervals clustered by conversation (evaluation "
        f"`{evaluation.outputs['evaluation_id']}`)."
    )
