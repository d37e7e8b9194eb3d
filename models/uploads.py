"""A trained model's files in MLflow's artifact store, for those who cannot reach this machine's disk."""

from __future__ import annotations

from pathlib import Path

from models.tracking import store

#: Where the files lie among the artifacts of the model's run.
FOLDER = "model"


class UploadFailed(Exception):
    """The model could not be put into the artifact store; the message says why and what to do."""


def upload_model(run_id: str, stage: str, model_dir: Path) -> bool:
    """Put a model's files beside its run and let its registered version point to them.

    What is there already, file by file of the same size, is not sent again; so it can be repeated until it succeeds.

    Args:
        run_id: MLflow run of the model; its version of ``apprentice-<stage>`` is there.
        stage: What the model came of.
        model_dir: Its files.

    Returns:
        Whether anything had to be sent.

    Raises:
        UploadFailed: The store does not answer or refuses.
    """
    try:
        client, _ = store.ask()
        there = {file.path: file.file_size for file in client.list_artifacts(run_id, FOLDER)}
        missing = [
            file
            for file in sorted(model_dir.iterdir())
            if there.get(f"{FOLDER}/{file.name}") != file.stat().st_size and file.is_file()
        ]
        for file in missing:
            client.log_artifact(run_id, str(file), FOLDER)
        source = f"runs:/{run_id}/{FOLDER}"
        name = f"{store.EXPERIMENT}-{stage}"
        versions = [one for one in client.search_model_versions(f"name='{name}'") if one.run_id == run_id]
        if all(one.source != source for one in versions):
            tags = dict(versions[0].tags) if versions else {}
            client.create_model_version(name, source, run_id, tags=tags, await_creation_for=0)
        return bool(missing)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UploadFailed(
            f"the model of run {run_id} is trained and kept in {model_dir}, but could not be uploaded to MLflow "
            f"at {store.tracking_uri()}: {first[:300]}. Mend that and run the same command again, which trains "
            "nothing"
        ) from error
