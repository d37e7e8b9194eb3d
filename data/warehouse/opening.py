"""How the warehouse file is opened, for how long, and what is said where it cannot be."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from data import migrations, paths
from data.warehouse.layout import SCHEMA_SQL

if TYPE_CHECKING:
    import duckdb

WAIT_SECONDS = 10.0
_RETRY_SECONDS = 0.2
#: What DuckDB may hold; beyond it spills beside the file.
MEMORY = "800MB"


class WarehouseError(RuntimeError):
    """The warehouse cannot do what was asked; the message says why and what to do."""


class WarehouseBusy(WarehouseError):
    """Another process holds the warehouse file."""


@contextmanager
def connect(wait_seconds: float = WAIT_SECONDS, path: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """The open warehouse with its tables in place, closed at the end of the block.

    Raises:
        WarehouseBusy: Another process holds the file for longer than ``wait_seconds``.
        WarehouseError: The file is damaged, not a DuckDB file, or of a newer layout than this code knows.
    """
    file = path or paths.warehouse()
    if not file.exists():
        _create(file)
    with interruptible(), _explaining_damage(file), closing(_open(file, wait_seconds)) as connection:
        connection.execute(f"SET memory_limit = {quote(MEMORY)}")
        _prepare(connection, file)
        yield connection


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C stays Ctrl-C: DuckDB turns it into a RuntimeError while it executes."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from error
        raise


def log_of(file: Path) -> Path:
    """Where DuckDB keeps what is committed and not yet in the file itself; it fits this file and no other."""
    return file.with_name(f"{file.name}.wal")


def quote(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of the block or nothing of it."""
    connection.begin()
    try:
        yield
    except BaseException:  # Ctrl-C too must leave what was stored before
        connection.rollback()
        raise
    connection.commit()


def _create(file: Path) -> None:
    """Make an empty warehouse aside and give it its name once it is whole: a full disk or a kill leaves no torn one."""
    import duckdb

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent) as place:
        made = Path(place) / file.name
        with interruptible(), _explaining_damage(file), closing(duckdb.connect(str(made))) as connection:
            _prepare(connection, made)
        with suppress(FileExistsError):  # another process was quicker, and may be writing into its own already
            os.link(made, file)


def _open(file: Path, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    import duckdb

    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(str(file))
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            if time.monotonic() >= deadline:
                raise WarehouseBusy(_busy_message(file, str(error), wait_seconds)) from error
            time.sleep(_RETRY_SECONDS)


@contextmanager
def _explaining_damage(file: Path) -> Iterator[None]:
    """Damage shows when the file is opened or only when it is read, as an I/O error or as DuckDB's bare ``Error``."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        if isinstance(error, duckdb.IOException | duckdb.FatalException) or type(error) is duckdb.Error:
            log = f", with {log_of(file)} beside it," if log_of(file).exists() else ""
            raise WarehouseError(
                f"{file} cannot be read or written ({error}); free the disk if it is full, else move the file away"
                f"{log} and ingest again: published snapshots are not affected"
            ) from error
        raise


def _busy_message(file: Path, error: str, wait_seconds: float) -> str:
    holder = re.search(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)", error)
    who = f"process {holder['pid']} ({Path(holder['program']).name})" if holder else "another process"
    return (
        f"{file} is held by {who}, still so after {wait_seconds:g} s of waiting; close that program or let it finish, "
        f"then run the command again. Nothing was changed. To look at data meanwhile use `apprentice query`"
    )


def _prepare(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """Create the tables of a new file, bring an older layout up to date, refuse one from the future."""
    with transaction(connection):
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        found = connection.execute("SELECT max(version) FROM schema_version").fetchone()
        layout = found[0] if found else None
        if layout is None:
            connection.execute(SCHEMA_SQL.read_text(encoding="utf-8"))
            connection.execute("INSERT INTO schema_version VALUES (?)", [migrations.newest()])
            return
        try:
            migrations.migrate(connection, layout, file)
        except migrations.NewerLayout as error:
            raise WarehouseError(str(error)) from error
