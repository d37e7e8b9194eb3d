"""Work shared out among processes: same results, same order, and an end that says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data import paths, reading, snapshot, warehouse
from data.decision_points import decision_points
from data.ingest import ingest
from data.quality import check
from data.reporting import Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources import SourceError, get_source
from data.sources.sgd.raw import sgd_root
from data.versions import describe_version
from data.workers import WorkerDied, in_order

MINI = Path(__file__).parent / "fixtures" / "sgd"
SETTINGS = DataSettings(source="sgd", path=MINI, duplicates="report")
KILLED = """
import sys
from pathlib import Path
from data import ingest, reading, warehouse
from data.reporting import Silent
from data.settings import DataSettings

def stop(*_, **__):
    print("ready", flush=True)
    sys.stdin.readline()

module, name = sys.argv[2].split(":")
setattr({"reading": reading, "warehouse": warehouse, "ingest": ingest}[module], name, stop)
ingest.ingest(DataSettings(source="sgd", path=Path(sys.argv[1]), max_result_rows=1, duplicates="report"), Silent())
"""


def test_results_come_in_order_from_processes_of_their_own() -> None:
    assert list(in_order(abs, [-3, -1, -2], 2)) == [3, 1, 2]
    assert str(os.getpid()) not in set(in_order(os.readlink, ["/proc/self", "/proc/self"], 2))
    assert set(in_order(os.readlink, ["/proc/self", "/proc/self"], 1)) == {str(os.getpid())}


def test_what_a_task_raises_is_raised_here() -> None:
    with pytest.raises(SourceError, match="--path DIR"):
        list(in_order(sgd_root, [Path("nowhere"), Path("nowhere")], 2))


def test_a_killed_worker_is_an_error_that_says_so() -> None:
    with pytest.raises(WorkerDied, match="killed by signal 9"):
        list(in_order(signal.raise_signal, [signal.SIGKILL, signal.SIGKILL], 2))


def rows(version: str) -> dict[str, list[dict[str, Any]]]:
    """Every table of a snapshot without what only names or dates the version."""
    tables = {table: pq.read_table(paths.dataset(version) / f"{table}.parquet") for table in warehouse.TABLES}
    return {name: table.drop_columns(["dataset_version"]).to_pylist() for name, table in tables.items()}


def plainly_stored() -> str:
    """A version made without chunks: read, check, cut, store, one object after the other."""
    kept: list[Conversation] = []
    rejected: list[Quarantined] = []
    for item in get_source("sgd").read(SETTINGS, Silent()):
        fault = item if isinstance(item, Quarantined) else check(item)
        if fault is not None:
            rejected.append(fault)
        elif isinstance(item, Conversation):
            kept.append(item)
    points = [point for conversation in kept for point in decision_points(conversation)]
    version = warehouse.store(describe_version("plain", "f", SETTINGS), kept, points, rejected)
    snapshot.publish(version.version)
    return version.version


def test_processes_chunks_and_a_plain_loop_give_the_same_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alone = rows(ingest(SETTINGS, Silent()).dataset_version)
    plain = rows(plainly_stored())
    monkeypatch.setenv("APPRENTICE_VAR", str(tmp_path / "other"))
    monkeypatch.setattr(reading, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(reading, "_TASK", 1)
    shared = rows(ingest(SETTINGS.model_copy(update={"processes": 2}), Silent()).dataset_version)
    assert shared == alone
    assert {name: table for name, table in plain.items() if name != "flags"} == {
        name: table for name, table in alone.items() if name != "flags"
    }


@pytest.mark.parametrize("where", ["reading:write_chunks", "warehouse:store_chunks", "ingest:_to_freeze"])
def test_a_kill_leaves_the_previous_version_whole(where: str, isolated_var: Path) -> None:
    before = ingest(SETTINGS, Silent())
    held = rows(before.dataset_version)
    environment = {**os.environ, "PYTHONPATH": str(paths.PROJECT_ROOT)}
    command = [sys.executable, "-c", KILLED, str(MINI), where]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    assert rows(before.dataset_version) == held
    snapshot.verify(before.dataset_version)
    assert {one.version for one in warehouse.stored_versions()} >= {before.dataset_version}
    settings = SETTINGS.model_copy(update={"max_result_rows": 1})
    after = ingest(settings, Silent())
    assert snapshot.latest() == after.dataset_version
    assert ingest(settings, Silent()).reused
    drafts = [path for path in paths.datasets().iterdir() if path.name.startswith(".")]
    for draft in drafts:
        os.utime(draft, (time.time() - 200_000,) * 2)
    ingest(SETTINGS.model_copy(update={"max_result_rows": 2}), Silent())
    assert not [path for path in paths.datasets().iterdir() if path.name.startswith(".")]
