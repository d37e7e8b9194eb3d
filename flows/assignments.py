"""``--set sft.learning_rate=1e-4`` as nested settings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import typer

from data.profiles import merge


def nested(assignments: Sequence[str]) -> dict[str, Any]:
    """``["sft.learning_rate=1e-4", "seed=3"]`` → ``{"sft": {"learning_rate": 0.0001}, "seed": 3}``.

    A value is read as JSON where it is JSON, else as text.

    Raises:
        typer.BadParameter: Something is no ``NAME=VALUE``.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"'{assignment}' is no NAME=VALUE, e.g. sft.learning_rate=1e-4")
        value = _value(text)
        for part in reversed(name.split(".")):
            value = {part: value}
        settings = merge(settings, value)
    return settings


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
