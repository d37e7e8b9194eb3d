"""The command line: light, quiet, and clear about what went wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from data import paths
from data.profiles import resolve
from flows import complaints, environment
from flows.assignments import nested
from flows.cli import app
from flows.complaints import plain_errors
from tasks.locks import Busy
from tasks.stage import Interrupted

COMMANDS = [
    "run",
    "ingest",
    "sft",
    "prime",
    "grpo",
    "evaluate",
    "query",
    "ui",
    "promote",
    "rollback",
    "champions",
    "export",
    "endpoint",
]
#: Set by importing the flows here; the command must find its own.
PREPARED = {*environment._ALWAYS, *environment._QUIET, "PREFECT_HOME"}
invoke: Callable = CliRunner().invoke


def apprentice(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a person runs it, in a process of its own."""
    surroundings = {name: value for name, value in os.environ.items() if name not in PREPARED}
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(
        command, cwd=paths.PROJECT_ROOT, env=surroundings, capture_output=True, text=True, check=False, timeout=120
    )


def python(code: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that must succeed."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=paths.PROJECT_ROOT, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_teaches(command: str) -> None:
    result = invoke(app, [*([command] if command else []), "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert command == "ui" or "apprentice " in result.output.partition("Usage:")[2].partition("\n")[2]


def test_help_is_light() -> None:
    """Its time is what it loads; that it stays under half a second is measured by benchmarks/overhead.py."""
    code = (
        "import sys\nfrom flows.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    loaded = done.stdout.splitlines()[-1].removeprefix("loaded: ").split()
    assert {"flows.cli", "typer"} <= set(loaded)
    packages = {name.partition(".")[0] for name in loaded}
    assert not packages & {"torch", "transformers", "prefect", "mlflow", "pandas", "duckdb", "pyarrow", "numpy"}
    assert not packages & {"pydantic", "yaml", "httpx", "asyncio", "jinja2"}, "each costs what all the rest does"
    assert len(loaded) < 450, "345 on Python 3.11; one heavy import brings hundreds"


def test_query_prints_pure_data_and_loads_neither_prefect_nor_torch(isolated_var: Path) -> None:
    as_json = apprentice("query", "--format", "json", "SELECT 1 AS one, 'ä' AS text")
    assert (as_json.returncode, as_json.stderr) == (0, "")
    assert json.loads(as_json.stdout) == [{"one": 1, "text": "ä"}]
    as_csv = apprentice("query", "--format", "csv", "SELECT run_id, turn_success FROM evaluations")
    assert as_csv.stdout == "run_id,turn_success\n"
    assert pd.read_csv(io.StringIO(as_csv.stdout)).empty
    code = "import sys; from flows.cli import app; app(['query', 'SELECT 1'], standalone_mode=False)"
    code += "; print(sorted({'torch', 'prefect', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=paths.PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_where_nothing_was_promoted_the_command_that_does_is_named() -> None:
    result = invoke(app, ["champions", "--name", "nobody"])
    assert result.exit_code == 0
    assert result.stdout.startswith(
        "nothing was decided about nobody here: `apprentice promote --name nobody` makes the"
    )


def test_a_wrong_query_is_one_message_on_stderr() -> None:
    result = invoke(app, ["query", "SELECT nothing FROM nowhere"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["sft", "--set", "grpo.num_generations=1"],
            1,
            "grpo.num_generations: Input should be greater than or equal to 2",
        ),
        (["sft", "--set", "sft.micro_batch_size=3"], 1, "set micro_batch_size to a divisor of 2"),
        (["sft", "--set", "sft.typo=3"], 1, "sft.typo: no such setting; there are minutes, max_steps"),
        (["sft", "--set", "nonsense"], 2, "no NAME=VALUE"),
        (["sft", "--max-steps", "none"], 2, "--max-steps"),
        (["run", "--profile", "tiny"], 2, "--profile"),
        (["evaluate", "--model", "best"], 2, "--model"),
        (["fly"], 2, "No such command"),
        (["compare", "--pool", "nowhere"], 2, "nowhere has no outcomes.json and no outcomes.parquet"),
        (["compare", "--pool", "nowhere", "--arm", "sft", "--minutes", "3"], 2, "takes no --arm and no --minutes"),
        (["compare", "--pool", "nowhere", "--profile", "laptop"], 2, "--pool takes no --profile: what was asked"),
        (["compare", "--report", "--dataset", "0" * 12], 2, "--report takes no --dataset: it is of the comparison"),
        (["compare", "--write", "/proc/page.md"], 2, "/proc/page.md cannot be written, /proc: No such file"),
        (["compare", "--write", "/proc/new/page.md"], 2, "/proc/new/page.md cannot be written, /proc: No such file"),
        (["compare", "--minutes", "0"], 2, "0 minutes are no budget"),
        (["compare", "--minutes", "nan"], 2, "nan minutes are no budget"),
        (["sft", "--minutes", "-1"], 2, "-1 minutes are no budget"),
        (["compare", "--report", "--id", ""], 2, "no comparison '' here"),
        (["compare", "--pool", "nowhere", "--write", "/"], 2, "is a directory"),
        (["promote", "--name", "team/agent"], 2, "a model's name has at most 80 letters"),
        (["export", "--name", "../../outside"], 2, "a model's name has at most 80 letters"),
    ],
)
def test_wrong_settings_and_usage_are_refused_at_once(arguments: list[str], code: int, says: str) -> None:
    result = invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_stage_without_upstream_names_the_command_and_makes_no_noise() -> None:
    done = apprentice("prime", "--profile", "smoke")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "no SFT model: run `apprentice sft` first\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_temporary_server_hears_no_ctrl_c_and_dies_with_us() -> None:
    code = (
        "import os, time\nfrom flows.server import temporary_server\nwith temporary_server(): pass\n"
        "print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\ntime.sleep(60)"
    )
    surroundings = {name: value for name, value in os.environ.items() if name not in PREPARED}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=paths.PROJECT_ROOT, env=surroundings, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    server = Path("/proc") / parent.stdout.readline().strip()
    assert os.getsid(int(server.name)) == int(server.name) != os.getsid(parent.pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and _alive(server):
        time.sleep(0.1)
    assert not _alive(server)


def _alive(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_assignments_become_nested_settings() -> None:
    assert nested(["sft.learning_rate=1e-4", "sft.lora_rank=null", "seed=3", "data.source=sgd"]) == {
        "sft": {"learning_rate": 1e-4, "lora_rank": None},
        "seed": 3,
        "data": {"source": "sgd"},
    }


@pytest.mark.parametrize("version", ["5365e7498012", "123456789012", "1e5", "0e1234567890", "true", "1.50"])
def test_settings_that_are_text_stay_as_they_were_written(version: str) -> None:
    stated = nested([f"prime.rationales={version}", f"evaluation.dataset={version}", f"data.path={version}"])
    settings = resolve("laptop", stated)
    assert (settings.prime.rationales, settings.evaluation.dataset) == (version, version)
    assert settings.data.path == Path(version)


def test_settings_that_are_text_can_be_taken_back_and_quoted() -> None:
    assert nested(["prime.rationales=null", 'data.source="sgd"']) == {
        "prime": {"rationales": None},
        "data": {"source": "sgd"},
    }


def test_everything_else_is_read_as_json() -> None:
    assert nested(["sft.minutes=12e1", 'prime={"epochs": 1}', "grpo.thinking=false", "nonsense=[1, 2]"]) == {
        "sft": {"minutes": 120.0},
        "prime": {"epochs": 1},
        "grpo": {"thinking": False},
        "nonsense": [1, 2],
    }


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (Interrupted("sft: stopped at step 3"), 130, "sft: stopped at step 3"),
        (KeyboardInterrupt(), 130, "run the same command again"),
        (Busy("the training lock is held by grpo"), 1, "held by grpo"),
    ],
)
def test_expected_errors_become_exit_codes(
    error: BaseException, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left, plain_errors():
        raise error
    assert left.value.exit_code == code
    assert says in capsys.readouterr().err


def test_unexpected_errors_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError), plain_errors():
        _ = 1 / 0


@pytest.mark.parametrize("name", complaints.EXPECTED)
def test_expected_errors_exist(name: str) -> None:
    module, _, kind = name.rpartition(".")
    place = paths.PROJECT_ROOT.joinpath(*module.split("."))
    sources = list(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    assert any(f"class {kind}(" in source.read_text() for source in sources)


def test_environment_respects_what_is_set(monkeypatch: pytest.MonkeyPatch, isolated_var: Path) -> None:
    for name in PREPARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", "/somewhere")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    environment.prepare()
    assert os.environ["PREFECT_HOME"] == "/somewhere"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "99"
    assert os.environ["DO_NOT_TRACK"] == "true"
    assert "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL" not in os.environ
    monkeypatch.delenv("PREFECT_HOME")
    environment.prepare(quiet=True)
    assert os.environ["PREFECT_HOME"] == str(isolated_var.resolve() / "prefect")
    assert os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "CRITICAL"


def test_saved_queries_are_listed_answered_and_exported(isolated_var: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    listed = invoke(app, ["query", "--list"])
    assert "wrong-arguments" in listed.stdout
    file = tmp_path / "rewards.parquet"
    assert invoke(app, ["query", "rewards", "--format", "parquet", "--output", str(file)]).exit_code == 0
    assert pq.read_table(file).schema.names[0] == "step"
    assert "WITH chosen AS" in invoke(app, ["query", "rewards", "--sql"]).stdout
    for arguments, complaint in (
        (["query", "reward"], "no saved query is called reward; apprentice query --list names them"),
        (["query", "rewards", "--with", "run=zzz"], "no run has id zzz (run)"),
        (["query", "changed", "--with", "before=zzz"], "no run has id zzz (before)"),
        (["query", "rewards", "--with", "run"], "--with takes NAME=VALUE"),
        (["query"], "ask something"),
    ):
        failed = invoke(app, arguments)
        assert failed.exit_code == 1
        assert complaint in failed.stderr


def test_a_models_name_is_one_that_the_endpoint_can_serve() -> None:
    from huggingface_hub.utils import validate_repo_id

    from flows.cli_promote import _of_a_model

    for name in ("apprentice", "a", "my-agent", "my.agent_2", "gi.git.x", "x" * 80):
        assert _of_a_model(name) == name
        validate_repo_id(f"apprentice/{name}")
    for name in (
        "my--agent",
        "agent-",
        "agent.",
        "a..b",
        "agent.git",
        "ägent",
        "-a",
        "a/b",
        "",
        "a b",
        "a\n",
        "x" * 81,
    ):
        with pytest.raises(typer.BadParameter, match="at most 80 letters"):
            _of_a_model(name)
