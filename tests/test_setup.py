"""Set-up: the build of torch is chosen with care, nothing is downloaded unannounced, ``make`` calls what it says."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
SET_UP = runpy.run_path(str(ROOT / ".ci/set_up.py"))


def report(*requires: str) -> dict[str, Any]:
    return {"install": [{"metadata": {"name": "torch", "version": "2.13.0", "requires_dist": list(requires)}}]}


def test_a_cuda_build_is_recognised_by_what_it_requires() -> None:
    assert SET_UP["brings_cuda"](report("filelock", 'nvidia-nccl-cu13==2.29.7; platform_system == "Linux"'))
    assert SET_UP["brings_cuda"](report("cuda-toolkit[cublas]==13.0.3"))


def test_a_cpu_build_is_recognised() -> None:
    assert not SET_UP["brings_cuda"](report("filelock", "sympy>=1.13.3", 'nvidia-ml-py; extra == "monitor"'))
    assert not SET_UP["brings_cuda"]({"install": [{"metadata": {"name": "torch"}}]})


def test_gigabytes_are_announced_with_the_way_round_them() -> None:
    text = SET_UP["announcement"]("2.13.0", cuda=True, driver=False)
    assert "2.7 GB" in text
    assert "TORCH_INDEX_URL" in text


@pytest.mark.parametrize(("cuda", "driver"), [(False, False), (False, True), (True, True)])
def test_no_advice_where_none_is_needed(cuda: bool, driver: bool) -> None:
    text = SET_UP["announcement"]("2.13.0", cuda=cuda, driver=driver)
    assert "to download" in text
    assert "TORCH_INDEX_URL" not in text


def test_the_announced_size_was_measured_for_the_pinned_torch() -> None:
    assert SET_UP["MEASURED_FOR"] == SET_UP["pinned"]("torch", CONSTRAINTS)


def test_a_missing_pin_names_the_cure() -> None:
    with pytest.raises(SystemExit, match=r"pins no torch; add a line torch==VERSION"):
        SET_UP["pinned"]("torch", "numpy==2.4.6\n")


class FakePip:
    """Stands in for the environment's pip: answers the question about torch and remembers what it was told."""

    def __init__(self, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.answer = answer
        self.capsys = capsys
        self.calls: list[tuple[str, ...]] = []
        self.said_before: list[str] = []

    def __call__(self, *arguments: str, doing: str, capture: bool = False) -> str:
        self.calls.append(arguments)
        self.said_before.append(self.capsys.readouterr().out)
        return self.answer if capture else ""


@pytest.fixture
def fake_pip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> FakePip:
    fake = FakePip('{"install": [{"metadata": {"requires_dist": ["nvidia-nccl-cu13"]}}]}', capsys)
    inside = SET_UP["install_torch"].__globals__
    monkeypatch.setitem(inside, "pip", fake)
    monkeypatch.setitem(inside, "VENV", tmp_path)
    monkeypatch.setitem(inside, "driver_present", lambda: False)
    monkeypatch.setitem(inside, "offered", lambda requirement, source: False)
    monkeypatch.setitem(inside, "PAUSE_SECONDS", 0)
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
    return fake


def test_the_size_is_said_before_torch_is_downloaded(fake_pip: FakePip) -> None:
    SET_UP["install_torch"]("2.13.0")
    question, installation = fake_pip.calls
    assert "--dry-run" in question
    assert "--dry-run" not in installation
    assert "2.7 GB" in fake_pip.said_before[1]


def test_the_users_index_is_used_for_torch_alone(fake_pip: FakePip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_INDEX_URL", "file:///wheels/cpu")
    SET_UP["install_torch"]("2.13.0")
    question, installation = fake_pip.calls
    for arguments in (question, installation):
        assert arguments[arguments.index("--index-url") + 1] == "file:///wheels/cpu"
        assert "--no-deps" in arguments
        assert arguments[-1] == "torch==2.13.0"


def test_a_cpu_build_is_preferred_where_the_index_has_one(fake_pip: FakePip, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = SET_UP["install_torch"].__globals__
    monkeypatch.setitem(inside, "offered", lambda requirement, source: requirement == "torch==2.13.0+cpu")
    SET_UP["install_torch"]("2.13.0")
    assert fake_pip.calls[-1][-1] == "torch==2.13.0+cpu"
    monkeypatch.setitem(inside, "driver_present", lambda: True)
    SET_UP["install_torch"]("2.13.0")
    assert fake_pip.calls[-1][-1] == "torch==2.13.0"


def test_an_installed_torch_is_left_alone(fake_pip: FakePip, tmp_path: Path) -> None:
    (tmp_path / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info").mkdir(parents=True)
    SET_UP["install_torch"]("2.13.0")
    assert fake_pip.calls == []


def test_a_failing_pip_names_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setitem(SET_UP["pip"].__globals__, "VENV", tmp_path)
    with pytest.raises(SystemExit, match=r"installing it failed.*make clean-venv"):
        SET_UP["pip"]("install", "it", doing="installing it")


def test_an_environment_of_another_python_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib/python3.13").mkdir(parents=True)
    monkeypatch.setitem(SET_UP["make_environment"].__globals__, "VENV", tmp_path)
    with pytest.raises(SystemExit, match="make clean-venv"):
        SET_UP["make_environment"]()


def test_every_declared_dependency_is_pinned_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = dict(line.split("==") for line in CONSTRAINTS.splitlines() if "==" in line)
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    declared = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    for requirement in map(Requirement, declared):
        pin = versions.get(canonicalize_name(requirement.name))
        assert pin is not None, f"constraints.txt pins no {requirement.name}"
        assert requirement.specifier.contains(pin), f"{requirement} excludes the pin {pin}"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], ".venv/bin/apprentice run --profile laptop --source simulated"),
        (
            ["SOURCE=sgd", "DATA=../shared/data/sgd"],
            '.venv/bin/apprentice run --profile laptop --source sgd --path "../shared/data/sgd"',
        ),
        (
            ["PROFILE=night", "MINUTES=20", "SEED=3"],
            ".venv/bin/apprentice run --profile night --source simulated --minutes 20 --seed 3",
        ),
    ],
)
def test_make_run_hands_on_what_it_is_given(arguments: list[str], command: str) -> None:
    # Neither the make that runs these tests nor the developer's shell may lend its variables.
    ours = ("MAKE", "MFLAGS", "PROFILE", "SOURCE", "DATA", "MINUTES", "SEED")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    dry = subprocess.run(
        ["make", "-n", "run", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert dry.stdout.splitlines()[-1] == command


def test_modules_are_compiled_when_they_are_imported_unless_imports_keep_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    assert SET_UP["compiling"]() == ["--no-compile"]
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert SET_UP["compiling"]() == []
