"""How an export takes its place: whole or not at all, the former one until then; and what its card says."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.base import file_sha256
from models.export import CARD, FACTS, ExportError, Origin, model_card, put_in_place

ROOT = Path(__file__).resolve().parent.parent


def written(text: str) -> Callable[[Path], Path]:
    """Writes an export of one file beside its facts."""

    def write(room: Path) -> Path:
        made = room / "export"
        made.mkdir()
        (made / CARD).write_text(text)
        (made / FACTS).write_text(json.dumps({"sha256": {CARD: file_sha256(made / CARD)}}))
        return made

    return write


def fails(number: int) -> Callable[..., None]:
    def failing(*args: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An export that is there already."""
    return put_in_place(tmp_path / "mine", written("former"))


def alone(target: Path) -> bool:
    """Whether the export is the former one, with nothing left beside it."""
    return (target / CARD).read_text() == "former" and [one.name for one in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize(
    ("room", "name", "stand_in", "why"),
    [
        (tempfile, "TemporaryDirectory", fails(errno.EACCES), "Permission denied"),
        (Path, "rename", fails(errno.EBUSY), "Device or resource busy"),
        (os, "access", lambda *args: False, "Permission denied"),
    ],
    ids=["read-only parent", "mount point", "read-only export"],
)
def test_a_folder_that_cannot_be_replaced_is_named_and_stays(
    target: Path, room: object, name: str, stand_in: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(room, name, stand_in)
        with pytest.raises(ExportError, match=rf"mine cannot be made \({why}\): name another folder with --to"):
            put_in_place(target, written("new"))
    assert alone(target)


@pytest.mark.parametrize("step", ["mkdir", "write", "rename"])
def test_a_full_disk_is_told_as_such(target: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        if step != "write":
            patch.setattr(Path, step, fails(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            put_in_place(target, fails(errno.ENOSPC) if step == "write" else written("new"))
    assert alone(target)


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError])
def test_the_former_comes_back_where_the_new_one_cannot_take_its_place(
    target: Path, end: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.rename

    def rename(self: Path, to: Path) -> Path:
        if self.name == "export":
            raise end
        return real(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises((KeyboardInterrupt, ExportError)):
            put_in_place(target, written("new"))
    assert alone(target)


KILLED = """
import os, sys
from pathlib import Path
from models.export import put_in_place

real = Path.rename

def rename(self, to):
    if self.name == "export":
        os._exit(9)
    return real(self, to)

Path.rename = rename
put_in_place(Path(sys.argv[1]), lambda room: (room / "export").mkdir() or room / "export")
"""


def test_a_kill_between_the_two_leaves_the_former_whole(target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert not target.exists()
    aside = target.with_name(".mine.replaced")
    assert (aside / CARD).read_text() == "former"
    put_in_place(target, written("new"))
    assert (target / CARD).read_text() == "new"
    assert not aside.exists()


def test_what_was_edited_since_is_not_overwritten(target: Path) -> None:
    (target / CARD).write_text("former, in my own words")
    with pytest.raises(ExportError, match=r"no part of an earlier export \(README.md, changed since\)"):
        put_in_place(target, written("new"))
    assert (target / CARD).read_text() == "former, in my own words"


def test_the_card_says_how_clients_name_what_is_served() -> None:
    origin = Origin("my agent", "grpo", "r" * 32, "d" * 12, True, "random:qwen3", "c0ffee", 128)
    card = model_card(origin)
    assert "    transformers serve './my agent' --port 8000\n" in card
    assert "name the model `./my agent`, to the letter" in card
