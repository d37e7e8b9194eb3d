"""Records out of files as people have them: JSON lines, a JSON list or Parquet, gzipped or not, a file or a folder.

Lines and batches are read one at a time, so memory does not grow with the file. What cannot be read is told with its
place and reason and the rest goes on; a line beyond the size limit is refused unread.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from data.mapping.plain_json import NotJson, of_columns, parse
from data.sources.base import SourceError

SUFFIXES = (".jsonl", ".json", ".parquet", ".jsonl.gz", ".json.gz")
#: Bytes of one record at most; a conversation of this size is no conversation.
MAX_RECORD = 16 * 2**20
#: Bytes of a file that is one JSON list, which has to be read whole.
MAX_LIST = 512 * 2**20
_BATCH = 256
_BOM = b"\xef\xbb\xbf"


class Read(NamedTuple):
    """One record with its place (``2026-11/file.jsonl#3``), or the reason why there is none."""

    place: str
    record: Any = None
    reason: str | None = None
    detail: str = ""


def record_files(path: Path | None, source: str, expected: str) -> list[Path]:
    """The files at ``path`` in a stable order: itself, or all below it with one of ``SUFFIXES``.

    Raises:
        SourceError: Nothing is there; the message says what was expected.
    """
    if path is None:
        raise SourceError(f"source {source} needs its files: give --path, {expected}")
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{path} does not exist: give --path, {expected}")
    found = sorted(file for file in path.rglob("*") if file.is_file() and is_record_file(file.relative_to(path)))
    if not found:
        raise SourceError(f"{path} holds no file ending in {', '.join(SUFFIXES)}: give --path, {expected}")
    return found


def is_record_file(relative: Path) -> bool:
    """Whether a file below the given folder holds records by its name; hidden ones do not."""
    return relative.name.endswith(SUFFIXES) and not any(part.startswith(".") for part in relative.parts)


def fingerprint(files: Iterable[Path]) -> str:
    """SHA-256 (hex) over the names and bytes of the files; one that cannot be opened counts as unreadable."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0".encode())
        try:
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError:
            digest.update(b"unreadable")
    return digest.hexdigest()


def read_records(file: Path, limit: int = MAX_RECORD, *, under: Path | None = None) -> Iterator[Read]:
    """Every record of one file in order; never raises for what the file holds.

    Args:
        file: What is read.
        limit: Bytes that a record may have.
        under: The folder that places are told from, since files of several folders may have one name; without it, or
            where it is the file itself, places are told by the file's name.
    """
    name = file.name if under is None or under == file else file.relative_to(under).as_posix()
    reader = _parquet if file.suffix == ".parquet" else _json
    try:
        yield from reader(file, name, limit)
    except (OSError, EOFError, zlib.error) as error:
        yield Read(name, reason="unreadable_file", detail=f"{name} cannot be read further: {error}")


def _json(file: Path, name: str, limit: int) -> Iterator[Read]:
    with _open(file) as stream:
        if not _is_list(stream):
            if (one := _only_object(stream, limit)) is not None:
                yield Read(f"{name}#1", one)
            else:
                yield from _lines(stream, name, limit)
            return
        content = stream.read(MAX_LIST + 1).removeprefix(_BOM)
    if len(content) > MAX_LIST:
        detail = f"{name} is one JSON list of more than {MAX_LIST >> 20} MB; write it as JSON lines"
        yield Read(name, reason="oversized_file", detail=detail)
        return
    try:
        records = parse(content)
    except NotJson as error:
        yield Read(name, reason="unreadable_file", detail=f"{name} is no JSON list: {error}")
    else:
        yield from (Read(f"{name}#{number}", record) for number, record in enumerate(records, start=1))


def _open(file: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _is_list(stream: BinaryIO) -> bool:
    """Whether the first sign is a bracket; the stream is at its start again afterwards."""
    while (sign := stream.read(1)).isspace() or sign in (b"\xef", b"\xbb", b"\xbf"):
        pass
    stream.seek(0)
    return sign == b"["


def _only_object(stream: BinaryIO, limit: int) -> Any:
    """The record of a file that is one JSON object over several lines, as people indent it; None if it is another kind.

    The stream is at its start again afterwards.
    """
    first = stream.readline(limit + 1).removeprefix(_BOM).strip()
    try:
        if not first.startswith(b"{") or parse(first):
            return None
    except NotJson:
        stream.seek(0)
        whole = stream.read(limit + 1)
        try:
            found = parse(whole.removeprefix(_BOM)) if len(whole) <= limit else None
        except NotJson:
            return None
        return found if isinstance(found, dict) else None
    finally:
        stream.seek(0)
    return None


def _lines(stream: BinaryIO, name: str, limit: int) -> Iterator[Read]:
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        place = f"{name}#{number}"
        if len(line) > limit:
            while line and not line.endswith(b"\n"):
                line = stream.readline(limit)
            yield Read(place, reason="oversized_record", detail=f"line {number} has more than {limit >> 20} MB")
        elif stripped := line.removeprefix(_BOM).strip():
            try:
                yield Read(place, parse(stripped))
            except NotJson as error:
                yield Read(place, reason="not_json", detail=f"line {number}: {error}")


def _row(place: str, row: dict[str, Any]) -> Read:
    try:
        return Read(place, of_columns(row))
    except NotJson as error:
        return Read(place, reason="not_json", detail=str(error))


def _parquet(file: Path, name: str, limit: int) -> Iterator[Read]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield _row(f"{name}#{number}", row)
    except pa.ArrowException as error:
        yield Read(name, reason="unreadable_file", detail=f"{name} cannot be read further: {error}")
