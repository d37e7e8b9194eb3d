"""Takes one conversation out of published files, Parquet and JSON lines, each rewritten whole or left as it was.

Columns tell whose a row is: ``conversation_id``, else ``decision_point_id`` (``<conversation id>#<message>``), else
``source`` and ``record_id``. A file that loses all its rows stays, typed and empty, because names and numbers of files
mean something to those who wrote them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.files import write_whole
from data.parquet import COMPRESSION, DamagedFile, damage, hidden_name, sync_directory

if TYPE_CHECKING:
    import pyarrow as pa

_KEYS: tuple[tuple[str, ...], ...] = (("conversation_id",), ("decision_point_id",), ("source", "record_id"))


def is_of(row: dict[str, Any], conversation_id: str) -> bool:
    """Whether a row speaks of the conversation."""
    if "conversation_id" in row:
        return bool(row["conversation_id"] == conversation_id)
    if "decision_point_id" in row:
        return str(row["decision_point_id"]).startswith(f"{conversation_id}#")
    return "record_id" in row and f"{row.get('source')}/{row['record_id']}" == conversation_id


def rows_of(file: Path, conversation_id: str) -> int:
    """How many rows of a Parquet file speak of the conversation; 0 where it has none of the columns that would tell.

    Raises:
        data.parquet.DamagedFile: It cannot be read, so nobody can say.
    """
    return sum(_mask(table, conversation_id).true_count for table in _batches(file, keys_only=True))


def erase_rows(file: Path, conversation_id: str) -> int:
    """Rewrite a Parquet file without the conversation's rows; how many that were (0: the file is untouched).

    Raises:
        data.parquet.DamagedFile: It cannot be read.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    erased = rows_of(file, conversation_id)
    if not erased:
        return 0
    hidden = hidden_name(file)
    try:
        with pq.ParquetFile(file) as old, pq.ParquetWriter(hidden, old.schema_arrow, compression=COMPRESSION) as new:
            for table in _batches(file):
                new.write_table(table.filter(pc.invert(_mask(table, conversation_id))))
        _replace(hidden, file)
    finally:
        hidden.unlink(missing_ok=True)
    return erased


def erase_lines(file: Path, conversation_id: str) -> int:
    """Rewrite a file of JSON lines without the conversation's; how many that were. Lines that are no JSON stay."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not _speaks_of(line, conversation_id)]
    if len(kept) < len(lines):
        write_whole(file, "".join(kept))
    return len(lines) - len(kept)


def _speaks_of(line: str, conversation_id: str) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and is_of(row, conversation_id)


def _batches(file: Path, *, keys_only: bool = False) -> Iterator[pa.Table]:
    """The file's tables, one row group at a time; only the columns that tell whose a row is, if that is enough."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            keys = _keys(opened.schema_arrow.names)
            if keys_only and not keys:
                return
            for group in range(opened.num_row_groups):
                yield opened.read_row_group(group, columns=list(keys) if keys_only else None)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"{damage(file)} ({error})") from error


def _keys(names: list[str]) -> tuple[str, ...]:
    return next((keys for keys in _KEYS if set(keys) <= set(names)), ())


def _mask(table: pa.Table, conversation_id: str) -> pa.BooleanArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = _keys(table.column_names)
    if keys == ("conversation_id",):
        mask = pc.equal(table["conversation_id"], conversation_id)
    elif keys == ("decision_point_id",):
        mask = pc.starts_with(table["decision_point_id"], f"{conversation_id}#")
    elif keys:
        names = pc.binary_join_element_wise(table["source"], table["record_id"], "/")
        mask = pc.equal(names, conversation_id)
    else:
        mask = pa.array([False] * table.num_rows)
    return pa.array(pc.fill_null(mask, False).to_pylist(), pa.bool_())


def _replace(hidden: Path, file: Path) -> None:
    with hidden.open("rb") as written:
        os.fsync(written.fileno())
    hidden.replace(file)
    sync_directory(file.parent)
