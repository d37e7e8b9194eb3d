"""Which texts under ``var/`` speak of a conversation: pages, examples and artifacts that people read, in no rows.

Found by its id and by what user and assistant said in it, as it is and as HTML and JSON write it; by the beginning of
each utterance, since pages cut long ones.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from data import paths

_SUFFIXES = frozenset({".html", ".md", ".json", ".txt"})
#: Signs of an utterance that are looked for; shorter ones stand in other conversations as well.
_LONGEST, _SHORTEST = 120, 25


def quoting(conversation_id: str, said: Iterable[str]) -> tuple[str, ...]:
    """Files that name a conversation or hold what was said in it, relative to ``var/``.

    Args:
        conversation_id: Its id, which stands before ``#`` and the number of a message.
        said: What user and assistant said.
    """
    beginnings = {text.strip()[:_LONGEST] for text in said}
    texts = [f"{conversation_id}#", *(text for text in beginnings if len(text) >= _SHORTEST)]
    marks = {mark.encode() for text in texts for mark in _spellings(text)}
    return tuple(
        file.relative_to(paths.var()).as_posix()
        for file in _pages()
        if any(mark in content for content in [file.read_bytes()] for mark in marks)
    )


def _pages() -> Iterator[Path]:
    for room in paths.pages():
        yield from (file for file in sorted(room.rglob("*")) if file.suffix in _SUFFIXES and file.is_file())


def _spellings(text: str) -> Iterator[str]:
    yield text
    yield html.escape(text, quote=False)
    yield html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")  # as Jinja's templates write it
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
