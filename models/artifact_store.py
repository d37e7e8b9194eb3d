"""MLflow artifacts on any file system that fsspec knows: ``APPRENTICE_ARTIFACT_ROOT=fsspec+smb://host/share/agents``.

MLflow brings its own stores for ``s3``, ``gs``, ``wasbs``, ``hdfs`` and ``sftp``; those need no prefix. The prefix
``fsspec+`` (entry points of the group ``mlflow.artifact_repository`` in pyproject.toml) reaches the others. Credentials
are fsspec's own: its configuration files and the variables of the file system's package.

Loaded by MLflow when it looks for stores; nobody here imports it, for that would load it twice, once half-made.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

PREFIX = "fsspec+"


class FsspecArtifactRepository(ArtifactRepository):
    """A run's artifacts under an fsspec URL."""

    def __init__(self, artifact_uri: str, *arguments: Any, **options: Any) -> None:
        super().__init__(artifact_uri, *arguments, **options)
        from fsspec.core import url_to_fs

        self._files, self._root = url_to_fs(artifact_uri.removeprefix(PREFIX))

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store one file."""
        self._put(Path(local_file), self._place(artifact_path, Path(local_file).name))

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store all files of a directory, in the places they have in it."""
        for file in sorted(Path(local_dir).rglob("*")):
            if file.is_file():
                self._put(file, self._place(artifact_path, file.relative_to(local_dir).as_posix()))

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """What lies directly under a path; nothing if that is a file or is not there."""
        place = self._place(path)
        self._files.invalidate_cache()
        if not self._files.isdir(place):
            return []
        found = [
            FileInfo(posixpath.join(path or "", posixpath.basename(entry["name"].rstrip("/"))), folder, size)
            for entry in self._files.ls(place, detail=True)
            for folder in [entry["type"] == "directory"]
            for size in [None if folder else entry["size"]]
        ]
        return sorted(found, key=lambda info: str(info.path))

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Remove a file or everything under a path."""
        place = self._place(artifact_path)
        if self._files.exists(place):
            self._files.rm(place, recursive=True)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._files.get_file(self._place(remote_file_path), local_path)

    def _place(self, *parts: str | None) -> str:
        return posixpath.join(self._root, *filter(None, parts))

    def _put(self, file: Path, place: str) -> None:
        self._files.makedirs(posixpath.dirname(place), exist_ok=True)
        self._files.put_file(str(file), place)
