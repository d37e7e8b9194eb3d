"""Slips of the keyboard in what users write; values, written in braces until they are filled in, stay as they are."""

from __future__ import annotations

import re
from random import Random

_WORD = re.compile(r"(?<![{\w'])[a-z]{4,}(?![\w'}])")
_BESIDE = {
    "a": "s", "b": "v", "c": "x", "d": "f", "e": "r", "f": "g", "g": "h", "h": "j", "i": "o", "j": "k", "k": "l",
    "l": "k", "m": "n", "n": "m", "o": "p", "p": "o", "q": "w", "r": "t", "s": "d", "t": "y", "u": "i", "v": "b",
    "w": "e", "x": "c", "y": "u", "z": "x",
}  # fmt: skip


def with_typos(template: str, rate: float, rng: Random) -> str:
    """``template`` with about this share of its longer words misspelt: two letters swapped, one lost, doubled or hit
    beside."""
    if not rate:
        return template
    return _WORD.sub(lambda match: _slip(match[0], rng) if rng.random() < rate else match[0], template)


def _slip(word: str, rng: Random) -> str:
    at = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    return word[:at] + (word[at] * 2 if kind == 2 else _BESIDE[word[at]]) + word[at + 1 :]
