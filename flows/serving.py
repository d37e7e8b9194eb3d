"""The deployments of prefect.yaml served by one process: the same presets, without work pool and worker."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import yaml

from data import paths

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment


def serve_all(limit: int) -> None:
    """Serve every deployment until the process is ended; at most ``limit`` runs at a time."""
    from prefect import serve

    for name, value in _surroundings().items():
        os.environ.setdefault(name, value)
    serve(*deployments(), limit=limit)


def _surroundings() -> dict[str, str]:
    """Variables that prefect.yaml gives the runs of its pool: here they inherit them from this process."""
    declared = yaml.safe_load((paths.PROJECT_ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    pools = [each["work_pool"].get("job_variables", {}).get("env", {}) for each in declared]
    return {name: str(value) for env in pools for name, value in env.items()}


def deployments() -> list[RunnerDeployment]:
    """What prefect.yaml declares, as Prefect's ``serve`` takes it."""
    declared = yaml.safe_load((paths.PROJECT_ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return [_deployment(each) for each in declared]


def _deployment(declared: dict[str, Any]) -> RunnerDeployment:
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.schedules import Cron

    module, _, name = declared["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    schedules = [
        Cron(each["cron"], timezone=each["timezone"], active=each["active"]) for each in declared.get("schedules", ())
    ]
    return flow.to_deployment(
        name=declared["name"],
        description=declared.get("description"),
        parameters=declared["parameters"],
        schedules=schedules or None,
        concurrency_limit=ConcurrencyLimitConfig(**declared["concurrency_limit"]),
    )
