"""Old warehouses open with newer code: each step is numbered, keeps what is stored, leads to the present schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from data import migrations, paths, warehouse
from data.migrations import migrate, newest, steps
from data.warehouse import SCHEMA_SQL, WarehouseError

#: The tables of layout 1 as its code created them, and a conversation with a call in them.
LAYOUT_1 = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);
CREATE TABLE dataset_versions (version VARCHAR NOT NULL, source VARCHAR NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL, conversations BIGINT NOT NULL, decision_points BIGINT NOT NULL,
    quarantined BIGINT NOT NULL, fingerprint VARCHAR NOT NULL, code_version VARCHAR NOT NULL, settings JSON NOT NULL,
    counts JSON NOT NULL);
CREATE TABLE conversations (dataset_version VARCHAR NOT NULL, conversation_id VARCHAR NOT NULL, source VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL, split VARCHAR NOT NULL, domains VARCHAR[] NOT NULL, num_messages INTEGER NOT NULL,
    num_tools INTEGER NOT NULL, num_calls INTEGER NOT NULL, record VARCHAR NOT NULL);
CREATE TABLE messages (dataset_version VARCHAR NOT NULL, conversation_id VARCHAR NOT NULL,
    message_index INTEGER NOT NULL, role VARCHAR NOT NULL, content VARCHAR, tool_call_id VARCHAR,
    num_calls INTEGER NOT NULL, acts VARCHAR[] NOT NULL, requested VARCHAR[] NOT NULL, facts JSON NOT NULL,
    rationale VARCHAR);
CREATE TABLE tools (dataset_version VARCHAR NOT NULL, conversation_id VARCHAR NOT NULL, tool_index INTEGER NOT NULL,
    name VARCHAR NOT NULL, description VARCHAR NOT NULL, parameters JSON NOT NULL, is_write BOOLEAN NOT NULL);
CREATE TABLE calls (dataset_version VARCHAR NOT NULL, conversation_id VARCHAR NOT NULL, message_index INTEGER NOT NULL,
    call_index INTEGER NOT NULL, id VARCHAR NOT NULL, name VARCHAR NOT NULL, arguments JSON NOT NULL,
    arguments_raw VARCHAR NOT NULL, is_write BOOLEAN);
CREATE TABLE decision_points (dataset_version VARCHAR NOT NULL, decision_point_id VARCHAR NOT NULL,
    conversation_id VARCHAR NOT NULL, message_index INTEGER NOT NULL, source VARCHAR NOT NULL, split VARCHAR NOT NULL,
    domain VARCHAR NOT NULL, kind VARCHAR NOT NULL, tool VARCHAR, num_calls INTEGER NOT NULL,
    num_facts INTEGER NOT NULL);
CREATE TABLE quarantine (dataset_version VARCHAR NOT NULL, source VARCHAR NOT NULL, record_id VARCHAR NOT NULL,
    reason VARCHAR NOT NULL, detail VARCHAR NOT NULL);
INSERT INTO dataset_versions VALUES ('0123456789ab', 'sgd', '2026-01-02 03:04:05+00', 1, 0, 0, 'f', 'c', '{}',
    '{"conversations": {"train": 1}}');
INSERT INTO conversations VALUES ('0123456789ab', 'sgd/1', 'sgd', '1', 'train', ['A'], 2, 1, 1, '{}');
INSERT INTO calls VALUES ('0123456789ab', 'sgd/1', 1, 0, 'c1', 'A_Find', '{"town": "Oakham"}', '{"town":"Oakham"}',
    false);
"""


@pytest.fixture
def old(isolated_var: Path) -> Path:
    """A warehouse that the first code wrote."""
    file = paths.warehouse()
    with duckdb.connect(str(file)) as connection:
        connection.execute(LAYOUT_1)
    return file


def columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, bool]]:
    found = connection.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE table_name <> 'schema_version' AND NOT internal ORDER BY table_name, column_index"
    )
    return found.fetchall()


def test_an_old_warehouse_gets_the_schema_of_a_new_one_and_keeps_what_it_holds(old: Path, tmp_path: Path) -> None:
    with warehouse.connect() as connection:
        migrated = columns(connection)
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(newest(),)]
        kept = connection.execute("SELECT arguments->>'town', accepted FROM calls").fetchall()
        assert kept == [("Oakham", None)]
    with duckdb.connect(str(tmp_path / "new.duckdb")) as connection:
        connection.execute(SCHEMA_SQL.read_text(encoding="utf-8"))
        assert migrated == columns(connection)
    assert [version.version for version in warehouse.stored_versions()] == ["0123456789ab"]
    exported = tmp_path / "exported"
    exported.mkdir()
    assert warehouse.export("0123456789ab", exported).counts == {"conversations": {"train": 1}}


def test_every_step_runs_once_and_in_order(old: Path) -> None:
    with duckdb.connect(str(old)) as connection:
        assert migrate(connection, 1, old) == list(range(2, newest() + 1))
        assert migrate(connection, newest(), old) == []


def test_a_new_warehouse_is_of_the_newest_layout(isolated_var: Path) -> None:
    with warehouse.connect() as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(newest(),)]


def test_a_newer_layout_is_refused_and_untouched(old: Path) -> None:
    with duckdb.connect(str(old)) as connection:
        connection.execute("UPDATE schema_version SET version = ?", [newest() + 1])
    expected = rf"has layout {newest() + 1}, this code knows up to {newest()}; update the code, or set APPRENTICE_VAR"
    with pytest.raises(WarehouseError, match=expected), warehouse.connect():
        pass
    with duckdb.connect(str(old)) as connection:
        assert connection.execute("SELECT count(*) FROM conversations").fetchone() == (1,)
        assert "metadata" not in [name for _, name, _, _ in columns(connection)]


@pytest.fixture
def other_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    directory = tmp_path / "migrations"
    directory.mkdir()
    monkeypatch.setattr(migrations, "MIGRATIONS_SQL", directory)
    monkeypatch.setattr(migrations, "steps", lambda: steps(directory))
    yield directory
    steps.cache_clear()


def test_a_step_that_fails_leaves_the_old_layout(old: Path, other_steps: Path) -> None:
    (other_steps / "0002_good.sql").write_text("ALTER TABLE calls ADD COLUMN extra INTEGER", encoding="utf-8")
    (other_steps / "0003_bad.sql").write_text("ALTER TABLE nowhere ADD COLUMN extra INTEGER", encoding="utf-8")
    with pytest.raises(duckdb.CatalogException), warehouse.connect():
        pass
    with duckdb.connect(str(old)) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [(1,)]
        assert "extra" not in [name for _, name, _, _ in columns(connection)]


@pytest.mark.parametrize("names", [["0003_gap.sql"], ["0002_a.sql", "0002_b.sql"], ["2_short.sql"]])
def test_steps_are_numbered_without_gaps(other_steps: Path, names: list[str]) -> None:
    for name in names:
        (other_steps / name).write_text("SELECT 1", encoding="utf-8")
    with pytest.raises(ValueError, match=r"numbered from 0002 without gaps|name it NNNN_what\.sql"):
        steps(other_steps)
