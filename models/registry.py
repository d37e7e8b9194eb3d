"""What MLflow knows of runs and models, read-only: which runs there are, which were deleted, which model came of which.

Asked where something is about to be thrown away or has to be named, so a store that is away is an error here, unlike
during training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data import paths
from models.spool import own
from models.tracking import store

#: MLflow's ``ViewType``; only models/tracking imports MLflow itself.
_ACTIVE, _DELETED = 1, 2
_PAGE = 1000


class TrackingAway(Exception):
    """The tracking store does not answer; the message says what to do."""


@dataclass(frozen=True)
class KnownRun:
    """A run as MLflow has it."""

    run_id: str
    dataset_version: str | None
    start_run_id: str | None


@dataclass(frozen=True)
class Known:
    """Everything MLflow knows that refers to something under ``var/``."""

    active: tuple[KnownRun, ...] = ()
    deleted: frozenset[str] = frozenset()
    """Runs that somebody deleted in MLflow."""
    models: dict[str, tuple[str, ...]] | None = None
    """Run id → names of registered model versions that came of it, e.g. ``apprentice-grpo 3 (champion)``."""

    def models_of(self, run_id: str) -> tuple[str, ...]:
        """Registered models of a run."""
        return (self.models or {}).get(run_id, ())


def known() -> Known:
    """Runs and registered models; nothing where no run was ever recorded.

    Raises:
        TrackingAway: The store cannot be asked.
    """
    uri = store.tracking_uri()
    if uri == f"sqlite:///{paths.mlflow_database()}" and not paths.mlflow_database().exists():
        return Known()
    try:
        client, experiment = store.ask()
        active, deleted = (_runs(client, experiment, view) for view in (_ACTIVE, _DELETED))
        return Known(
            active=tuple(
                KnownRun(own(run.info.run_id), run.data.tags.get("dataset_version"), run.data.tags.get("start_run_id"))
                for run in active
            ),
            deleted=frozenset(own(run.info.run_id) for run in deleted),
            models=_models(client),
        )
    except Exception as error:
        raise TrackingAway(
            f"MLflow at {uri} does not answer ({str(error).strip().splitlines()[0][:200]}), so nobody can say what it "
            "refers to; start it or unset MLFLOW_TRACKING_URI, then run the command again. Nothing was changed"
        ) from error


def _runs(client: Any, experiment: str, view: int) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment], run_view_type=view, max_results=_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _models(client: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for model in client.search_registered_models():
        aliases = {str(version): alias for alias, version in model.aliases.items()}
        for version in client.search_model_versions(f"name='{model.name}'"):
            alias = f" ({aliases[str(version.version)]})" if str(version.version) in aliases else ""
            run_id = own(version.run_id)
            found[run_id] = (*found.get(run_id, ()), f"{model.name} {version.version}{alias}")
    return found
