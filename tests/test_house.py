"""The house itself: rooms come from this checkout, doors stay light, contracts speak of rooms that exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("flows", "tasks", "models", "data")
HEAVY = ("torch", "transformers", "trl", "mlflow", "prefect", "duckdb")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: Directories that no project file may name: they exist on one machine only.
MACHINE_PATH = re.compile(r"(?<![\w.~$}/])/(?:home|root|work|Users|mnt|opt)/\w")


def modules_of(*parts: str) -> list[str]:
    """Dotted names of the modules of a room or of a floor of it."""
    files = sorted(ROOT.joinpath(*parts).rglob("*.py"))
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    return [name.removesuffix(".__init__") for name in names]


def loaded_by(modules: list[str]) -> set[str]:
    """Which heavy packages a fresh interpreter has loaded after importing ``modules``."""
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def tracked() -> list[Path]:
    """Files git tracks, or would track if they were added now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("needs a git checkout")
    return [path for path in (ROOT / name for name in listed.stdout.split("\0") if name) if path.is_file()]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_ours_and_not_an_installed_rival(room: str, tmp_path: Path) -> None:
    code = f"import {room}; print({room}.__file__)"
    # From elsewhere, because the working directory would hide a rival in site-packages.
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == ROOT / room / "__init__.py"


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_with_code_is_a_regular_package(room: str) -> None:
    folders = {file.parent for file in (ROOT / room).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_data_rewards_and_parsing_load_nothing_heavy() -> None:
    light = [*modules_of("data"), *modules_of("models", "rewards"), "models.speech", "models.equality"]
    light += [f"models.speech.{name}" for name in ("parsing", "template") if module_exists(f"models.speech.{name}")]
    light = [name for name in light if module_exists(name)]
    assert not loaded_by(light)


def test_the_command_line_opens_without_anything_heavy() -> None:
    assert not loaded_by(["flows.cli"])


def test_flows_and_tasks_do_not_load_torch_or_mlflow() -> None:
    assert loaded_by([*modules_of("flows"), *modules_of("tasks")]) <= {"prefect"}


def module_exists(name: str) -> bool:
    """Whether ``name`` can be imported."""
    return importlib.util.find_spec(name) is not None


def test_import_contracts_name_modules_that_exist() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    named = {name for contract in contracts for key in ("layers", "source_modules") for name in contract.get(key, [])}
    named |= {name for contract in contracts for name in contract.get("forbidden_modules", [])}
    missing = sorted(name for name in named if not module_exists(name))
    assert not missing


def test_import_contracts_cover_every_room() -> None:
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == set(ROOMS)
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(ROOMS)


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        if file.stat().st_size and not file.read_text(encoding="utf-8").lstrip().startswith('"""')
    ]
    assert not silent


def readable(content: bytes) -> bool:
    """Whether a file is text."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_no_file_names_a_path_of_one_machine() -> None:
    found = []
    for path in tracked():
        content = path.read_bytes()
        if path == Path(__file__).resolve() or not readable(content):
            continue
        lines = content.decode("utf-8").splitlines()
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    assert not found


def importers(library: str) -> set[str]:
    """Files of the rooms that import ``library``, anywhere in them."""
    statement = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    return {file.relative_to(ROOT).as_posix() for file in files if statement.search(file.read_text(encoding="utf-8"))}


def test_each_store_is_known_to_one_place() -> None:
    plugin = "models/artifact_store.py"  # is a part of MLflow, not a user of it
    mlflow = {file for file in importers("mlflow") if not file.startswith("models/tracking/")}
    assert mlflow <= {"models/champions.py", plugin}
    duckdb = importers("duckdb")
    assert {file for file in duckdb if not file.startswith(("data/warehouse/", "data/query/"))} == set()


def test_git_ignores_what_runs_leave_and_keeps_var() -> None:
    left = ["var/warehouse.duckdb", "var/runs/abc/model/model.safetensors", "var/mlflow.db", ".venv/bin/python", ".env"]
    done = subprocess.run(["git", "check-ignore", *left], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 128:
        pytest.skip("needs a git checkout")
    assert done.stdout.split() == left
    assert ROOT / "var/.gitignore" in tracked()


@pytest.fixture(scope="module")
def deployments() -> list[dict[str, Any]]:
    import yaml  # type: ignore[import-untyped]

    return yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def test_every_flow_has_a_deployment(deployments: list[dict[str, Any]]) -> None:
    files = [file for file in (ROOT / "flows").glob("*.py") if "@flow(" in file.read_text(encoding="utf-8")]
    assert {one["entrypoint"] for one in deployments} == {f"flows.{file.stem}.{file.stem}" for file in files}


@pytest.mark.slow
def test_deployments_load_and_state_only_parameters_their_flow_takes(deployments: list[dict[str, Any]]) -> None:
    from prefect.flows import load_flow_from_entrypoint

    for one in deployments:
        flow: Any = load_flow_from_entrypoint(one["entrypoint"])
        assert set(one["parameters"]) <= set(flow.parameters.properties), one["entrypoint"]


def test_ci_script_can_be_run() -> None:
    script = ROOT / ".ci/run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text(encoding="utf-8")
