"""An OpenAI-compatible endpoint for an export: ``transformers serve``, unchanged.

The server finds models in a hub cache; it gets one that holds nothing but this export, by links, so that its list of
models is true and its name for the model is short. It is told to stay offline. Structured tool calls come of the
response template in the exported tokenizer (models/speech/response.py), and whether it thinks of the chat template.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

from models.export import FACTS, ExportError

ORGANISATION = "apprentice"
_REVISION = "exported"


def address(name: str) -> str:
    """What clients call the model."""
    return f"{ORGANISATION}/{name}"


def lay_out(export: Path, name: str) -> Path:
    """A hub cache beside the export that holds it alone, by links; returns its folder.

    Raises:
        ExportError: ``export`` is no whole export.
    """
    if not (export / FACTS).exists():
        raise ExportError(f"{export} is no export; `apprentice export` writes one")
    cache = export.parent / f".{export.name}-hub"
    shutil.rmtree(cache, ignore_errors=True)
    place = cache / f"models--{ORGANISATION}--{name}"
    snapshot = place / "snapshots" / _REVISION
    snapshot.mkdir(parents=True)
    for file in export.iterdir():
        (snapshot / file.name).symlink_to(file.resolve())
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(_REVISION, encoding="utf-8")
    return cache


def command(name: str, *, host: str, port: int) -> list[str]:
    """The server's command line."""
    serve = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve", address(name)]
    return [*serve, "--host", host, "--port", str(port)]


def surroundings(cache: Path) -> dict[str, str]:
    """The server's environment: this cache, no network, no telemetry."""
    return {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def serve(export: Path, name: str, *, host: str, port: int) -> NoReturn:
    """Become the server: whoever ends this process ends it.

    Raises:
        ExportError: ``export`` is no whole export.
    """
    cache = lay_out(export, name)
    line = command(name, host=host, port=port)
    os.execve(line[0], line, surroundings(cache))
