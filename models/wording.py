"""How a text is read: its plain and its canonical form, whether it says anything at all, and whether it asks.

Rewards and the judge share these readings; whether a text conveys a fact is read by ``models/facts.py``.
"""

from __future__ import annotations

import re
import unicodedata

from data.scripts import SPACELESS

_TYPOGRAPHIC = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00ad": None})
EDGE_PUNCTUATION = " \t.,;:!?\"'"
_COUNTED = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NUMBER_WORDS = {word: str(number) for number, word in enumerate(_COUNTED, start=1)}
_NUMBER_WORD = re.compile(r"\b(" + "|".join(_NUMBER_WORDS) + r")\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_PERCENT = re.compile(r"(?<=\d) ?percent\b")
_CENTS = re.compile(r"(?<=\d)\.00(?!\d)")
_CLOCK = re.compile(r"(?<![\d:.])(\d{1,2})(?: ?: ?(\d{2}))? ?([ap])\.? ?m(?:\.(?= |$)|\b)")
_SPACE_BEFORE_SIGN = re.compile(r" (?=[,.;:!?](?: |$))")
#: Of scripts without spaces two signs count as a word.
_WORD = re.compile(rf"[{SPACELESS}]{{2}}|(?:(?![{SPACELESS}])[^\W\d_]){{2,}}")

#: A quoted key in its place with a value behind it; or a list or an object at the text's start, no footnote or link.
_JSON_MEMBER = re.compile(
    r"(?:^|[{,\n])\s*([\"'])\w+\1\s*:\s*(?:[\"'\[{\d-]|true\b|false\b|null\b|none\b)"
    r"|^\s*(?:\[(?![^\[\]{}\"]*\]\()(?!\d+\] )|\{)",
    re.IGNORECASE,
)
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
    return plain(text).strip(EDGE_PUNCTUATION)


def canonical(text: str) -> str:
    """``plain`` with one spelling for numbers, prices and clock times: ``5:30 pm`` is ``17:30``."""
    text = _SPACE_BEFORE_SIGN.sub("", plain(text)).replace("$", "")
    text = _NUMBER_WORD.sub(lambda match: _NUMBER_WORDS[match[1]], text)
    text = _CENTS.sub("", _THOUSANDS.sub("", text))
    return _CLOCK.sub(_clock, _PERCENT.sub("%", text))


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


def asks(text: str) -> bool:
    """Whether the text asks for a reply: a question mark, or the wording of a request or an offer."""
    return bool(_ASKING.search(plain(text)))
