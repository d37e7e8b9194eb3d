"""The code digest follows what a stage really imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from data import paths
from tasks import records
from tasks.addresses import TRAINERS
from tasks.code import _reach, code_digest


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "models/__init__.py": "",
        "models/sft.py": "def f():\n    from data import rows\n    return rows.x\n",
        "models/grpo.py": "import models.sft\n",
        "models/tracking.py": "y = 1\n",
        "models/chat.jinja": "{{ messages }}",
        "data/__init__.py": "",
        "data/rows.py": "from models import tracking\nx = 1\n",
        "data/other.py": "z = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(paths, "PROJECT_ROOT", tmp_path)
    code_digest.cache_clear()
    return tmp_path


def digest(name: str) -> str:
    code_digest.cache_clear()
    return code_digest(name)


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("data/rows.py", "from models import tracking\nx = 2\n", True),
        ("models/chat.jinja", "{{ other }}", True),
        ("data/rows.py", "from models import tracking\n\n# only a remark\nx = 1\n", False),
        ("data/other.py", "z = 2\n", False),
        ("models/grpo.py", "import models.sft\nw = 1\n", False),
        ("models/tracking.py", "y = 2\n", False),
    ],
)
def test_digest_changes_with_code_that_is_reached(house: Path, file: str, text: str, changes: bool) -> None:
    before = digest("models.sft")
    (house / file).write_text(text)
    assert (digest("models.sft") != before) is changes
    code_digest.cache_clear()


def test_the_real_stages_reach_their_own_code() -> None:
    code_digest.cache_clear()
    sft = {file.relative_to(paths.PROJECT_ROOT).as_posix() for file in _reach((TRAINERS["sft"].module,))}
    assert {"models/training/sft.py", "models/speech/template.py", "data/schema.py"} <= sft
    assert "models/training/grpo.py" not in sft
    assert not any(file.startswith("data/settings/") for file in sft)


def test_every_stage_has_a_command() -> None:
    assert set(records.COMMANDS) == set(records.EVERY_MODEL) == {"base", *TRAINERS}
