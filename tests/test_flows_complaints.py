"""A full disk is one message with the cure, whatever library met it; and room made, the same command goes through."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
import typer

from data.ingest import ingest
from data.profiles import resolve
from data.reporting import Silent
from data.settings import DataSettings
from flows.complaints import disk_full, plain_errors


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EFBIG, os.strerror(errno.EFBIG)),
        RuntimeError("[enforce fail at inline_container.cc:603] . PytorchStreamWriter failed writing file data/7"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_no_room_is_one_message_with_the_cure(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        try:
            raise error
        except type(error) as cause:
            raise RuntimeError("a checkpoint could not be saved") from cause

    with pytest.raises(typer.Exit) as left, plain_errors():
        fails()
    assert left.value.exit_code == 1
    told = capsys.readouterr().err
    assert "nothing more can be written under" in told
    assert "`apprentice data gc`" in told


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"sft": {"learnin_rate": 1}}, "sft.learnin_rate: no such setting; did you mean sft.learning_rate?"),
        ({"grpo": {"weights": {"fromat": 1}}}, "did you mean grpo.weights.format?"),
        ({"zzz": 1}, "zzz: no such setting; there are profile, seed"),
        ({"sft": "?"}, "sft: this has settings of its own, as in sft.minutes: minutes, max_steps"),
    ],
)
def test_a_mistyped_setting_names_the_one_that_was_meant(overrides, told, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), plain_errors():
        resolve("smoke", overrides)
    assert told in capsys.readouterr().err


def test_other_errors_keep_their_traceback() -> None:
    assert disk_full(PermissionError(errno.EACCES, "denied")) is None
    with pytest.raises(ZeroDivisionError), plain_errors():
        _ = 1 / 0


def test_an_ingestion_on_a_full_file_system_says_so_and_goes_through_once_there_is_room(isolated_var: Path) -> None:
    isolated_var.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "apprentice-test", str(isolated_var)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small tmpfs ({mounted.stderr.strip()})")
    try:
        settings = DataSettings(conversations=24)
        with pytest.raises(Exception, match=r".") as full:
            ingest(settings, Silent())
        assert "nothing more can be written" in (disk_full(full.value) or f"not recognised: {full.value!r}")
        subprocess.run(["mount", "-o", "remount,size=64m", str(isolated_var)], check=True)
        assert sum(ingest(settings, Silent()).conversations.values()) > 0
    finally:
        subprocess.run(["umount", "-l", str(isolated_var)], check=True)
