"""The model in use and the one that wants its place: aliases ``champion`` and ``challenger`` in MLflow's registry.

A version of the registered model is a whole package: an export (models/export.py) with the one file of code that
answers chat requests (models/portable_chat.py). ``mlflow.pyfunc.load_model("models:/NAME@champion")`` works wherever
the registry and its artifacts are reached; this project need not be installed there. Who were champions before is a tag
of the version, so a rollback needs nothing but the registry.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import paths
from models import portable_chat
from models.export import ExportError
from models.registry import TrackingAway
from models.spool import alias, own
from models.tracking import store

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
#: Tag of a champion: the versions it followed, the last first; empty for the first.
BEFORE = "champion_before"
#: Tags of a version that gave its place back: when, and why.
ROLLED_BACK, WHY_ROLLED_BACK = "rolled_back", "rolled_back_reason"
#: How many champions are remembered: what fits into a tag.
_REMEMBERED = 400
#: Where packages lie among the artifacts of the model's run, each under a name of its own: what a version points to is
#: never written again.
PACKAGES = "chat"
#: What a package needs where it is loaded, in the versions it was tested with here.
REQUIREMENTS = ("mlflow", "torch", "transformers", "tokenizers", "safetensors", "jinja2")


class RegistryError(Exception):
    """The registry is not as it has to be; the message says what to do."""


@dataclass(frozen=True)
class Registered:
    """A version of a registered model."""

    name: str
    version: str
    run_id: str
    """Our id of the run that the model is of."""
    tags: dict[str, str]


@contextmanager
def asked() -> Iterator[MlflowClient]:
    """The client; whatever goes wrong with the store is said as one thing.

    Raises:
        TrackingAway: The store does not answer, or refuses.
    """
    try:
        yield store.ask()[0]
    except (RegistryError, ExportError):
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrackingAway(
            f"MLflow at {store.tracking_uri()} does not do what was asked ({first[:300]}). Start it or correct "
            "MLFLOW_TRACKING_URI, then run the command again"
        ) from error


def holder(name: str, place: str) -> Registered | None:
    """The version that an alias of the registered model points to.

    Raises:
        TrackingAway: The store does not answer.
    """
    with asked() as client:
        for model in client.search_registered_models(filter_string=f"name='{name}'"):
            if place in model.aliases:
                return _version(client, name, str(model.aliases[place]))
    return None


def _version(client: MlflowClient, name: str, version: str) -> Registered:
    found = client.get_model_version(name, version)
    if not found.run_id:
        raise RegistryError(
            f"version {version} of {name} was registered by hand, of no run, so nothing is known of its model; move "
            f"its alias to a version that `apprentice promote` made, or take another --name"
        )
    return Registered(name, version, own(found.run_id), dict(found.tags))


def challenge(name: str, run_id: str, export: Callable[[], Path], sha256: str, tags: Mapping[str, str]) -> Registered:
    """Register the export of a run's model as the challenger; a model that is registered already is not copied again.

    Args:
        name: Registered model.
        run_id: Run of the model, whose MLflow run receives the package.
        export: Writes the export and says where; asked only if the model is not registered yet.
        sha256: Digest of the weights.
        tags: Further facts for the version.

    Raises:
        TrackingAway: The store does not answer, or does not know the run.
    """
    with asked() as client:
        if not client.search_registered_models(filter_string=f"name='{name}'"):
            client.create_registered_model(name, description="Conversational agents; the champion is the one in use.")
        versions = client.search_model_versions(f"name='{name}'")
        mlflow_run = alias(run_id)
        packages = f"runs:/{mlflow_run}/{PACKAGES}/"  # trainings register versions that only point to the weights
        of_it = [one for one in versions if (one.run_id, one.tags.get("sha256")) == (mlflow_run, sha256)]
        known = [str(one.version) for one in of_it if (one.source or "").startswith(packages)]
        version = known[0] if known else _upload(client, name, mlflow_run, export(), {**tags, "sha256": sha256})
        client.set_registered_model_alias(name, CHALLENGER, version)
        return _version(client, name, version)


def _upload(client: MlflowClient, name: str, run_id: str, export: Path, tags: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(dir=paths.var(), prefix=".package-") as making:
        package = Path(making) / "package"
        save_package(export, package)
        place = f"{PACKAGES}/{uuid.uuid4().hex[:12]}"
        client.log_artifacts(run_id, str(package), place)
    made = client.create_model_version(name, f"runs:/{run_id}/{place}", run_id, tags=dict(tags), await_creation_for=0)
    return str(made.version)


def save_package(export: Path, target: Path) -> None:
    """Write an export as an MLflow model that answers chat requests."""
    from mlflow import pyfunc

    code = Path(portable_chat.__file__)
    pyfunc.save_model(
        target,
        loader_module=code.stem,
        data_path=str(export),
        code_paths=[str(code)],
        pip_requirements=[f"{name}=={installed(name).partition('+')[0]}" for name in REQUIREMENTS],
    )


def crown(challenger: Registered, met: str | None) -> Registered:
    """Make a version champion; remembers whom it follows, and whom those followed.

    Args:
        challenger: The version.
        met: Version of the champion that it was held against.

    Raises:
        RegistryError: Another one is champion by now.
        TrackingAway: The store does not answer.
    """
    former = holder(challenger.name, CHAMPION)
    if (former.version if former else None) != met:
        raise RegistryError(
            f"the champion of {challenger.name} was changed in the registry meanwhile; run the same command again"
        )
    followed = [former.version, *_followed(former)][:_REMEMBERED] if former else []
    with asked() as client:
        client.set_model_version_tag(challenger.name, challenger.version, BEFORE, ",".join(followed))
        client.set_registered_model_alias(challenger.name, CHAMPION, challenger.version)
        _settled(client, challenger.name, challenger.version)
        return _version(client, challenger.name, challenger.version)


def settled(name: str, version: str) -> None:
    """A new champion is no challenger any more, and what was said when it gave its place back is no longer so."""
    with asked() as client:
        _settled(client, name, version)


def _settled(client: MlflowClient, name: str, version: str) -> None:
    if str(client.get_registered_model(name).aliases.get(CHALLENGER)) == version:
        client.delete_registered_model_alias(name, CHALLENGER)
    for tag in {ROLLED_BACK, WHY_ROLLED_BACK} & client.get_model_version(name, version).tags.keys():
        client.delete_model_version_tag(name, version, tag)


def _followed(champion: Registered) -> list[str]:
    """Versions that were champion before this one, the last first."""
    return [version for version in champion.tags.get(BEFORE, "").split(",") if version]


def rolled_back(name: str, run_id: str) -> bool:
    """Whether the model of a run was champion and gave its place back.

    Raises:
        TrackingAway: The store does not answer.
    """
    with asked() as client:
        versions = client.search_model_versions(f"name='{name}'")
        return any(one.run_id == alias(run_id) and ROLLED_BACK in one.tags for one in versions)


def former(name: str) -> tuple[Registered, Registered]:
    """The champion, and the one before it, to whom a rollback gives the place.

    Raises:
        RegistryError: There is no champion, or none before it.
        TrackingAway: The store does not answer.
    """
    present = holder(name, CHAMPION)
    if present is None:
        raise RegistryError(f"{name} has no champion, so there is nothing to roll back; `apprentice promote` makes one")
    with asked() as client:
        there = {str(one.version) for one in client.search_model_versions(f"name='{name}'")}
        followed = [version for version in _followed(present) if version in there]  # others were deleted by hand
        if not followed:
            raise RegistryError(
                f"version {present.version} of {name} is the first champion, or all before it were deleted, or its "
                "alias was moved by hand: no version is known to roll back to; MLflow's page of the model moves the "
                "alias to any"
            )
        return present, _version(client, name, followed[0])


def give_place(left: Registered, now: Registered) -> None:
    """Make the version before champion again; whom it follows is what is left of those that the one leaving followed.

    Its own tag would not do: a version that has been champion twice would follow whom it followed the second time, and
    going back would go in circles.

    Raises:
        TrackingAway: The store does not answer.
    """
    with asked() as client:
        followed = _followed(left)
        earlier = followed[followed.index(now.version) + 1 :]
        client.set_model_version_tag(now.name, now.version, BEFORE, ",".join(earlier))
        client.set_registered_model_alias(now.name, CHAMPION, now.version)


def annotate(registered: Registered, tags: Mapping[str, str], description: str | None = None) -> None:
    """Say something about a version, where people look at it."""
    with asked() as client:
        for key, value in tags.items():
            client.set_model_version_tag(registered.name, registered.version, key, value)
        if description is not None:
            client.update_model_version(registered.name, registered.version, description)


def store_evidence(run_id: str, name: str, row: Mapping[str, Any]) -> None:
    """Keep a decision with the run of the model it was about, as ``promotion/<name>.json``."""
    with asked() as client:
        client.log_dict(alias(run_id), dict(row), f"promotion/{name}.json")
