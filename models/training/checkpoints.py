"""Which checkpoint a training goes on from: the newest that is whole, byte for byte.

transformers writes ``trainer_state.json`` last and in place, so a checkpoint without it, or with only its beginning,
was torn by a kill. Once it is written it is sealed with the SHA-256 of each of its files; one that no longer matches (a
disk that filled up, a file cut short, a flipped bit) is passed over for the one before it. A checkpoint that was killed
between the two is whole, but unsealed.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from data.files import write_whole
from data.parquet import digest

SEAL = "sealed.json"
_WRITTEN_LAST = "trainer_state.json"


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written."""
    return int(checkpoint.name.split("-")[1])


def seal(checkpoint: Path) -> None:
    """Write down what each file of a finished checkpoint is; nothing where there is none."""
    if checkpoint.is_dir():
        write_whole(checkpoint / SEAL, json.dumps(_digests(checkpoint), indent=1))


def newest(folder: Path) -> str | None:
    """The newest whole checkpoint of a run; torn and damaged ones are removed, the damaged ones said aloud."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        if _torn(checkpoint):
            shutil.rmtree(checkpoint)
        elif damaged := _damaged(checkpoint):
            print(
                f"{checkpoint.name} is damaged ({damaged}); going on from the one before", file=sys.stderr, flush=True
            )
            shutil.rmtree(checkpoint)
        else:
            return str(checkpoint)
    return None


def forget_from(folder: Path, step: int) -> None:
    """Remove the checkpoints of this step and later ones, so that it is done again."""
    for checkpoint in folder.glob("checkpoint-*"):
        if step_of(checkpoint) >= step:
            shutil.rmtree(checkpoint)


def _digests(checkpoint: Path) -> dict[str, str]:
    files = sorted(file for file in checkpoint.rglob("*") if file.is_file() and file.name != SEAL)
    return {file.relative_to(checkpoint).as_posix(): digest(file) for file in files}


def _torn(checkpoint: Path) -> bool:
    """Whether its writing did not come to its end. What is sealed did, and whether it is still so tells its seal."""
    last = checkpoint / _WRITTEN_LAST
    if not last.exists():
        return True
    if (checkpoint / SEAL).exists():
        return False
    try:
        json.loads(last.read_text(encoding="utf-8"))
    except ValueError:  # of the JSON, or of a letter that was cut in two
        return True
    return False


def _damaged(checkpoint: Path) -> str:
    """Names of the files that are not what was sealed; empty where all are, or where nothing was sealed."""
    file = checkpoint / SEAL
    if not file.exists():
        return ""
    sealed, found = json.loads(file.read_text(encoding="utf-8")), _digests(checkpoint)
    return ", ".join(name for name in sealed if found.get(name) != sealed[name])
