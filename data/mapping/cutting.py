"""Texts shortened for people to read, by whole words."""

from __future__ import annotations


def cut(text: str, signs: int) -> str:
    """A text of at most so many signs and an ellipsis, whole words of it.

    Of half an address or number nobody can tell what it is, and so no redaction can take it out: the word that would be
    cut goes whole, and so do digits before it.
    """
    if len(text) <= signs:
        return text
    kept = text[: signs + 1].rpartition(" ")[0].rstrip("0123456789 -+().")
    return f"{kept} …".lstrip()
