"""``--set sft.learning_rate=1e-4`` as nested settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel

from data.profiles import merge
from data.settings import Settings


def nested(assignments: Sequence[str]) -> dict[str, Any]:
    """``["sft.learning_rate=1e-4", "seed=3"]`` → ``{"sft": {"learning_rate": 0.0001}, "seed": 3}``.

    A value is read as JSON where it is JSON, else as text. Where a setting is text, so is its value, but for ``null``
    and a quoted one: the dataset version 5365e7498012 is no number.

    Raises:
        typer.BadParameter: Something is no ``NAME=VALUE``.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"'{assignment}' is no NAME=VALUE, e.g. sft.learning_rate=1e-4")
        value = _value(name, text)
        for part in reversed(name.split(".")):
            value = {part: value}
        settings = merge(settings, value)
    return settings


def _value(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if value is None or isinstance(value, str) or not _is_text(name) else text


def _is_text(name: str) -> bool:
    """Whether a setting takes text and nothing else, but for None."""
    kind: Any = Settings
    for part in name.split("."):
        if not (isinstance(kind, type) and issubclass(kind, BaseModel) and part in kind.model_fields):
            return False
        kind = kind.model_fields[part].annotation
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return set(kinds) <= {str, Path, NoneType}
