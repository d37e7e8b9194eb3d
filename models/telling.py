"""Whether an answer tells a fact as what it is: "1 passenger" does not tell of one layover, nor does "one is a flight".

Rewards and the judge share this reading. ``models/facts.py`` tells whether a value stands in the text at all; for a
bare number that is too little, since every conversation is full of small numbers. So a number does not count whose noun
is another argument of the tools on offer, and "one" only where it counts something. Counts of results ("4 flights")
have any noun. (Measured on what models of SGD wrote: docs/log.md, 2026-11-30.)
"""

from __future__ import annotations

import re
from functools import lru_cache

from data.schema import DecisionPoint, Fact
from models.equality import argument_schemas
from models.facts import conveys
from models.mentions import NUMBER_WORDS
from models.slots import has_a_word_for, stems_of
from models.wording import plain

#: Name of the fact that says how many results there are.
RESULTS = "count"
_BARE = re.compile(r"\d{1,3}")
#: With what it counts; a verb ("for 3 checking in") is none.
_COUNTED = re.compile(rf"\b(?:\d{{1,3}}|{'|'.join(NUMBER_WORDS)}) (?!\w+ing\b)([a-z]+)\b(?=((?: [a-z]+)?))")
#: "One" that stands for a thing and counts nothing.
_PRONOUN = re.compile(
    r"\bone\b(?= (?:is|was|of|that|which|who|with|for|in|on|at|by|from|to|called|named|has|it|you|i|more|are|and|or"
    r"|the)\b|[^\w\s-]|\s*$)"
)


def tells(point: DecisionPoint, fact: Fact, text: str) -> bool:
    """Whether the text conveys the fact of this point's answer and, of a bare number, does not count something else.

    Facts that nobody annotated are named after nothing, so theirs count whatever stands beside them.
    """
    if not conveys(fact, text):
        return False
    bare = fact.kind == "value" and fact.name != RESULTS and all(map(_BARE.fullmatch, fact.forms))
    if not bare or point.expected.derived:
        return True
    arguments = tuple(sorted({name for tool in point.tools for name in argument_schemas(tool)} - {fact.name}))
    said = _PRONOUN.sub(" ", plain(text))
    said = _COUNTED.sub(lambda found: " " if _is_another(found[1], found[2], fact.name, arguments) else found[0], said)
    return conveys(fact, said)


@lru_cache(maxsize=8192)
def _is_another(noun: str, after: str, own: str, arguments: tuple[str, ...]) -> bool:
    """Whether a noun is a word of another argument's name, and neither it nor the word after ("1 hotel room") one for
    the fact's own."""
    if has_a_word_for(own, noun + after):
        return False
    return any(noun.startswith(stem) for name in arguments for stem in stems_of(name))
