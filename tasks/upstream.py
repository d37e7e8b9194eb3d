"""Which model a stage starts from when nobody says: the latest good one."""

from __future__ import annotations

from data.settings import Settings
from tasks.base_model import prepare_base_model
from tasks.ingest import dataset, trainable
from tasks.records import MODEL_STAGES, MissingUpstream, Record, Stage, latest_good, of_run
from tasks.selection import Selection, SelectionError


def start_of(stage: Stage, run_id: str | None, source: str | None) -> Record:
    """The finished run given, else the newest of the stage, of the source's newest dataset if a source is named.

    Raises:
        MissingUpstream: There is none, or the one given is of another stage; the message says what to do.
    """
    if run_id is not None:
        record = of_run(run_id)
        if record.stage != stage:
            raise MissingUpstream(
                f"run {run_id} is of stage {record.stage}, and {stage} is what this starts from: name a run of that "
                "stage, or leave it out for the newest"
            )
        return record
    return latest_good(stage, dataset_version=dataset(None, source) if source else None)


def handed_on(selection: Selection, start: Stage, run_id: str | None, source: str | None) -> dict[str, str]:
    """Ids of earlier results that the chosen stages begin with: ``dataset_version`` and the run id of each model.

    Args:
        selection: What will be executed.
        start: Which stage's model GRPO starts from.
        run_id: Model to begin with (to judge, where only evaluation is chosen); empty: the latest good one.
        source: Whose newest dataset the latest good one must be of.

    Raises:
        MissingUpstream: There is none; the message names the command that makes one.
        SelectionError: A run is named, and the stages chosen begin before any model.
    """
    if run_id and selection.first in ("ingest", "sft"):
        raise SelectionError(
            f"--run {run_id} names a model to begin with, and {selection.first} begins without one: add --from or "
            "--only with prime, grpo or evaluate"
        )
    if selection.first == "ingest":
        return {}
    if selection.first == "sft":
        return {"dataset_version": trainable(None, source)}
    if selection.first == "evaluate":
        return ancestry(of_run(run_id) if run_id else latest_model(source))
    needed: Stage = "sft" if selection.first == "prime" else start
    try:
        ids = ancestry(of_run(run_id) if run_id else start_of(needed, None, source))
        if needed not in ids:
            raise MissingUpstream(
                f"run {run_id} is of stage {of_run(str(run_id)).stage}, and {selection.first} starts from {needed}: "
                "name a run of that stage, or leave it out for the newest"
                + ("; --set grpo.start=… names another stage to start from" if selection.first == "grpo" else "")
            )
        return ids
    except MissingUpstream:
        if needed == "base" and run_id is None:
            return {}  # the stage itself fetches it
        raise


def ancestry(record: Record | None) -> dict[str, str]:
    """Run ids by stage of a model and of those it came from, and its dataset version."""
    ids: dict[str, str] = {}
    while record is not None:
        if record.dataset_version:
            ids.setdefault("dataset_version", record.dataset_version)
        ids.setdefault(record.stage, record.run_id)
        record = of_run(record.start_run_id) if record.start_run_id else None
    return ids


def started_from(run_id: str) -> str:
    """Run id of the model that a trained one started from."""
    record = of_run(run_id)
    if record.start_run_id is None:
        raise MissingUpstream(f"run {run_id} ({record.stage}) started from no other run")
    return record.start_run_id


def start_or_base(
    stage: Stage, run_id: str | None, source: str | None, settings: Settings, pipeline_run_id: str | None
) -> Record:
    """Like ``start_of``, but a run given may be of any stage; the base model is fetched where it is the one meant."""
    if run_id is not None:
        return of_run(run_id)
    if stage == "base":
        version = dataset(None, source) if source else trainable(None)
        return of_run(prepare_base_model(settings, version, pipeline_run_id))
    return start_of(stage, run_id, source)


def latest_model(source: str | None) -> Record:
    """The newest trained model of any stage.

    Raises:
        MissingUpstream: Nothing has been trained.
    """
    version = dataset(None, source) if source else None
    try:
        return latest_good(*MODEL_STAGES[1:], dataset_version=version)
    except MissingUpstream as error:
        raise MissingUpstream(f"{error}, or evaluate the base model with --model base") from error
