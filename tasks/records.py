"""What has been done: one small JSON file per stage and content address, and how to find the latest good one.

A stage's *address* is a hash over everything its result depends on: its code, its settings, the dataset and the
weights it starts from. Same address, finished, files unchanged: the result is reused. The record also names the
MLflow run, so a stage that was killed goes on in the run it began.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

from data import paths
from data.files import write_whole
from data.parquet import DamagedFile

Stage = Literal["base", "sft", "primed", "grpo", "continued", "rejection"]
#: Stages that leave a model, in the order of the job.
MODEL_STAGES: tuple[Stage, ...] = ("base", "sft", "primed", "grpo")
#: Those and the models that only a comparison of arms makes (data/arms.py).
EVERY_MODEL: tuple[Stage, ...] = (*MODEL_STAGES, "continued", "rejection")
#: The command that makes a stage's model.
COMMANDS = {"base": "evaluate --model base", "sft": "sft", "primed": "prime", "grpo": "grpo"} | {
    "continued": "compare",
    "rejection": "compare",
}
#: Neither where nor how often something is saved changes what comes out.
WITHOUT_EFFECT = frozenset({"save_every_minutes"})


Kept = TypeVar("Kept", bound=BaseModel)


class MissingUpstream(Exception):
    """A stage needs what an earlier one makes; the message names the command."""


class Address(BaseModel):
    """What a stage's result depends on; ``key`` is the hash over the rest."""

    model_config = ConfigDict(frozen=True)

    stage: str
    key: str
    code: str
    settings: dict[str, Any]
    dataset_version: str | None
    start_sha256: str | None
    modules: tuple[str, ...] = ()
    """Entry modules of the code that ``code`` is a digest of; that stands for them in the key."""


class Record(BaseModel):
    """One execution of a stage."""

    stage: str
    key: str
    status: Literal["running", "done", "interrupted", "failed"]
    run_id: str
    dataset_version: str | None = None
    start_run_id: str | None = None
    pipeline_run_id: str | None = None
    profile: str = ""
    settings: dict[str, Any] = {}
    code: str = ""
    """Digest of the code behind it; empty in records older than this field."""
    start_sha256: str | None = None
    """Digest of the weights it started from."""
    model_dir: Path | None = None
    model_sha256: str | None = None
    thinking: bool = False
    """Whether the model was trained to think."""
    steps: int = 0
    outputs: dict[str, Any] = {}
    files: dict[str, str] = {}
    """Further files of the result, relative to ``var/``, with their SHA-256; checked before reuse."""
    git_commit: str = ""
    lock: str = ""
    """Name of the lock its process holds while it is running."""
    started: str = ""
    ended: str | None = None

    @property
    def learned_from(self) -> frozenset[str]:
        """Dataset versions that this training read: its own and, where it was primed, that of the thoughts."""
        if self.stage == "base":
            return frozenset()
        return frozenset(version for version in (self.dataset_version, self.settings.get("rationales")) if version)

    @property
    def model_place(self) -> tuple[Path, str]:
        """Directory of a finished model and the dataset version it belongs to."""
        if self.model_dir is None or self.dataset_version is None:
            raise MissingUpstream(f"run {self.run_id} ({self.stage}) left no model")
        return self.model_dir, self.dataset_version

    @field_validator("model_dir")
    @classmethod
    def _where_it_is(cls, written: Path | None) -> Path | None:
        """A model that is no longer where it was written, because ``var/`` has moved, is looked for where it is now."""
        if written is None or written.is_dir():
            return written
        for room in (paths.runs().name, paths.base_models().name):
            if room in written.parts:
                within = written.parts[len(written.parts) - 1 - written.parts[::-1].index(room) :]
                if (moved := paths.var().joinpath(*within)).is_dir():
                    return moved
        return written


def address(
    stage: str,
    *,
    code: str,
    settings: Mapping[str, Any],
    dataset_version: str | None = None,
    start_sha256: str | None = None,
    modules: Sequence[str] = (),
) -> Address:
    """Content address of a stage's result; ``settings`` are the ones that matter to it, JSON-ready, and ``modules``
    those that ``code`` is the digest of."""
    relevant = {key: value for key, value in settings.items() if key not in WITHOUT_EFFECT}
    facts = [stage, code, relevant, dataset_version, start_sha256]
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    return Address(
        stage=stage,
        key=key,
        code=code,
        settings=relevant,
        dataset_version=dataset_version,
        start_sha256=start_sha256,
        modules=tuple(modules),
    )


def _file(stage: str, key: str) -> Path:
    return paths.stages() / stage / f"{key}.json"


def load(stage: str, key: str) -> Record | None:
    """The record at an address, if there is one."""
    file = _file(stage, key)
    return _read(file) if file.exists() else None


def _read(file: Path) -> Record:
    cure = "what it told of counts as not done then, and is made again where it is needed"
    return read_whole(Record, file, "the record of a stage", cure)


def read_whole(kind: type[Kept], file: Path, what: str, cure: str) -> Kept:
    """A record from its file of JSON.

    Args:
        kind: Its class.
        file: Where it lies.
        what: What it is, for the message.
        cure: What follows once the file was moved away.

    Raises:
        data.parquet.DamagedFile: It cannot be read; the message names the file.
    """
    try:
        return kind.model_validate_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise DamagedFile(f"{file} cannot be read as {what} ({reason}). Move it away: {cure}") from error


def save(record: Record) -> None:
    """Write the record; a finished one of another execution at the same address is kept under that one's name."""
    earlier = load(record.stage, record.key)
    if earlier is not None and earlier.status == "done" and _execution(earlier) != _execution(record):
        _keep(earlier)
    write_whole(_file(record.stage, record.key), record.model_dump_json(indent=2))


