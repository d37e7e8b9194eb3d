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
from functools import lru_cache
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


@lru_cache
def code_digest(*modules: str) -> str:
    """12 hex characters that change when code behind ``modules`` (dotted names) or a template beside it changes."""
    digest = hashlib.sha256()
    for file in sorted(_reach(modules)):
        digest.update(str(file.relative_to(paths.PROJECT_ROOT)).encode())
        digest.update(_meant(file).encode())
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
    return {
        file.relative_to(paths.PROJECT_ROOT).as_posix(): hashlib.sha256(_meant(file).encode()).hexdigest()[:12]
        for file in sorted(_reach(modules))
    }


def _reach(modules: tuple[str, ...]) -> set[Path]:
    waiting, seen, files = list(modules), set(modules), set[Path]()
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if file is None or name in WITHOUT_EFFECT:
            continue
        files.add(file)
        files.update(path for path in file.parent.iterdir() if path.suffix in {".jinja", ".sql"})
        new = set(_imports(file)) - seen
        seen |= new
        waiting.extend(new)
    return files


def _file(name: str) -> Path | None:
    base = paths.PROJECT_ROOT.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((file for file in candidates if file.exists()), None)


def _imports(file: Path) -> tuple[str, ...]:
    return _understood(file.read_text(encoding="utf-8")).imports


def _meant(file: Path) -> str:
    """What counts of a file: its syntax tree if it is code, else every character."""
    text = file.read_text(encoding="utf-8")
    return _understood(text).tree if file.suffix == ".py" else text


class _Module(NamedTuple):
    imports: tuple[str, ...]
    tree: str


@lru_cache(maxsize=1024)
def _understood(text: str) -> _Module:
    """A module's imports from our rooms and its syntax tree; kept, since every stage reaches much the same modules."""
    tree = ast.parse(text)
    return _Module(tuple(_named(tree)), ast.dump(tree))


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in ROOMS)
