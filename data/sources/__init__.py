"""The sources of conversations by name: every module of this package that exposes ``SOURCE`` is one.

Adding a source means adding one file (or package) here; nothing else needs to know of it. A source is named as its
module, with hyphens where that has underscores: ``sgd_x_v1.py`` is ``sgd-x-v1``. Modules are imported when
asked for, so a source's own imports cost nothing until then.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from data.sources.base import Source, SourceError, UnknownSource

__all__ = ["SOURCE_NAMES", "Source", "SourceError", "UnknownSource", "get_source"]

SOURCE_NAMES: tuple[str, ...] = tuple(
    sorted(module.name.replace("_", "-") for module in iter_modules(__path__) if module.name != "base")
)


def get_source(name: str) -> Source:
    """The source with this name.

    Raises:
        UnknownSource: There is none; the message names those there are.
    """
    if name not in SOURCE_NAMES:
        raise UnknownSource(f"unknown source {name!r}; choose one of: {', '.join(SOURCE_NAMES)}")
    return cast(Source, import_module(f"{__name__}.{name.replace('-', '_')}").SOURCE)
