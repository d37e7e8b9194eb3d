"""Which code a stage's result depends on: its entry module and all it imports from our own rooms, as one digest.

Followed through the source text, so nothing is imported and nobody has to keep a list. Comments and layout do not
count. Settings are hashed by value elsewhere, and places, progress and tracking cannot change a result, so those
modules are left out.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from data import paths
from data.files import write_whole

ROOMS = ("data", "models")
WITHOUT_EFFECT = frozenset(
    {
        "data.settings",
        "data.profiles",
        "data.paths",
        "data.reporting",
        "models.tracking",
        "models.tracking.store",
        "models.metric_log",
        "models.figures",
    }
)


class _Read(NamedTuple):
    """A file as far as it counts."""

    meant: str
    """Its syntax tree if it is Python, else its text."""
    imports: tuple[str, ...]
    """Modules of our own rooms that it names."""


@lru_cache
def code_digest(*modules: str) -> str:
    """12 hex characters that change when code behind ``modules`` (dotted names) or a template beside it changes."""
    digest = hashlib.sha256()
    for file in sorted(_reach(modules)):
        digest.update(str(file.relative_to(paths.PROJECT_ROOT)).encode())
        digest.update(_read(file).meant.encode())
    return digest.hexdigest()[:12]


def remember_files(*modules: str) -> None:
    """Keep what each file behind ``code_digest(*modules)`` was like, so that a later digest can say what changed."""
    target = _remembered(code_digest(*modules))
    if not target.exists():
        write_whole(target, json.dumps(_files(modules), indent=0))


def changed_files(digest: str, *modules: str) -> list[str] | None:
    """Files that differ between the code an earlier digest stood for and today's; None if nobody remembers."""
    file = _remembered(digest)
    if not file.exists():
        return None
    before, now = json.loads(file.read_text(encoding="utf-8")), _files(modules)
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _remembered(digest: str) -> Path:
    return paths.code_files() / f"{digest}.json"


def _files(modules: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for file in sorted(_reach(modules)):
        meant = _read(file).meant
        found[file.relative_to(paths.PROJECT_ROOT).as_posix()] = hashlib.sha256(meant.encode()).hexdigest()[:12]
    return found


def _reach(modules: tuple[str, ...]) -> set[Path]:
    waiting, seen, files = list(modules), set(modules), set[Path]()
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if file is None or name in WITHOUT_EFFECT:
            continue
        files.add(file)
        files.update(path for path in file.parent.iterdir() if path.suffix in {".jinja", ".sql", ".c", ".h"})
        new = set(_read(file).imports) - seen
        seen |= new
        waiting.extend(new)
    return files


def _file(name: str) -> Path | None:
    base = paths.PROJECT_ROOT.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in candidates if file.exists()), None)


def _read(file: Path) -> _Read:
    there = file.stat()
    return _read_once(file, there.st_mtime_ns, there.st_size)


@cache
def _read_once(file: Path, changed: int, size: int) -> _Read:
    """Parsed once, since the entry modules share most of what is behind them; anew when the file has changed."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return _Read(text, ())
    tree = ast.parse(text)
    return _Read(ast.dump(tree), tuple(_imports(tree)))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ROOMS)
