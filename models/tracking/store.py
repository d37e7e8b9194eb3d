"""Where runs are recorded: the address of MLflow's store, a client for it, and the page that shows a run."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from data import paths

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "apprentice"
#: Where ``apprentice ui`` answers unless it is told otherwise.
UI = "http://127.0.0.1:5000"


def tracking_uri() -> str:
    """Where runs are recorded: ``MLFLOW_TRACKING_URI``, or SQLite under ``var/``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{paths.mlflow_database()}"


def artifact_root() -> str:
    """URL under which a new store keeps artifacts: ``APPRENTICE_ARTIFACT_ROOT``, or a directory under ``var/``.

    A tracking server has its own; there this counts only for the one that ``make server`` starts.
    """
    return os.environ.get("APPRENTICE_ARTIFACT_ROOT") or paths.mlflow_artifacts().as_uri()


@lru_cache(maxsize=4)
def connect(uri: str) -> tuple[MlflowClient, str]:
    """Client and experiment id; opening a new SQLite store runs its migrations (about 5 s), so it is done once."""
    from mlflow import MlflowClient

    # After the import, which sets up MLflow's own loggers.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)

    paths.locks().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.locks() / "mlflow-create.lock"):
        _create_whole(uri)
        _write_ahead(uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is not None:
            return client, str(experiment.experiment_id)
        place = None if uri.startswith("http") else artifact_root()
        return client, str(client.create_experiment(EXPERIMENT, artifact_location=place))


def _create_whole(uri: str) -> None:
    """Make a new SQLite store aside and give it its name at the end: killed halfway, its tables fit no version."""
    from mlflow import MlflowClient

    file = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    making = file.with_name(f".{file.name}.making")
    for left in (making, Path(f"{making}-journal")):
        left.unlink(missing_ok=True)
    aside = f"sqlite:///{making}"
    with _unsynchronized():
        MlflowClient(tracking_uri=aside, registry_uri=aside).search_experiments(max_results=1)
    with making.open("rb") as made:
        os.fsync(made.fileno())
    making.rename(file)


@contextmanager
def _unsynchronized() -> Iterator[None]:
    """SQLite does not wait for the disk after each of some hundred migrations: half a store is thrown away anyway."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def at_once(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", at_once)
    try:
        yield
    finally:
        event.remove(Engine, "connect", at_once)


def _write_ahead(uri: str, patience: float = 5.0) -> None:
    """Let SQLite append to a log instead of rewriting pages: a commit waits for the disk once, not three times.

    As safe, and remembered by the file. Prefect does so too, in the same place.
    """
    if not uri.startswith("sqlite:///"):
        return
    file = uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, timeout=patience)) as store, suppress(sqlite3.OperationalError):
        store.execute("PRAGMA journal_mode = WAL")  # refused while another process writes; the next one does it


def open_early() -> None:
    """Load MLflow, and open the store if it lies here, so that this is done while others are waited for.

    What fails will fail again, and be told, where a run is begun.
    """
    import mlflow  # noqa: F401 - a server is not asked yet: one that is away would be waited for twice

    if tracking_uri().startswith("sqlite:///"):
        with suppress(Exception):
            ask()


def ask() -> tuple[MlflowClient, str]:
    """Client and experiment id for those who want to know something; raises where the store is away."""
    return connect(tracking_uri())


def run_url(run_id: str) -> str | None:
    """Where a browser shows a run: the tracking server's page, or the one ``apprentice ui`` opens; None if away."""
    uri = tracking_uri()
    try:
        _, experiment = connect(uri)
    except Exception:  # noqa: BLE001 - without a store there is no page to link to, which is no reason to stop
        return None
    return f"{uri.rstrip('/') if uri.startswith('http') else UI}/#/experiments/{experiment}/runs/{run_id}"
