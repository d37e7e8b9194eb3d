"""Which texts under ``var/`` quote a conversation: pages, examples and artifacts that people read, in no rows.

Found by what was said: its longest utterances, as they are and as HTML and JSON write them. Where a page shows only
other parts of a conversation, or cuts them, it is not found.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

from data import paths

#: Rooms of ``var/`` with such texts.
ROOMS = ("reports", "comparisons", "mlartifacts", "runs", "promotions")
SUFFIXES = frozenset({".html", ".md", ".json", ".txt"})
#: Utterances looked for, and signs of the shortest of them: what is shorter stands in other conversations as well.
MOST, SHORTEST = 8, 25


def quoting(said: Iterable[str]) -> tuple[str, ...]:
    """Files that hold one of the longest utterances of a conversation, relative to ``var/``.

    Args:
        said: All that was said in it.
    """
    longest = sorted((text.strip() for text in said), key=len, reverse=True)[:MOST]
    marks = {mark.encode() for text in longest if len(text) >= SHORTEST for mark in _spellings(text)}
    if not marks:
        return ()
    found = []
    for room in ROOMS:
        for file in sorted((paths.var() / room).rglob("*")):
            if file.suffix in SUFFIXES and file.is_file():
                content = file.read_bytes()
                if any(mark in content for mark in marks):
                    found.append(file.relative_to(paths.var()).as_posix())
    return tuple(found)


def _spellings(text: str) -> Iterable[str]:
    yield text
    yield html.escape(text)
    yield html.escape(text, quote=False)
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
