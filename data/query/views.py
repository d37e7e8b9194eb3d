"""The views that SQL sees: explicit lists of finished Parquet files under empty typed tables.

Each view starts from an empty typed table, so an empty project answers with no rows instead of an error, and a file
written before a column existed shows null there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data import paths
from data.parquet import shards
from data.warehouse import SCHEMA_SQL, TABLES, quote

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

VIEWS: tuple[str, ...] = (
    *TABLES,
    "dataset_versions",
    "rollouts",
    "evaluations",
    "validations",
    "pass_rates",
    "episodes",
    "runs",
)
_NEWEST_EPISODE = "QUALIFY row_number() OVER (PARTITION BY episode_id ORDER BY created_at DESC) = 1"
_NEWEST_VALIDATION = (
    "QUALIFY row_number() OVER (PARTITION BY run_id, step, decision_point_id ORDER BY created_at DESC) = 1"
)
_NEWEST_EVALUATION = (
    "QUALIFY row_number() OVER (PARTITION BY run_id, decision_point_id, thinking, variant "
    "ORDER BY created_at DESC, evaluation_id DESC) = 1"
)


@dataclass(frozen=True)
class View:
    """Columns of a view as the view's SELECT list, its files, and what follows the FROM clause."""

    files: Sequence[Path]
    columns: str = "*"
    condition: str = ""


def select(name: str, view: View) -> str:
    """The SELECT of a view: its empty typed table and its files."""
    sources = f"SELECT {view.columns} FROM typed.{name}"
    if view.files:
        listed = ", ".join(quote(str(path)) for path in view.files)
        sources += f" UNION ALL BY NAME SELECT {view.columns} FROM read_parquet([{listed}], union_by_name = true)"
    return f"SELECT * FROM ({sources}) {view.condition}"


def view_of(connection: duckdb.DuckDBPyConnection, name: str) -> View:
    """What the view reads; tables that are in no file are filled here.

    Raises:
        data.snapshot.SnapshotError: A published dataset is damaged.
        ValueError: A directory or file of rollouts has no name of ours.
    """
    if name == "rollouts":
        return View(_rollout_files())
    if name == "evaluations":
        directories = sorted(path for path in paths.evaluations().glob("*") if path.is_dir())
        return View([shard for path in directories for shard in shards(path)], condition=_NEWEST_EVALUATION)
    if name == "validations":
        from data.validations import validation_files

        return View(validation_files(), condition=_NEWEST_VALIDATION)
    if name == "pass_rates":
        return View(shards(paths.pass_rates()))
    if name == "episodes":
        from data.episodes import episode_files

        return View(episode_files(), condition=_NEWEST_EPISODE)
    if name == "dataset_versions":
        _fill_dataset_versions(connection)
        return View([])
    if name == "runs":
        from data.runs import run_table

        _fill(connection, name, run_table())
        return View([])
    return View(_snapshot_files(name), columns="* EXCLUDE (record)" if name == "conversations" else "*")


def _rollout_files() -> list[Path]:
    from data.rollouts import current_files

    runs = sorted(path.name for path in paths.rollouts().glob("*") if path.is_dir())
    return [file for run_id in runs for file in current_files(run_id)]


def _snapshot_files(table: str) -> list[Path]:
    """Files of the newest snapshot of each source; one published before a table existed has none of it."""
    from data.snapshot import published, read_manifest

    newest = {version.source: version.version for version in published()}
    file = f"{table}.parquet"
    return [paths.dataset(version) / file for version in newest.values() if file in read_manifest(version).files]


def create_typed(connection: duckdb.DuckDBPyConnection) -> None:
    """An empty table per view in schema ``typed``: the columns, whatever files there are."""
    from data.episodes import EPISODE_SCHEMA
    from data.evaluations import EVALUATION_SCHEMA
    from data.pass_rates import PASS_RATE_SCHEMA
    from data.rollouts import ROLLOUT_SCHEMA
    from data.runs import run_schema
    from data.validations import VALIDATION_SCHEMA

    connection.execute("CREATE SCHEMA typed")
    connection.execute("USE typed")
    connection.execute(SCHEMA_SQL.read_text(encoding="utf-8"))
    connection.execute("USE main")
    stored = {
        "rollouts": ROLLOUT_SCHEMA,
        "evaluations": EVALUATION_SCHEMA,
        "validations": VALIDATION_SCHEMA,
        "pass_rates": PASS_RATE_SCHEMA,
        "runs": run_schema(),
        "episodes": EPISODE_SCHEMA,
    }
    for name, schema in stored.items():
        connection.register("columns_of", schema.empty_table())
        connection.execute(f"CREATE TABLE typed.{name} AS SELECT * FROM columns_of")
        connection.unregister("columns_of")


def _fill_dataset_versions(connection: duckdb.DuckDBPyConnection) -> None:
    from data.rows import version_table
    from data.snapshot import published

    if versions := published():
        _fill(connection, "dataset_versions", version_table(versions))


def _fill(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    connection.register("stored_rows", rows)
    connection.execute(f"INSERT INTO typed.{name} BY NAME SELECT * FROM stored_rows")
    connection.unregister("stored_rows")
