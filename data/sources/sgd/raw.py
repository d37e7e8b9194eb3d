"""SGD's own record format as far as we read it, checked strictly, and the files it comes in.

Upstream keys we do not use are ignored; a key we use with another type than documented makes the record unusable
(``pydantic.ValidationError``), which the caller turns into a quarantined row.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.collector import no_cycle_collection
from data.sources.base import SourceError

DIRECTORIES = ("train", "dev", "test")
#: Bytes of one dialogue file, unpacked: a hundred times upstream's largest, and still no danger to memory.
MAX_FILE_BYTES = 1_000_000_000


class Raw(BaseModel):
    """Base of upstream records: no coercion, unknown keys ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class RawAction(Raw):
    """One dialogue act. ``values`` are as spoken, ``canonical_values`` as the services write them, pairwise."""

    act: str
    slot: str
    values: list[str]
    canonical_values: list[str] = []

    @model_validator(mode="after")
    def _pairwise(self) -> RawAction:
        if self.canonical_values and len(self.canonical_values) != len(self.values):
            raise ValueError("values and canonical_values differ in length")
        return self

    def pairs(self) -> list[tuple[str, str]]:
        """(spoken, canonical) of each value."""
        return list(zip(self.values, self.canonical_values or self.values, strict=True))


class RawCall(Raw):
    """A call to a service. Parameter values are checked later, against the tool's JSON Schema."""

    method: str
    parameters: dict[str, Any]


class RawState(Raw):
    """What the user wants by now, in a USER frame."""

    active_intent: str = "NONE"
    slot_values: dict[str, list[str]] = {}
    """Forms of what the user has settled on so far, by slot, as spoken."""


class RawFrame(Raw):
    """What a turn says about one service."""

    service: str
    actions: list[RawAction]
    state: RawState | None = None
    service_call: RawCall | None = None
    service_results: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _answered(self) -> RawFrame:
        if self.service_call is not None and self.service_results is None:
            raise ValueError("service_call without service_results")
        return self


class RawTurn(Raw):
    """One utterance with its annotation."""

    speaker: Literal["USER", "SYSTEM"]
    utterance: str
    frames: list[RawFrame]


class RawDialogue(Raw):
    """One dialogue."""

    dialogue_id: str = Field(min_length=1)
    services: list[str] = Field(min_length=1)
    turns: list[RawTurn] = Field(min_length=1)


class UnreadableFile(Exception):
    """A dialogue file that is truncated, not JSON, or not a list."""


def dialogue_files(root: Path, directory: str) -> list[Path]:
    """Dialogue files of one split directory in order; where a file lies there packed and unpacked, the unpacked one."""
    packed = {path.name.removesuffix(".gz"): path for path in (root / directory).glob("dialogues_*.json.gz")}
    plain = {path.name: path for path in (root / directory).glob("dialogues_*.json")}
    return [path for _, path in sorted({**packed, **plain}.items())]


@no_cycle_collection()
def load_dialogues(path: Path) -> list[Any]:
    """The records of one dialogue file, unchecked.

    Raises:
        UnreadableFile: The bytes cannot be had, unpacked or parsed, or are not a JSON list.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UnreadableFile(f"{path.name} holds more than {MAX_FILE_BYTES:,} bytes; split it into several files")
        records = orjson.loads(content)
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        raise UnreadableFile(f"{path.name} cannot be read: {error}") from error
    if not isinstance(records, list):
        raise UnreadableFile(f"{path.name} holds no list of dialogues but {type(records).__name__}")
    return records


def sgd_root(path: Path) -> Path:
    """The directory of an SGD copy, checked as far as every record depends on it.

    Raises:
        SourceError: No directory, or no ``train/schema.json`` in it; the message names the cure.
    """
    expected = "a directory with train/, dev/ and test/, each with schema.json and dialogues_*.json or .json.gz"
    if not path.is_dir():
        raise SourceError(f"{path} is not a directory: give --path DIR, {expected}")
    if not (path / "train" / "schema.json").is_file():
        raise SourceError(f"{path} has no train/schema.json: give --path DIR, {expected}")
    return path
