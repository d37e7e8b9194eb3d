"""A model on its way to MLflow's artifact store, as a task of its own: retried, repeatable, after all else is safe."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.records import Record
from tasks.stage import say


@task(name="upload", task_run_name="upload {record.stage}", cache_policy=NO_CACHE, retries=2, retry_delay_seconds=10)
def upload(record: Record) -> None:
    """Put the model of a finished training where others can load it: ``models:/apprentice-<stage>/<version>``.

    Raises:
        UploadFailed: The store does not answer or refuses, three times.
    """
    from models.spool import alias
    from models.uploads import upload_model

    model_dir, _ = record.model_place
    if upload_model(alias(record.run_id), record.stage, model_dir):
        say(f"{record.stage}: model uploaded to the artifacts of run {record.run_id}")
