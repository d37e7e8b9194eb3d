"""What the registry holds of a model of which nothing else is here: the export within its package.

A version of a registered model that is a package (models/champions.py) has a whole export among the artifacts of the
model's run. Versions that training registers point to where the weights lie, and hold nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data import paths
from models.champions import PACKAGES, asked
from models.export import FACTS, ExportError, not_ours, put_in_place
from models.spool import alias
from models.tracking import store


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    name: str
    number: int
    mlflow_run: str
    place: str
    """Where its package lies among the artifacts of the run; empty if it is none."""

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.number}"


def versions_of(run_id: str) -> list[Version]:
    """Registered versions of a run's model; nothing where no run was ever recorded.

    Raises:
        TrackingAway: The store does not answer.
    """
    if store.tracking_uri() == f"sqlite:///{paths.mlflow_database()}" and not paths.mlflow_database().exists():
        return []
    with asked() as client:
        found = client.search_model_versions(f"run_id='{alias(run_id)}'")
    return [Version(one.name, int(one.version), one.run_id, _place(one.source or "", one.run_id)) for one in found]


def _place(source: str, run_id: str) -> str:
    within = source.removeprefix(f"runs:/{run_id}/")
    return within if within.startswith(f"{PACKAGES}/") else ""


def unpack(version: Version, target: Path) -> None:
    """Write the export that a package holds to ``target``.

    Raises:
        ExportError: The package holds no whole export, or ``target`` something else, or it cannot be made.
        TrackingAway: The store does not answer, or does not have the package any more.
    """

    def download(room: Path) -> Path:
        with asked() as client:
            data = client.download_artifacts(version.mlflow_run, f"{version.place}/data", str(room))
        exports = [facts.parent for facts in Path(data).glob(f"*/{FACTS}")]
        if not exports or (changed := not_ours(exports[0])):
            why = f" ({'; '.join(changed[:4])})" if exports else ""
            raise ExportError(f"{version} holds no whole export{why}: promote the model again where it was trained")
        return exports[0]

    put_in_place(target, download)
