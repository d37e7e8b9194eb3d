"""Models in MLflow's artifact store, on a file system that fsspec reaches: sent once, whole, loadable from there."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from models import tracking
from models.tracking import stage_run
from models.uploads import UploadFailed, upload_model


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("share")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, place: Path) -> str:
    """A store whose artifacts lie on a share."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.setenv("APPRENTICE_ARTIFACT_ROOT", f"fsspec+file://{place}")
        tracking.store.connect(uri)
    return uri


@pytest.fixture
def client(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    return tracking.store.connect(store)[0]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "config.json").write_text("{}")
    return folder


def trained(stage: str, model_dir: Path) -> str:
    with stage_run(stage, name=stage, tags={}, params={}) as run:
        run.register_model(stage, model_dir, {"sha256": "abc"})
    return run.run_id


def test_an_uploaded_model_loads_by_its_registered_name(client, place: Path, model_dir: Path, tmp_path: Path) -> None:
    import mlflow

    run_id = trained("sft", model_dir)
    assert upload_model(run_id, "sft", model_dir)
    newest = max(client.search_model_versions("name='apprentice-sft'"), key=lambda version: int(version.version))
    assert (newest.run_id, newest.tags["sha256"]) == (run_id, "abc")
    url = f"models:/apprentice-sft/{newest.version}"
    mlflow.set_tracking_uri(tracking.store.tracking_uri())
    got = Path(mlflow.artifacts.download_artifacts(url, dst_path=str(tmp_path / "elsewhere")))
    for file in model_dir.iterdir():
        assert (got / file.name).read_bytes() == file.read_bytes()
    assert list(place.rglob("model.safetensors"))


def test_what_is_there_whole_is_not_sent_again(client, place: Path, model_dir: Path) -> None:
    run_id = trained("grpo", model_dir)
    assert upload_model(run_id, "grpo", model_dir)
    assert not upload_model(run_id, "grpo", model_dir)
    assert len(client.search_model_versions("name='apprentice-grpo'")) == 2  # by path, and uploaded
    (stored,) = place.rglob(f"{run_id}/**/model.safetensors")
    stored.write_bytes(b"torn")
    assert upload_model(run_id, "grpo", model_dir)
    assert stored.read_bytes() == (model_dir / "model.safetensors").read_bytes()
    assert len(client.search_model_versions("name='apprentice-grpo'")) == 2


def test_a_store_that_refuses_is_said_with_the_cure(client, model_dir: Path) -> None:
    with pytest.raises(UploadFailed, match="same command again"):
        upload_model("0" * 32, "sft", model_dir)


def test_of_several_all_are_tried_and_what_failed_is_said_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks import uploading

    tried: list[str] = []

    def upload(record: SimpleNamespace) -> None:
        tried.append(record.run_id)
        if record.run_id != "b":
            raise UploadFailed(f"{record.run_id} is away")

    monkeypatch.setattr(uploading, "of_run", lambda run_id: SimpleNamespace(run_id=run_id))
    monkeypatch.setattr(uploading, "upload", upload)
    with pytest.raises(UploadFailed, match=r"a is away \(1 more likewise\)"):
        uploading.upload_all(["a", "b", "c"])
    assert tried == ["a", "b", "c"]
    tried.clear()
    uploading.upload_all(["b"])
    assert tried == ["b"]


def test_a_training_is_uploaded_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from data import profiles
    from tasks import training

    uploaded: list[str] = []
    record = SimpleNamespace(run_id="r", stage="sft", dataset_version=None, model_place=None)
    known = SimpleNamespace(run_id="b", stage="base", dataset_version=None)
    monkeypatch.setattr(training.records, "of_run", lambda run_id: known)
    monkeypatch.setattr(training, "training_address", lambda *given: None)
    monkeypatch.setattr(training, "perform", lambda *given, **named: record)
    monkeypatch.setattr(training, "training_text", lambda *given: "")
    monkeypatch.setattr(training, "leave", lambda *given, **named: None)
    monkeypatch.setattr(training, "upload", lambda given: uploaded.append(given.run_id))
    for asked in (False, True):
        training.train.fn("sft", profiles.resolve("smoke", {"upload": asked}), "b")
    assert uploaded == ["r"]


def test_folders_are_listed_one_level_at_a_time_and_can_be_removed(tmp_path: Path) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "a.txt").write_text("a")
    (source / "b.txt").write_text("bb")
    repository = get_artifact_repository(f"fsspec+file://{tmp_path / 'root'}")
    repository.log_artifacts(str(source), "some")
    assert [(one.path, one.is_dir, one.file_size) for one in repository.list_artifacts("some")] == [
        ("some/b.txt", False, 2),
        ("some/inner", True, None),
    ]
    assert repository.list_artifacts("some/b.txt") == []
    assert repository.list_artifacts("nothing") == []
    repository.delete_artifacts("some/inner")
    assert [one.path for one in repository.list_artifacts("some")] == ["some/b.txt"]


def test_mlflow_finds_the_store_in_its_own_server_too() -> None:
    """By entry point, for a server is another process than ours."""
    found = {one.name: one.value for one in importlib.metadata.entry_points(group="mlflow.artifact_repository")}
    assert found["fsspec+smb"] == found["fsspec+file"] == "models.artifact_store:FsspecArtifactRepository"
