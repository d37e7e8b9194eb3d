"""A dataset version's name follows content, settings and code, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from data import versions
from data.settings import DataSettings
from data.versions import code_version, compute_version, describe_version


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A data room with one file of each kind that shapes rows."""
    for name in ("sources/sgd/read.py", "practice/domains/hotel/world.yaml", "schema.py", "quality.py"):
        file = tmp_path / "room" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {name}\n")
    return tmp_path / "room"


def test_version_is_twelve_hexadecimal_characters() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", compute_version("sgd", "f", DataSettings()))


def test_version_ignores_where_the_files_lie_and_when() -> None:
    here = compute_version("sgd", "f", DataSettings(source="sgd", path=Path("here")))
    there = compute_version("sgd", "f", DataSettings(source="sgd", path=Path("there"), seed=7))
    assert here == there == describe_version("sgd", "f", DataSettings(source="sgd")).version


@pytest.mark.parametrize(
    ("source", "fingerprint", "settings"),
    [
        ("simulated", "f", DataSettings()),
        ("sgd", "g", DataSettings()),
        ("sgd", "f", DataSettings(conversations=5)),
        ("sgd", "f", DataSettings(max_result_rows=4)),
    ],
)
def test_version_follows_source_content_and_settings(source: str, fingerprint: str, settings: DataSettings) -> None:
    assert compute_version(source, fingerprint, settings) != compute_version("sgd", "f", DataSettings())


def test_version_follows_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compute_version("sgd", "f", DataSettings())
    monkeypatch.setattr(versions, "code_version", lambda: "other code")
    assert compute_version("sgd", "f", DataSettings()) != before


@pytest.mark.parametrize("name", ["schema.py", "sources/sgd/read.py", "practice/domains/hotel/world.yaml"])
def test_code_version_follows_every_shaping_file(room: Path, name: str) -> None:
    before = code_version(room)
    (room / name).write_text("# changed\n")
    assert code_version(room) != before


def test_code_version_follows_names_and_new_files(room: Path) -> None:
    before = code_version(room)
    (room / "quality.py").rename(room / "decision_points.py")
    renamed = code_version(room)
    (room / "sources" / "taskmaster.py").touch()
    assert len({before, renamed, code_version(room)}) == 3


def test_code_version_ignores_caches_and_storage_code(room: Path) -> None:
    before = code_version(room)
    for name in (
        "sources/__pycache__/sgd.cpython-311.pyc",
        "sources/.hidden",
        "warehouse/storing.py",
        "query/views.py",
    ):
        (room / name).parent.mkdir(exist_ok=True)
        (room / name).write_text("x")
    assert code_version(room) == before


def test_description_keeps_the_resolved_settings_as_json() -> None:
    version = describe_version("sgd", "f", DataSettings(source="sgd", path=Path("raw/sgd"), conversations=3))
    assert version.settings["path"] == "raw/sgd"
    assert version.settings["conversations"] == 3
    assert version.created_at.endswith("+00:00")
    assert version.total("conversations") == 0
