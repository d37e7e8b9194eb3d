"""Parquet files that are either whole or not there: write to a hidden name, flush, rename.

Shared by everything that publishes files under ``var/``. Readers list ``*.parquet`` and never see a hidden name, so a
process killed while writing leaves litter at worst, not a torn file.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSION = "zstd"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PART = re.compile(r"\.?part-(?P<number>\d+)\.parquet(\.writing)?")


class RowError(ValueError):
    """Rows do not fit the table they were meant for; says which column and how."""


class DamagedFile(RuntimeError):
    """A stored file cannot be read; names the file and the cure."""


def check_name(name: str, meaning: str) -> str:
    """``name`` if it can name a directory safely.

    Raises:
        ValueError: It is empty, hidden, or would leave its parent directory.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{meaning} {name!r} cannot name a directory; use letters, digits, '.', '_' and '-'")
    return name


def schema_of(columns: Mapping[str, pa.DataType], nullable: Sequence[str] = ()) -> pa.Schema:
    """Schema of these columns, null allowed only where named."""
    import pyarrow as pa

    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns.items()])


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """``rows`` as a table of exactly this schema.

    Raises:
        RowError: No rows, a missing or unknown column, a value of another type, or null where a value is required.
    """
    import pyarrow as pa

    if not rows:
        raise RowError("there are no rows to write")
    expected = set(schema.names)
    for index, row in enumerate(rows):
        if row.keys() != expected:
            raise RowError(_key_difference(index, set(row), expected))
    columns = []
    for field in schema:
        values = [row[field.name] for row in rows]
        try:
            column = pa.array(values, type=field.type)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
            raise RowError(f"column {field.name!r} must hold {field.type}: {error}") from error
        if column.null_count and not field.nullable:
            raise RowError(f"column {field.name!r} must not be null, row {values.index(None)} is")
        columns.append(column)
    return pa.table(columns, schema=schema)


def write_new(table: pa.Table, path: Path) -> bool:
    """Write ``table`` to ``path`` unless that name is taken; True if it was written.

    The hidden name beside it is created exclusively and serves as the claim, so of two writers who want the same name
    one gets False and picks another. A claim left by a killed writer keeps its name taken.
    """
    import pyarrow.parquet as pq

    hidden = hidden_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = hidden.open("xb")
    except FileExistsError:
        return False
    try:
        if path.exists():  # finished by another writer between our caller's listing and our claim
            return False
        with file:
            pq.write_table(table, file, compression=COMPRESSION)
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
        sync_directory(path.parent)
        return True
    finally:
        file.close()
        hidden.unlink(missing_ok=True)


def write_over(table: pa.Table, path: Path) -> None:
    """Write ``table`` to ``path`` in the place of what was there; a kill leaves the old file or the new one."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = hidden_name(path)
    with hidden.open("wb") as file:
        pq.write_table(table, file, compression=COMPRESSION)
        file.flush()
        os.fsync(file.fileno())
    hidden.replace(path)
    sync_directory(path.parent)


def append_part(table: pa.Table, directory: Path) -> Path:
    """Write ``table`` as the next ``part-N.parquet`` of a directory, one more than the highest begun, finished or not.

    Returns:
        The new file; it exists only once it is whole.
    """
    found = [_PART.fullmatch(path.name) for path in directory.glob("*part-*")] if directory.is_dir() else []
    number = max((int(name["number"]) for name in found if name), default=0) + 1
    while not write_new(table, path := directory / f"part-{number:06d}.parquet"):
        number += 1
    return path


def hidden_name(path: Path) -> Path:
    """Where ``path`` is written before it is renamed."""
    return path.with_name(f".{path.name}.writing")


def shards(directory: Path) -> list[Path]:
    """Finished Parquet files of a directory by name; empty if there is no such directory."""
    return sorted(path for path in directory.glob("*.parquet") if not path.name.startswith("."))


def read_shards(paths: Sequence[Path], schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """The files of one schema, one after the other; typed and empty for no files.

    A column that may be null is null in files written before it existed.

    Raises:
        DamagedFile: One of them is not a readable Parquet file.
    """
    import pyarrow as pa

    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    return pa.concat_tables([wanted.empty_table(), *(_read(path, wanted) for path in paths)])


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            there = file.read(columns=[name for name in schema.names if name in file.schema_arrow.names])
            for field in schema:
                if field.nullable and field.name not in there.column_names:
                    there = there.append_column(field, pa.nulls(there.num_rows, field.type))
            return there.select(schema.names).cast(schema)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise DamagedFile(f"{damage(path)} ({error})") from error


def set_aside_damaged(files: Sequence[Path]) -> list[Path]:
    """Hide the files that cannot be read, so that what they held can be made again; returns where they were.

    A kill leaves no such file, a disk may. The bytes are kept beside it, under a hidden name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    damaged = []
    for path in files:
        try:
            pq.read_table(path)
        except (pa.ArrowException, OSError):
            path.rename(path.with_name(f".{path.name}.damaged"))
            damaged.append(path)
    return damaged


def damage(path: Path) -> str:
    """What to say about a file that cannot be read."""
    return f"{path} is not a readable Parquet file; move it away (its rows are lost) and try again"


def digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Flush a finished file to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Flush a directory's names to disk, so that a rename outlives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _key_difference(index: int, found: set[str], expected: set[str]) -> str:
    missing, unknown = sorted(expected - found), sorted(found - expected)
    parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
    return f"row {index} {' and '.join(parts)}"
