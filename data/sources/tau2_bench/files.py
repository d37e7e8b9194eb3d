"""Where τ²-bench lies on disk: a folder per domain with its tasks, tables, policy and official splits."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from data.mapping.files import Read, read_records
from data.mapping.plain_json import NotJson, parse
from data.sources.base import SourceError
from data.sources.tau2_bench import airline, retail
from data.sources.tau2_bench.database import Database, Tables
from data.sources.tau2_bench.toolbox import Toolbox

EXPECTED = (
    "a folder with retail/ and airline/, each with tasks.json, db.json (or .json.gz), policy.md, split_tasks.json"
)
TOOLBOXES: dict[str, Toolbox] = {"retail": retail.TOOLBOX, "airline": airline.TOOLBOX}
_TABLES = {"retail": ("products", "users", "orders"), "airline": ("flights", "users", "reservations")}


@dataclass(frozen=True)
class Domain:
    """One domain as it lies on disk."""

    name: str
    folder: Path

    @property
    def toolbox(self) -> Toolbox:
        """Its tools."""
        return TOOLBOXES[self.name]

    @property
    def policy(self) -> str:
        """What the agent is told to keep to."""
        return (self.folder / "policy.md").read_text("utf-8")

    @property
    def files(self) -> list[Path]:
        """All files that are read."""
        plain = [self.folder / "policy.md", self.folder / "split_tasks.json"]
        return [*plain, _either(self.folder, "tasks.json"), _either(self.folder, "db.json")]

    def tasks(self) -> list[Read]:
        """Its tasks as upstream wrote them."""
        return list(read_records(_either(self.folder, "tasks.json")))

    def database(self) -> Database:
        """A fresh view of its tables."""
        return Database(_tables(self.name, _either(self.folder, "db.json")))

    def test_ids(self) -> frozenset[str]:
        """Ids of the tasks that upstream holds out of training."""
        splits = _parsed(self.folder / "split_tasks.json")
        if not isinstance(splits, dict) or not isinstance(splits.get("test"), list):
            raise SourceError(f"{self.folder / 'split_tasks.json'} names no test tasks: give --path, {EXPECTED}")
        return frozenset(map(str, splits["test"]))


def domains(path: Path | None) -> list[Domain]:
    """The domains in a folder.

    Raises:
        SourceError: There are none, or one lacks a file.
    """
    if path is None:
        raise SourceError(f"source tau2-bench needs its files: give --path, {EXPECTED}")
    found = [Domain(name, path / name) for name in TOOLBOXES if (path / name).is_dir()]
    missing = [file for domain in found for file in domain.files if not file.is_file()]
    if not found or missing:
        raise SourceError(f"{missing[0] if missing else path} is missing or no τ²-bench: give --path, {EXPECTED}")
    return found


def _either(folder: Path, name: str) -> Path:
    packed = folder / f"{name}.gz"
    return packed if packed.is_file() else folder / name


@lru_cache(maxsize=2)
def _tables(domain: str, file: Path) -> Tables:
    written = _parsed(file)
    tables: dict[str, Any] = {name: written.get(name) for name in _TABLES[domain]} if isinstance(written, dict) else {}
    if not tables or not all(isinstance(table, dict) for table in tables.values()):
        raise SourceError(f"{file} has not the tables {', '.join(_TABLES[domain])}: give --path, {EXPECTED}")
    return tables


def _parsed(file: Path) -> Any:
    try:
        return parse(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes())
    except (OSError, EOFError, NotJson) as error:
        raise SourceError(f"{file} cannot be read ({error}): give --path, {EXPECTED}") from error
