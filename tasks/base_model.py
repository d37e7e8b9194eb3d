"""The pretrained model as a stage: fetched by URI, and given a run so that its evaluation stands beside the others'."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from data.settings import Settings
from tasks import records
from tasks.addresses import base_address
from tasks.reporting import reporting
from tasks.stage import Upstream, Work, perform


def _unreachable(task: Any, task_run: Any, state: State[Any]) -> bool:
    """Try again only where the network may have been the cause: a wrong URI stays wrong."""
    from models.base import BaseModelUnreachable

    return isinstance(state.result(raise_on_failure=False), BaseModelUnreachable)


@task(name="base model", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5, retry_condition_fn=_unreachable)
def prepare_base_model(settings: Settings, dataset_version: str, pipeline_run_id: str | None = None) -> str:
    """Run id of the base model for a dataset version: one per version, so that evaluations compare like with like.

    Raises:
        BaseModelError: It cannot be had; the message says what to do.
    """
    from models.base import fetch_base_model

    with reporting("base") as reporter:
        model_dir = fetch_base_model(settings.base_model.uri, reporter)
    digest = records.model_sha256(model_dir)
    address = base_address(settings, dataset_version, digest)

    def do(work: Work) -> dict[str, Any]:
        work.run.tag({"base_model": settings.base_model.uri, "model_sha256": digest})
        tags = {"sha256": digest, "dataset_version": dataset_version, "uri": settings.base_model.uri}
        work.run.register_model("base", model_dir, tags)
        return {"model_dir": model_dir, "model_sha256": digest}

    return perform(address, do, profile=settings.profile, upstream=Upstream(pipeline_run_id=pipeline_run_id)).run_id
