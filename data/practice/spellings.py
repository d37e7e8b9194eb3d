"""Where a value stands in a text, in any of its spellings and as whole words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from data.practice.declarations import Slot


def plain(text: str) -> str:
    """Lower case, plain quotes, single spaces: what the rules read."""
    return " ".join(text.replace("’", "'").casefold().split())


def everywhere_said(said: str, forms: Iterable[str]) -> list[int]:
    """All places where any of these spellings stands as whole words in a ``plain`` text, in order."""
    return sorted({match.start() for form in forms for match in _spelling(form).finditer(said)})


def where_said(said: str, forms: Iterable[str]) -> int:
    """Where any of these spellings stands as whole words in a ``plain`` text; -1 if none does."""
    for form in forms:
        if match := _spelling(form).search(said):
            return match.start()
    return -1


def says(said: str, slot: Slot, value: Any) -> bool:
    """Whether a ``plain`` text names this value."""
    return where_said(said, slot.forms(value)) >= 0


@lru_cache(maxsize=8192)
def _spelling(form: str) -> re.Pattern[str]:
    text = re.escape(plain(form)).replace(r"\ ", r"\s+")
    return re.compile(
        rf"(?<![\w.,:])(?<!\d[.,:]){text}(?![\w]|[.,:]\d)" if form[:1].isdigit() else rf"(?<!\w){text}(?!\w)"
    )
