"""A model on its way to MLflow's artifact store, as a task of its own: retried, repeatable, after all else is safe."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.records import Record, of_run
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


def upload_all(run_ids: Sequence[str]) -> None:
    """Upload the models of several runs, one after the other; what cannot be is said after all have been tried.

    Raises:
        UploadFailed: Some could not be; the message of the first, and how many more.
    """
    from models.uploads import UploadFailed

    failed: list[UploadFailed] = []
    for run_id in run_ids:
        try:
            upload(of_run(run_id))
        except UploadFailed as error:
            failed.append(error)
    if failed:
        more = f" ({len(failed) - 1} more likewise)" if len(failed) > 1 else ""
        raise UploadFailed(f"{failed[0]}{more}") from failed[0]
