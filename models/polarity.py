"""What a text says about a yes-or-no slot, read from negation near the words of the slot's name."""

from __future__ import annotations

import re
from functools import lru_cache

from models.wording import plain

_CLAUSE_END = re.compile(r"[.!?;,]+(?:\s|$)|\b(?:but|and|however|although|though)\b")
_NEGATION = re.compile(
    r"\b(?:no(?! (?:worries|problem|trouble|doubt)\b)|not(?! only\b)|never|none|nothing|neither|nor|without|cannot"
    r"|unfortunately|unavailable|declined?|disabled|minus|banned|prohibited|forbidden|lacks?|lacking|missing)\b"
    r"|n't\b(?! mind\b)|\b(?:do|does|did|is|are|was|has|have|can|could|will|would)n ?t\b(?! mind\b)"
)
_NON = re.compile(r"\bnon (?=\w)")
_AFFIRMATION = re.compile(
    r"\b(?:yes|yeah|yep|yup|sure|indeed|certainly|absolutely|definitely|correct|right|of course"
    r"|(?:it|they|that|there|he|she|you) (?:do|does|is|are|has|have|can|will)"
    r"(?= ?(?:[.,;!?]|$|indeed|too\b|so\b|that\b)))"
)
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
#: Common other words for what a slot's name says, and words that say the contrary, by the name's own word.
_ALSO_SAID = {
    "nonstop": ("direct",),
    "redeye": ("overnight",),
    "subtitles": ("captions",),
    "unisex": ("both",),
    "alcohol": ("liquor",),
}
_CONTRARY = {"nonstop": ("connecting", "connection", "layover", "stopover"), "next": ("same",)}
_NAME_STOPWORDS = frozenset({"is", "has", "have", "are", "be", "of", "the", "for", "a", "an", "in", "on", "with"})
#: Clauses that say of something only that it is not known, or was not looked up: they have no polarity.
_UNKNOWN = re.compile(
    r"\b(?:do|does|did|can|could)(?:n't| ?not) (?:know|say|tell|see|find|confirm|have (?:any )?info\w*)\b"
    r"|\b(?:not|n't) (?:sure|certain|clear|known|mentioned|specified|listed)\b"
    r"|\b(?:unsure|unclear|unknown|find out|wonder\w*)\b"
    r"|\bno (?:idea|info\w*|data|details)\b|\bwhether\b|\b(?:shall|should|could|can|will|may) (?:i|we) (?:check|ask)\b"
)
#: "At no extra charge" denies nothing but the charge.
_FOR_FREE = re.compile(r"\b(?:at |for )?no (?:extra |additional |further )?(?:charge|cost|fee|surcharge)s?\b")


def polarity(name: str, text: str) -> bool | None:
    """What the text says about a yes-or-no slot; None if it does not speak of the slot, or only says that it is not
    known, and says neither yes nor no."""
    text = _NON.sub("non", plain(text).replace("-", ""))
    says, contrary = _slot_words(name)
    clauses = [clause for clause in _CLAUSE_END.split(text) if clause.strip()]
    counts = [sum(bool(word.search(clause)) for word in (*says, *contrary)) for clause in clauses]
    mentioned = max(counts, default=0)
    about = [clause for clause, count in zip(clauses, counts, strict=True) if count == mentioned and mentioned]
    known = [clause for clause in about or [text] if not _UNKNOWN.search(clause)]
    if not known:
        return None
    denied = any(_denies(clause, says) for clause in known)
    if denied or any(word.search(clause) for word in contrary for clause in known):
        return False
    return True if mentioned or _AFFIRMATION.search(text) else None


@lru_cache(maxsize=512)
def _slot_words(name: str) -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
    """Patterns of the words that speak of a slot, cut to stems (``refundable``: ``refunded``), and of contraries."""
    parts = [part.lower() for part in _NAME_PARTS.findall(name)]
    content = [part for part in parts if part not in _NAME_STOPWORDS] or parts
    says = ("|".join(map(_stem, (part, *_ALSO_SAID.get(part, ())))) for part in content)
    contrary = (_stem(word) for part in content for word in _CONTRARY.get(part, ()))
    return (
        tuple(re.compile(rf"\b(un|non)?(?:{stems})") for stems in says),
        tuple(re.compile(rf"\b{stem}") for stem in contrary),
    )


def _stem(word: str) -> str:
    word = word.removesuffix("s")
    return word[: max(4, int(0.6 * len(word)))] if len(word) > 5 else word


def _denies(clause: str, says: tuple[re.Pattern[str], ...]) -> bool:
    for_free = _FOR_FREE.search(clause)
    if for_free and not any(word.search(for_free[0]) for word in says):
        clause = _FOR_FREE.sub(" ", clause)
    return _NEGATION.search(clause) is not None or _negated_word(clause, says)


def _negated_word(clause: str, says: tuple[re.Pattern[str], ...]) -> bool:
    return any(match[1] for word in says for match in word.finditer(clause))
