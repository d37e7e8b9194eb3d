"""Decisions about the champion: one JSON file each, with everything they were based on; what is here was decided once.

Lies under ``var/promotions/``, written whole and never changed. The newest file of a name is the newest decision. What
is about to be carried out lies beside them until it is (``intend``), so that a process that is killed in between leaves
a decision that can be told from one that was never carried out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from data import paths
from data.files import write_whole
from data.parquet import DamagedFile

#: ``first``: there was nobody to beat; ``promoted``: the challenger took the place; ``kept``: it did not;
#: ``rolled back``: a person gave the place back to the champion before.
Outcome = Literal["first", "promoted", "kept", "rolled back"]


def draw_up(name: str, outcome: Outcome, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A decision with its ``promotion_id`` and time, not stored yet."""
    at = datetime.now(UTC).isoformat()
    digest = hashlib.sha256(f"{name}\x1f{at}\x1f{json.dumps(facts, sort_keys=True)}".encode()).hexdigest()[:12]
    return {"promotion_id": digest, "at": at, "name": name, "outcome": outcome, **facts}


def store(row: Mapping[str, Any]) -> None:
    """Keep a decision, once it is carried out."""
    stamp = str(row["at"])[:19].replace("-", "").replace(":", "")
    write_whole(paths.promotions() / f"{stamp}-{row['promotion_id']}.json", json.dumps(row, indent=1) + "\n")


def intend(row: Mapping[str, Any]) -> None:
    """Keep a decision that is about to be carried out: at most one for each registered model."""
    write_whole(_intended(str(row["name"])), json.dumps(row, indent=1) + "\n")


def intended(name: str) -> dict[str, Any] | None:
    """The decision that was about to be carried out, and of which it is not known whether it was."""
    file = _intended(name)
    return _read(file) if file.exists() else None


def no_longer_intended(name: str) -> None:
    """It was carried out and stored, or it was not."""
    _intended(name).unlink(missing_ok=True)


def _intended(name: str) -> Path:
    return paths.promotions() / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.intended"


def decisions(
    name: str | None = None, *, damaged: Literal["an error", "left out"] = "an error"
) -> Iterator[dict[str, Any]]:
    """Every decision (about one registered model), oldest first.

    Args:
        name: Of one registered model; None: of all.
        damaged: What files are that cannot be read.

    Raises:
        data.parquet.DamagedFile: One cannot be read; the message names it.
    """
    found = []
    for file in sorted(paths.promotions().glob("*.json")):
        try:
            found.append(_read(file))
        except DamagedFile:
            if damaged == "an error":
                raise
    yield from sorted((row for row in found if name in (None, row["name"])), key=lambda row: str(row["at"]))


def _read(file: Path) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {**row, "name": row["name"], "at": row["at"], "outcome": row["outcome"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(
            f"{file} cannot be read as a decision ({error}). Move it away; the MLflow run of its challenger has a copy "
            "(promotion/<id>.json)"
        ) from error