def _execution(record: Record) -> str:
    """What tells an execution from others at its address: an evaluation's run is that of the model, all the same."""
    return str(record.outputs.get("evaluation_id", "")) if record.stage == "evaluation" else record.run_id


def _keep(earlier: Record) -> None:
    """A run stays known whatever became of its model. An evaluation whose rows were changed does not: it would be taken
    for the newest finished one, and found damaged for ever, while the one in its place is not done."""
    if earlier.stage != "evaluation" or intact(earlier):
        write_whole(kept_as(earlier), earlier.model_dump_json(indent=2))


def kept_as(record: Record) -> Path:
    """Where a finished record lies once another execution has its address."""
    name = _execution(record) if record.stage == "evaluation" else record.run_id[:8]
    return _file(record.stage, f"{record.key}-{name}")


def every(*stages: str) -> Iterator[Record]:
    """All records of the stages.

    Raises:
        data.parquet.DamagedFile: One cannot be read; the message names it.
    """
    for stage in stages:
        for file in sorted((paths.stages() / stage).glob("*.json")):
            yield _read(file)


def running() -> list[Record]:
    """Records of all stages that say they are running, whether their process lives or not."""
    files = sorted(paths.stages().glob("*/*.json"))
    return [record for record in map(_read, files) if record.status == "running"]


def judged_as_recorded(evaluation: Record) -> bool:
    """Whether an evaluation tells how a model does: greedily, with its own thoughts, on turns as they were recorded.

    Others (``EvaluationSettings.changes``) tell what a change does to it, and are no result of the model's.
    """
    settings = evaluation.settings
    return (settings.get("variant"), settings.get("thoughts", "own"), settings.get("sample")) == (None, "own", None)


def model_sha256(model_dir: Path) -> str:
    """Digest over the names and bytes of a model's weight files."""
    from models.base import file_sha256

    digest = hashlib.sha256()
    for file in sorted(model_dir.glob("*.safetensors")):
        digest.update(f"{file.name} {file_sha256(file)}\n".encode())
    return digest.hexdigest()


def intact(record: Record) -> bool:
    """Whether the model and files a finished record speaks of are still there, byte for byte."""
    if any(digest(file) != sha256 for file, sha256 in _files_of(record)):
        return False
    if record.model_dir is None:
        return True
    return record.model_dir.is_dir() and model_sha256(record.model_dir) == record.model_sha256


def renew_digests(places: Sequence[str]) -> None:
    """Let records speak of files as they are now, where these were rewritten on purpose.

    Args:
        places: What the names of such files begin with, relative to ``var/``.
    """
    for file in sorted(paths.stages().glob("*/*.json")):
        record = _read(file)
        changed = {
            name: sha256
            for name, before in record.files.items()
            if name.startswith(tuple(places)) and (sha256 := digest(paths.var() / name)) not in (None, before)
        }
        if changed:
            renewed = record.model_copy(update={"files": {**record.files, **changed}})
            write_whole(file, renewed.model_dump_json(indent=2))


def listed(files: Iterable[Path]) -> dict[str, str]:
    """``files`` as ``Record.files`` has them."""
    return {file.relative_to(paths.var()).as_posix(): sha256 for file in files if (sha256 := digest(file))}


def digest(file: Path) -> str | None:
    """SHA-256 of a file; None if it is not there."""
    from data.parquet import digest as sha256

    return sha256(file) if file.is_file() else None


def _files_of(record: Record) -> Iterator[tuple[Path, str]]:
    return ((paths.var() / name, sha256) for name, sha256 in record.files.items())


def of_run(run_id: str, *, usable: bool = True) -> Record:
    """The finished stage of an MLflow run; the first characters of the id suffice.

    Args:
        run_id: See above.
        usable: Whether its model is needed, and not only what is told of it.

    Raises:
        MissingUpstream: No finished stage has this run id, several have, or its model has changed on disk.
    """
    found = [record for record in every(*EVERY_MODEL) if record.run_id.startswith(run_id)]
    if not found:
        raise MissingUpstream(f'no stage has run id {run_id}; apprentice query "SELECT * FROM runs" lists them')
    if len({record.run_id for record in found}) > 1:
        raise MissingUpstream(f"run id {run_id} is ambiguous; give more of its characters")
    record = max(found, key=lambda each: each.ended or "")
    if record.status != "done":
        raise MissingUpstream(
            f"run {run_id} ({record.stage}) is {record.status}, not finished; "
            f"run `apprentice {COMMANDS[record.stage]}` again to resume it"
        )
    return _usable(record) if usable else record


def latest_good(*stages: Stage, dataset_version: str | None = None) -> Record:
    """The newest finished model of the stages, of one dataset version if given.

    Raises:
        MissingUpstream: There is none; the message names the command that makes one.
    """
    done = [record for record in every(*stages) if record.status == "done"]
    fitting = [record for record in done if dataset_version in (None, record.dataset_version)]
    if not fitting:
        names = " or ".join(stage.upper() if stage in ("sft", "grpo") else stage for stage in stages)
        where = f" for dataset {dataset_version}" if dataset_version else ""
        raise MissingUpstream(f"no {names} model{where}: run `apprentice {COMMANDS[stages[0]]}` first")
    return _usable(max(fitting, key=lambda record: record.ended or ""))


def _usable(record: Record) -> Record:
    if not intact(record):
        raise MissingUpstream(
            f"the model of run {record.run_id} ({record.model_dir}) is gone or was changed after training; "
            f"run `apprentice {COMMANDS[record.stage]}` again"
        )
    return record
