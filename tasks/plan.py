"""What a run would execute, and why: found out from addresses and records, without executing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from data import snapshot
from data.settings import DataSettings, Settings
from data.sources import get_source
from data.sources.base import Fetching
from tasks import locks, records
from tasks.addresses import base_address, evaluation_address, possible_modules, training_address
from tasks.code import changed_files, code_digest
from tasks.records import EVERY_MODEL, Address, Record, Stage
from tasks.selection import Selection, StageName
from tasks.stage import flat

#: The command behind each stage that leaves a model.
COMMAND_OF: dict[str, StageName] = {"sft": "sft", "primed": "prime", "grpo": "grpo"}
SHORT = 8
_FILES_NAMED = 3


@dataclass(frozen=True)
class Step:
    """One line of a plan."""

    stage: str
    does: Literal["runs", "resumes", "reused", "given"]
    why: str
    seconds: float | None = None
    """What it took last time, where that is known and it will be done."""


def plan(settings: Settings, selection: Selection, given: Mapping[str, str]) -> list[Step]:
    """Steps of a run in order.

    Args:
        settings: As the run resolves them.
        selection: Stages to execute.
        given: Ids that come from earlier results, as ``tasks.upstream.handed_on`` finds them.

    Raises:
        SourceError: The source's files are missing.
    """
    steps: list[Step] = []
    version = given.get("dataset_version")
    if version and selection.first != "ingest":
        steps.append(Step("dataset", "given", f"{version}, as it is"))
    if "ingest" in selection:
        step, version = _ingest(settings.data)
        steps.append(step)
    models: dict[str, Record | None] = {}
    for stage in EVERY_MODEL:
        if stage in given:
            models[stage] = records.of_run(given[stage])
            steps.append(Step(stage, "given", f"run {given[stage][:SHORT]}…, as it is"))
        elif stage == "base" and ("sft" in selection or settings.grpo.start == "base"):
            step, models[stage] = _base(settings, version)
            steps.append(step)
        elif stage in COMMAND_OF and COMMAND_OF[stage] in selection:
            start = models.get(_start_of(stage, settings))
            forced = COMMAND_OF[stage] in selection.force
            step, models[stage] = _training(stage, settings, start, forced=forced)
            steps.append(step)
    if "evaluate" in selection:
        forced = "evaluate" in selection.force
        steps += [_evaluation(stage, settings, model, forced=forced) for stage, model in models.items()]
    return steps


def _start_of(stage: Stage, settings: Settings) -> Stage:
    before: dict[str, Stage] = {"sft": "base", "primed": "sft", "grpo": settings.grpo.start}
    return before[stage]


def _ingest(settings: DataSettings) -> tuple[Step, str | None]:
    from data.ingest import published_as

    source = get_source(settings.source)
    known = any(version.source == source.name for version in snapshot.published())
    if isinstance(source, Fetching) and settings.path is None and not known:
        return Step("ingest", "runs", f"{settings.source} was never ingested; its files may have to be fetched"), None
    version = published_as(settings)
    if version is None:
        why = "source, settings or code changed since it was last ingested" if known else "never ingested"
        return Step("ingest", "runs", f"{settings.source}: {why}"), None
    try:
        snapshot.verify(version)
    except snapshot.SnapshotDamaged as error:
        return Step("ingest", "runs", f"restores dataset {version} from the warehouse ({error})"), version
    return Step("ingest", "reused", f"dataset {version}"), version


def _base(settings: Settings, version: str | None) -> tuple[Step, Record | None]:
    from models.base import is_there, place_of

    uri = settings.base_model.uri
    if not is_there(uri):
        return Step("base", "runs", f"{uri} has to be fetched"), None
    if version is None:
        return Step("base", "runs", "the dataset will be new"), None
    model_dir = place_of(uri)
    address = base_address(settings, version, records.model_sha256(model_dir))
    record = records.load("base", address.key)
    if record is not None and record.status == "done":
        return Step("base", "reused", f"run {record.run_id[:SHORT]}…, {uri}"), record
    coming = {"model_dir": model_dir, "model_sha256": address.start_sha256, "dataset_version": version}
    step = Step("base", "runs", f"{uri} is here and gets a run for dataset {version}")
    return step, Record(stage="base", key=address.key, status="running", run_id="", **coming)


def _training(stage: Stage, settings: Settings, start: Record | None, *, forced: bool) -> tuple[Step, Record | None]:
    if start is None:
        return Step(stage, "runs", "what it starts from will be new", _took(_newest(stage))), None
    return _judged(stage, training_address(stage, settings, start), forced=forced)


def _evaluation(stage: str, settings: Settings, model: Record | None, *, forced: bool) -> Step:
    name = f"evaluate {stage}"
    if model is None or not model.run_id:
        return Step(name, "runs", "the model will be new", _took(_newest("evaluation")))
    return _judged("evaluation", evaluation_address(settings, model), forced=forced, shown=name)[0]


def _judged(stage: str, address: Address, *, forced: bool, shown: str | None = None) -> tuple[Step, Record | None]:
    """What becomes of the result at an address, and its record if that will be used."""
    shown = shown or stage
    record = records.load(stage, address.key)
    if record is None:
        nearest = _nearest(address)
        why = f"against run {nearest.run_id[:SHORT]}…: {'; '.join(differences(nearest, address))}" if nearest else ""
        return Step(shown, "runs", why or "never done", _took(nearest)), None
    run = f"run {record.run_id[:SHORT]}…"
    if forced:
        return Step(shown, "runs", f"forced, although {run} is there", _took(record)), None
    if record.status == "done":
        if records.intact(record):
            return Step(shown, "reused", run), record
        return Step(shown, "runs", f"the result of {run} is gone or was changed on disk", _took(record)), None
    if record.status == "running" and not locks.is_free(record.lock):
        return Step(shown, "resumes", f"{run} is under way in another process"), None
    return Step(shown, "resumes", f"{run} was {_ending(record)}"), None


def _ending(record: Record) -> str:
    return {"running": "killed", "interrupted": "interrupted", "failed": "cut short by an error"}[record.status]


def _nearest(address: Address) -> Record | None:
    """The finished result of the stage that differs in the fewest respects, the newest of them."""
    done = [record for record in records.every(address.stage) if record.status == "done"]
    newest_first = sorted(done, key=lambda record: record.ended or "", reverse=True)
    return min(newest_first, key=lambda record: len(list(differences(record, address))), default=None)


def _newest(stage: str) -> Record | None:
    done = [record for record in records.every(stage) if record.status == "done"]
    return max(done, key=lambda record: record.ended or "", default=None)


def differences(record: Record, address: Address) -> Iterator[str]:
    """How what an address depends on differs from what a finished result came of, in words."""
    if record.dataset_version != address.dataset_version:
        yield f"dataset {record.dataset_version} → {address.dataset_version}"
    if address.stage != "evaluation" and record.start_sha256 and record.start_sha256 != address.start_sha256:
        yield "starts from another model"
    before, after = flat(record.settings), flat(address.settings)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield _changed(name, before.get(name), after.get(name))
    if record.code != address.code and not _still_there(record.code, address.stage):
        yield _code(record.code, address.stage)


def _changed(name: str, before: Any, after: Any) -> str:
    if name == "run_id":
        return "another model"
    if name == "reward_digest":
        return "the reward's file changed"
    return f"{name} {before} → {after}"


def _still_there(code: str, stage: str) -> bool:
    """Whether the code behind a result is as it was, though a result of other settings comes of more of it or less."""
    return code in {code_digest(*modules) for modules in possible_modules(stage)}


def _code(before: str, stage: str) -> str:
    each = [changed_files(before, *modules) for modules in possible_modules(stage)] if before else []
    # Against modules that it did not come of, all of their files would count: the fewest are those that changed.
    changed = min((files for files in each if files is not None), key=len, default=None)
    if not changed:
        return "code changed"
    more = f" and {len(changed) - _FILES_NAMED} more" if len(changed) > _FILES_NAMED else ""
    return f"code changed: {', '.join(changed[:_FILES_NAMED])}{more}"


def _took(record: Record | None) -> float | None:
    seconds = record.outputs.get("seconds") if record else None
    return float(seconds) if seconds is not None else None
