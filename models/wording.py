"""What a text says, as far as a rule can tell: whether it conveys a fact, and whether it asks something.

Rewards and the judge share these readings. They look only at annotated facts and at the text, never at a reference
utterance, so any phrasing counts that says the same. The rules are small and literal on purpose: spellings of numbers,
prices and clock times are unified, polarity is read from negation near the words of a slot's name.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from data.schema import Fact
from data.scripts import SPACELESS, is_spaceless

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00ad": None})
_EDGE_PUNCTUATION = " \t.,;:!?\"'"
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_COUNTED, start=1)}
_NUMBER_WORD = re.compile(r"\b(" + "|".join(_NUMBER_WORDS) + r")\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CENTS = re.compile(r"(?<=\d)\.00(?!\d)")
_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2})(?: ?: ?(\d{2}))? ?([ap])\.? ?m(?:\.(?= |$)|\b)")
_SPACE_BEFORE_SIGN = re.compile(r" (?=[,.;:!?](?: |$))")
#: Of scripts without spaces two signs count as a word.
_WORD = re.compile(rf"[{SPACELESS}]{{2}}|(?:(?![{SPACELESS}])[^\W\d_]){{2,}}")

_JSON_MEMBER = re.compile(r"([\"'])\w+\1\s*:|^\s*(?:\[(?![^\[\]{}\"]*\]\()|\{)")
_CLAUSE_END = re.compile(r"[.!?;,]+(?:\s|$)|\b(?:but|and|however|although|though)\b")
_NEGATION = re.compile(
    r"\b(?:no(?! (?:worries|problem|trouble|doubt)\b)|not|never|none|nothing|neither|nor|without|cannot"
    r"|unfortunately|unavailable|declined?|disabled|minus)\b"
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

_ASKING = re.compile(
    r"\?"
    r"|\b(?:please|kindly)\b(?! (?:enjoy|have|be|watch|keep|note|remember)\b)"
    r"|\b(?:let me know|tell me|give me|may i|shall i|should i|can i|could i|could you|can you|would you|do you|did you"
    r"|are you|want me to|like me to|anything else|something else|i need|i(?:'ll| will) (?:just )?need|what else"
    r"|if you(?:'d| would| want| wish| like)|until when|to whom)\b"
    r"|(?:^|[.!,;] )(?:and |so |ok(?:ay)?,? |great,? |sure,? |alright,? )?(?:in |on |at |for |from )?"
    r"(?:what|which|when|where|who|how)\b"
    r"|(?:^|[.!] )(?:is|are|does|any|do (?:you|they|we|i))\b"
)


def plain(text: str) -> str:
    """Unicode NFKC, case folded, typographic quotes and dashes made plain, white space collapsed."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.translate(_TYPOGRAPHIC).split())


def normalise(text: str) -> str:
    """``plain`` without punctuation at the edges: the form in which string values are compared."""
    return plain(text).strip(_EDGE_PUNCTUATION)


def canonical(text: str) -> str:
    """``plain`` with one spelling for numbers, prices and clock times: ``5:30 pm`` is ``17:30``."""
    text = _SPACE_BEFORE_SIGN.sub("", plain(text)).replace("$", "")
    text = _NUMBER_WORD.sub(lambda match: _NUMBER_WORDS[match[1]], text)
    text = _CENTS.sub("", _THOUSANDS.sub("", text))
    return _CLOCK.sub(_clock, text)


def _clock(match: re.Match[str]) -> str:
    hour = int(match[1])
    if not 1 <= hour <= 12:
        return match[0]
    return f"{hour % 12 + (12 if match[3] == 'p' else 0):02d}:{match[2] or '00'}"


def words(text: str) -> list[str]:
    """The alphabetic words of at least two letters."""
    return _WORD.findall(text)


def is_dump(text: str) -> bool:
    """Whether the text carries raw JSON members, such as a tool result handed on as it came."""
    return bool(_JSON_MEMBER.search(text))


def is_answer(text: str, least_words: int = 0) -> bool:
    """Whether the text says something at all: a letter or digit, no raw JSON, and at least so many words."""
    return any(map(str.isalnum, text)) and len(words(text)) >= least_words and not is_dump(text)


def conveys(fact: Fact, text: str) -> bool:
    """Whether ``text`` says the fact.

    A value is conveyed if any of its forms stands in the text as whole tokens, literally or after numbers, prices and
    clock times are spelled alike. A boolean is conveyed if the text has its polarity about the words of ``fact.name``.
    """
    if fact.kind == "boolean":
        return _polarity(fact.name, text) is (normalise(fact.forms[0]) == "true")
    literal, unified = plain(text), canonical(text)
    return any(_contains(literal, normalise(form)) or _contains(unified, _unified(form)) for form in fact.forms)


@lru_cache(maxsize=4096)
def _unified(form: str) -> str:
    return canonical(form).strip(_EDGE_PUNCTUATION)


def _contains(text: str, form: str) -> bool:
    """Whether ``form`` occurs as whole tokens: ``4`` neither in ``42`` nor in ``4.5`` nor in ``4:30``."""
    start = text.find(form) if form else -1
    while start >= 0:
        if _ends_token(text[:start][-2:][::-1], form[0]) and _ends_token(text[start + len(form) :][:2], form[-1]):
            return True
        start = text.find(form, start + 1)
    return False


def _ends_token(beside: str, edge: str) -> bool:
    """Whether a token ends here, given the two characters beside it, nearest first, and its own at that edge."""
    if not beside or is_spaceless(beside[0]) or is_spaceless(edge):
        return True
    number_goes_on = len(beside) == 2 and beside[0] in ".,:" and beside[1].isdigit()
    return not (beside[0].isalnum() or beside[0] == "_" or number_goes_on)


def _polarity(name: str, text: str) -> bool | None:
    """What the text says about a yes-or-no slot; None if it speaks neither of the slot nor says yes or no."""
    text = _NON.sub("non", plain(text).replace("-", ""))
    says, contrary = _slot_words(name)
    clauses = [clause for clause in _CLAUSE_END.split(text) if clause.strip()]
    counts = [sum(bool(word.search(clause)) for word in (*says, *contrary)) for clause in clauses]
    mentioned = max(counts, default=0)
    about = [clause for clause, count in zip(clauses, counts, strict=True) if count == mentioned and mentioned] or [
        text
    ]
    denied = any(_NEGATION.search(clause) or _negated_word(clause, says) for clause in about)
    if denied or any(word.search(clause) for word in contrary for clause in about):
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


def _negated_word(clause: str, says: tuple[re.Pattern[str], ...]) -> bool:
    return any(match[1] for word in says for match in word.finditer(clause))


def asks(text: str) -> bool:
    """Whether the text asks for a reply: a question mark, or the wording of a request or an offer."""
    return bool(_ASKING.search(plain(text)))
