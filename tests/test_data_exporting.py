"""A version leaves the warehouse sorted and whole, also one that is larger than what DuckDB may hold."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import paths, warehouse
from data.decision_points import decision_points
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.versions import DatasetVersion, describe_version
from data.warehouse import exporting, opening

REJECTED = [Quarantined(source="sgd", record_id=str(number), reason="unknown_tool", detail="-") for number in (9, 7)]

OPEN = "import sys, duckdb; duckdb.connect(sys.argv[1]).close()"


@pytest.fixture
def version(tiny_conversations: list[Conversation]) -> DatasetVersion:
    """The tiny conversations several times over, stored out of order."""
    many = [
        one.model_copy(update={"id": f"{number}'{one.id}", "record_id": f"{number}'{one.record_id}"})
        for number in (3, 1, 10, 2)
        for one in tiny_conversations
    ]
    points = [point for one in many for point in decision_points(one)]
    return warehouse.store(describe_version("sgd", "parts", DataSettings(source="sgd")), many, points, REJECTED)


def exported(version: DatasetVersion, directory: Path) -> dict[str, pa.Table]:
    directory.mkdir()
    assert warehouse.export(version.version, directory) == version
    return {table: pq.read_table(directory / f"{table}.parquet") for table in warehouse.TABLES}


@pytest.mark.parametrize("part_bytes", [1, 5000])
def test_parts_hold_the_rows_of_one_sort_in_its_order(
    part_bytes: int, version: DatasetVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = exported(version, tmp_path / "whole")
    monkeypatch.setattr(exporting, "PART_BYTES", part_bytes)
    parts = exported(version, tmp_path / "parts")
    for table, order in warehouse.TABLES.items():
        assert parts[table].equals(whole[table])
        keys = list(zip(*(whole[table][column].to_pylist() for column in order), strict=True))
        assert keys == sorted(keys)
        assert table == "flags" or keys


def test_files_say_what_is_json_and_what_is_never_null(version: DatasetVersion, tmp_path: Path) -> None:
    found = exported(version, tmp_path / "out")["conversations"].schema
    assert (found.field("metadata").type, found.field("metadata").nullable) == (pa.json_(), True)
    assert (found.field("record").type, found.field("record").nullable) == (pa.string(), False)


def test_the_file_is_let_go_of_and_a_fault_in_a_thread_is_raised(version: DatasetVersion, tmp_path: Path) -> None:
    (tmp_path / "out" / "tools.parquet").mkdir(parents=True)
    with pytest.raises(OSError, match=r"tools\.parquet"):
        warehouse.export(version.version, tmp_path / "out")
    subprocess.run([sys.executable, "-c", OPEN, str(paths.warehouse())], check=True)


def test_the_same_version_has_the_same_bytes(version: DatasetVersion, tmp_path: Path) -> None:
    exported(version, tmp_path / "one")
    exported(version, tmp_path / "other")
    for table in warehouse.TABLES:
        name = f"{table}.parquet"
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


LONG = """
    INSERT INTO conversations BY NAME
    SELECT $version AS dataset_version, 's/' || hash(i) AS conversation_id, 's' AS source, i::VARCHAR AS record_id,
        'train' AS split, [] AS domains, 1 AS num_messages, 0 AS num_tools, 0 AS num_calls,
        repeat(md5(i::VARCHAR), 250) AS record
    FROM range($rows) rows(i)
"""


def test_more_than_the_memory_of_duckdb_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = warehouse.store(describe_version("s", "long", DataSettings(source="sgd")), [], [], [])
    with warehouse.connect() as connection:
        connection.execute(LONG, {"version": version.version, "rows": 6000})
        connection.execute("CHECKPOINT")
        expected = connection.execute("SELECT conversation_id, md5(record) FROM conversations ORDER BY ALL").fetchall()
    monkeypatch.setattr(opening, "MEMORY", "60MB")
    monkeypatch.setattr(exporting, "PART_BYTES", 5_000_000)
    found = exported(version, tmp_path / "out")["conversations"].select(["conversation_id", "record"]).to_pylist()
    assert [(row["conversation_id"], hashlib.md5(row["record"].encode()).hexdigest()) for row in found] == expected
