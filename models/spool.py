"""What MLflow has missed of a run while it was away, beside the run until it is told.

All of it is of the kind where the last word counts (tags, params, how the run ended, files by name), so one small JSON
object holds it; numbers need no place in it, they are compared with the run's own log. A run that was begun while
MLflow was away has an id of ours; MLflow gives it another one when it hears of it, and ``mlflow_run_id`` beside it says
which.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from data import paths
from data.files import write_whole

UNSENT = "unsent.json"
ALIAS = "mlflow_run_id"


def keep(directory: Path, **missed: Any) -> None:
    """Add to what MLflow has missed: mappings are merged, lists joined, other values replaced."""
    with locked(directory):
        known = read(directory) or {}
        for name, value in missed.items():
            before = known.get(name)
            if isinstance(value, dict) and isinstance(before, dict):
                known[name] = {**before, **value}
            elif isinstance(value, list) and isinstance(before, list):
                known[name] = [*before, *(each for each in value if each not in before)]
            else:
                known[name] = value
        write_whole(directory / UNSENT, json.dumps(known))


def locked(directory: Path) -> FileLock:
    """Held while the file is changed or told, since a later process may tell what this one is still adding to."""
    directory.mkdir(parents=True, exist_ok=True)
    return FileLock(directory / ".unsent.lock")


def read(directory: Path) -> dict[str, Any] | None:
    """What was missed; None if nothing was."""
    file = directory / UNSENT
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def forget(directory: Path) -> None:
    """All of it has been told."""
    (directory / UNSENT).unlink(missing_ok=True)


def waiting() -> Iterator[str]:
    """Ids of the runs of which MLflow has missed something."""
    return (file.parent.name for file in sorted(paths.runs().glob(f"*/{UNSENT}")))


def alias(run_id: str) -> str:
    """The id by which MLflow knows a run of ours."""
    file = paths.run(run_id) / ALIAS
    return file.read_text(encoding="utf-8") if run_id and file.exists() else run_id


def own(mlflow_run_id: str) -> str:
    """Our id of a run of MLflow's, where that is another one."""
    known = (file for file in paths.runs().glob(f"*/{ALIAS}") if file.read_text(encoding="utf-8") == mlflow_run_id)
    return next((file.parent.name for file in known), mlflow_run_id)


def call_it(run_id: str, mlflow_run_id: str) -> None:
    """Remember the id that MLflow gave a run of ours."""
    write_whole(paths.run(run_id) / ALIAS, mlflow_run_id)
