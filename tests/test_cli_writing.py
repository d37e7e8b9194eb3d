"""Where commands write what they found: a place or a limit that cannot be is one message, before any work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app

invoke: Callable = CliRunner().invoke
WIDE = {"COLUMNS": "500", "TERM": "dumb"}
COMMANDS = {"query": ["query", "SELECT 1 AS one"], "list": ["query", "--list"], "report": ["report"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_or_a_place_below_a_file_is_refused(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    folder = invoke(app, [*COMMANDS[command], "--output", str(tmp_path)], env=WIDE)
    assert folder.exit_code == 2
    assert f"{tmp_path} is a folder; name a file in it" in folder.stderr
    for below in ("file/x.csv", "file/more/x.csv"):
        refused = invoke(app, [*COMMANDS[command], "--output", str(tmp_path / below)], env=WIDE)
        assert refused.exit_code == 2
        assert f"cannot be written, {tmp_path / 'file'}: Not a directory" in refused.stderr
    endless = invoke(app, [*COMMANDS[command], "--output", str(tmp_path / ("x" * 300))], env=WIDE)
    assert (endless.exit_code, "File name too long" in endless.stderr) == (2, True)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.name != "var"] == ["file"]


def test_a_pipe_or_a_device_is_refused_since_a_file_would_take_its_place(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    for arguments in [[*one, "--output", str(pipe)] for one in COMMANDS.values()] + [["compare", "--write", str(pipe)]]:
        refused = invoke(app, arguments, env=WIDE)
        assert (refused.exit_code, f"{pipe} is no file" in refused.stderr) == (2, True)
    assert pipe.is_fifo()


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "x.csv"
    assert invoke(app, ["query", "SELECT 1 AS one", "--format", "csv", "--output", str(file)]).exit_code == 0
    assert file.read_text(encoding="utf-8") == "one\n1\n"
    assert invoke(app, ["query", "SELECT nonsense", "--output", str(tmp_path / "other" / "x.csv")]).exit_code == 1
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        ("inf", "inf seconds are no limit"),
        ("1e300", "1e+300 seconds are no limit"),
        ("nan", "greater than or equal to 0.1"),
    ],
)
def test_seconds_that_no_clock_can_wait_are_refused(seconds: str, says: str) -> None:
    refused = invoke(app, ["query", "SELECT 1", "--seconds", seconds], env=WIDE)
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_the_list_of_saved_queries_has_the_form_that_was_asked_for(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    file = tmp_path / "queries.parquet"
    assert invoke(app, ["query", "--list", "--format", "parquet", "--output", str(file)]).exit_code == 0
    listed = pq.read_table(file)
    assert listed.schema.names == ["name", "answers", "parameters"]
    assert "rewards" in listed["name"].to_pylist()
    piped = invoke(app, ["query", "--list", "--format", "parquet"])
    assert piped.stdout_bytes[:4] == b"PAR1"
