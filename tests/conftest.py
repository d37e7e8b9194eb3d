"""What every test gets: an artefact root of its own, hand-written conversations, and honest skips.

No test may touch the project's ``var/``: ``isolated_var`` moves it for each test. Skipped tests are counted and
grouped by reason at the end of a run, because a skip nobody sees is a test nobody has.
"""

from __future__ import annotations

import functools
import gc
import os
import runpy
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from data.schema import Conversation

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = Path(__file__).resolve().parent / "fixtures"
#: Files that take longest, as measured, the longest first: with two processes no late one may leave the other idle.
LONGEST = (
    "test_real_slice.py",
    "test_whole_job.py",
    "test_deployments.py",
    "test_crashes.py",
    "test_models_training.py",
    "test_models_serving.py",
    "test_data_openai.py",
    "test_flows.py",
    "test_prefect_away.py",
    "test_postgres.py",
    "test_data_hostile.py",
    "test_tasks_comparison.py",
    "test_models_zero_variance.py",
    "test_cli.py",
    "test_tasks_plan.py",
    "test_tasks_evaluation.py",
)
#: Would send a test's records to somebody's server, or bend its settings.
FOREIGN_VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "PREFECT_API_URL",
)

# The models here are tiny and the processes many: two threads of each would wait for one another on two cores. Set
# before torch is imported, and for every process that a test starts.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples on every run and machine; HYPOTHESIS_PROFILE=thorough searches for new ones.
settings.register_profile(
    "ci", derandomize=True, max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


EMPTY_STORES = runpy.run_path(str(FIXTURES / "empty_stores.py"))


@pytest.fixture(scope="session")
def empty_stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """The folder with the databases that MLflow and Prefect begin with, made when it is first asked for."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    return lambda: EMPTY_STORES["made_once"](shared)


@pytest.fixture(scope="session")
def begin_stores(empty_stores: Callable[[], Path]) -> Callable[..., None]:
    """``begin_stores(var, home=var / "prefect")``: for processes that a test starts, empty databases in their place."""

    def begin(var: Path, home: Path | None = None) -> None:
        EMPTY_STORES["copy_mlflow"](empty_stores(), f"sqlite:///{var / 'mlflow.db'}")
        EMPTY_STORES["copy_prefect"](empty_stores(), home or var / "prefect")

    return begin


@pytest.fixture(scope="session", autouse=True)
def _stores_at_hand(empty_stores: Callable[[], Path]) -> Iterator[None]:
    """In this process MLflow's store is copied instead of made; tests of the making take ``__wrapped__``."""
    from models.tracking import store

    with pytest.MonkeyPatch.context() as patch:
        copied = functools.wraps(store._create_whole)(lambda uri: EMPTY_STORES["copy_mlflow"](empty_stores(), uri))
        patch.setattr(store, "_create_whole", copied)
        yield


@pytest.fixture(scope="session", autouse=True)
def _sheltered_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Artefact root of everything that outlives one test, and no settings from the developer's shell."""
    root = tmp_path_factory.mktemp("var")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # test processes ignore it, and so would all they start
    with pytest.MonkeyPatch.context() as patch:
        for name in [*FOREIGN_VARIABLES, *(name for name in os.environ if name.startswith("APPRENTICE_"))]:
            patch.delenv(name, raising=False)
        patch.setenv("APPRENTICE_VAR", str(root))
        yield root


@pytest.fixture(scope="module")
def module_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One artefact root for all tests of a module that ask for it: for slow flows whose results several tests look at.
    No other module's, since what ran in the same process before differs from run to run."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture(autouse=True)
def isolated_var(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point ``APPRENTICE_VAR`` at a directory of this test's own (or at ``module_var`` if the test asks for that)."""
    shared = "module_var" in request.fixturenames
    root: Path = request.getfixturevalue("module_var") if shared else tmp_path / "var"
    monkeypatch.setenv("APPRENTICE_VAR", str(root))
    return root


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """``shared_data("sgd")``: the dataset's directory beside the checkout; skips the test where there is none."""

    def locate(name: str) -> Path:
        path = ROOT.parent / "shared" / "data" / name
        if not path.is_dir():
            pytest.skip(f"needs the dataset ../shared/data/{name}, which is not beside this checkout")
        return path

    return locate


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The machine's own Chromium, headless; skips the test where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((place for name in names if (place := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs a browser: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def tiny_conversations() -> list[Conversation]:
    """Eight hand-written conversations: calls, value and boolean facts, requests, a failure, parallel calls."""
    return list(runpy.run_path(str(FIXTURES / "conversations.py"))["CONVERSATIONS"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, then those with slow tests, so that no process is left with a long one at the end."""
    place = {name: number for number, name in enumerate(LONGEST)}
    marked = {mark: {item.path for item in items if item.get_closest_marker(mark)} for mark in ("slow", "real")}
    items.sort(
        key=lambda item: (
            place.get(item.path.name, len(place)),
            item.path not in marked["slow"],
            item.path not in marked["real"],
        )
    )


def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector of cycles need not walk over it again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped and why."""
    reports = terminalreporter.stats.get("skipped", [])
    if not reports:
        return
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for report in reports
    )
    terminalreporter.section(f"skipped: {len(reports)}")
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number:4d}  {reason}")
