"""Facts and acts of answers that nobody annotated: what can honestly be demanded of another answer, and no more.

A fact is a value of a tool result that the recorded answer itself passes on and that nobody has said before: whoever
answers in its place has to convey it too. Values the answer left out are not demanded, nor are yes-or-no values, single
digits and status words, which stand in texts by accident, nor names of the people served, by which they are addressed.
An answer that ends on a question asks for something, whether it tells a value or not; one that ends on the courtesy of
"Anything else?" need not, unless it says nothing but that. Of all others nothing is known about their kind.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from data.mapping.plain_json import NotJson, parse
from data.schema import Act, Fact, Message
from data.scripts import is_spaceless

MAX_FORM = 80
#: Words of a result that stand in answers by accident.
_STATUS_WORD = re.compile(
    r"success(?:ful)?|succeeded|ok(?:ay)?|done|true|false|yes|no|none|null|error|failed|failure|status|message|results?"
    r"|(?:un)?available|confirmed|completed|pending|booked|delivered|cancelled|active|open|closed",
    re.IGNORECASE,
)
#: Keys of results whose values answers address people by ("Thanks, Mia.").
_PERSONS_NAME = re.compile(
    r"(?:first|middle|last|given|family|full|customer|client|caller|member|guest|passenger|patient)[_ -]?names?"
    r"|user[_ -]names?|surname",
    re.IGNORECASE,
)
#: The end of a sentence before another one.
_NEXT_SENTENCE = re.compile(r"[.!?:]['\")*]*\s+|\n+")
_ELSE = r"(?:any|some)(?:thing|body|one)? (?:else|more|further)\b"
_OTHER = r"any other (?:questions?|concerns?|requests?|issues?|needs?|help|assistance|matters?)\b"
#: A last question that is a courtesy; "Shall I book it, or something else?" and "Any other date?" are none.
_COURTESY = re.compile(
    rf"(?:(?:and|so|now|ok(?:ay)?|great|otherwise)\b,? ?)*(?:(?:what|how) (?:else|more)\b|{_ELSE}|{_OTHER}"
    rf"|(?:is|are|was|were) there\b[^.?!]*\b(?:{_ELSE}|{_OTHER}|further\b)"
    r"|(?:is that|will that be|would that be) (?:all|everything)\b"
    rf"|(?:(?:do|would|did|can|could|may|might|shall) (?:you|i|we)|how (?:can|may) i|need)\b[^.?!]*"
    rf"\b(?:{_ELSE}|{_OTHER}|more help\b|(?:help|assist) you (?:with )?(?:today|further|more)\b))"
)
_OR_ELSE = re.compile(r"\bor (?:is there )?(?:any|some)thing else\b")


def with_derived_facts(messages: Sequence[Message]) -> tuple[Message, ...]:
    """A whole conversation's messages, each answer with the facts and acts that follow from the results before it.

    Answers that have facts already, because somebody stated them, are left as they are.
    """
    derived: list[Message] = []
    said: list[str] = []
    values: dict[tuple[str, str], Fact] = {}
    for message in messages:
        if message.role == "tool":
            values |= {(fact.name, fact.forms[-1]): fact for fact in _values(message.content or "")}
        elif message.role == "assistant" and message.content and not message.tool_calls and not message.facts:
            message = _annotated(message, message.content, list(values.values()), said)
        derived.append(message)
        if message.role != "tool":
            said.append(_plain(message.content or ""))
        said += [_plain(json.dumps(call.arguments, ensure_ascii=False)) for call in message.tool_calls]
    return tuple(derived)


def _annotated(message: Message, content: str, values: Sequence[Fact], said: Sequence[str]) -> Message:
    text = _plain(content)
    facts = tuple(dict.fromkeys(fact for value in values if (fact := _passed_on(value, text, said)) is not None))
    return message.model_copy(update={"facts": facts, "acts": _asking(content), "derived": True})


def _asking(content: str) -> tuple[Act, ...]:
    """What an answer's last sentence asks for, if it is a question."""
    text = unicodedata.normalize("NFKC", content).strip(" \t\n\"'*)")
    if not text.endswith("?"):
        return ()
    sentences = [sentence.strip().lower() for sentence in _NEXT_SENTENCE.split(text) if sentence.strip()]
    if not _COURTESY.match(sentences[-1]) or _OR_ELSE.search(sentences[-1]):
        return (Act.REQUEST,)
    return () if len(sentences) > 1 else (Act.REQUEST_MORE,)


def _passed_on(value: Fact, text: str, said: Sequence[str]) -> Fact | None:
    """The fact with the spelling the answer has first; None if it does not state it, or repeats what was said."""
    spelling = next((form for form in value.forms if states(text, form.lower())), None)
    if spelling is None or any(states(earlier, form.lower()) for form in value.forms for earlier in said):
        return None
    forms = tuple(dict.fromkeys((spelling, *value.forms)))
    return value.model_copy(update={"forms": forms})


def _values(content: str) -> Iterator[Fact]:
    """Values worth telling in one tool result; none in a result that is not JSON."""
    try:
        parsed = parse(content)
    except NotJson:
        return
    yield from _leaves("result", parsed)


def _leaves(name: str, value: Any) -> Iterator[Fact]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(str(key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner)
    elif not _PERSONS_NAME.fullmatch(name) and (forms := _forms(value)):
        yield Fact(name=name, kind="value", forms=forms)


def _forms(value: Any) -> tuple[str, ...]:
    """Spellings of a value, the one of the result last; none if it says too little to be demanded."""
    if isinstance(value, str):
        text = " ".join(value.split())
        worded = any(map(str.isalnum, text)) and not _STATUS_WORD.fullmatch(text)
        least = 2 if text.isdigit() or is_spaceless(text) else 3
        return (text,) if worded and least <= len(text) <= MAX_FORM else ()
    if isinstance(value, bool) or not isinstance(value, int | float) or (abs(value) < 10 and value == int(value)):
        return ()
    return tuple(dict.fromkeys((f"{value:,.2f}", f"{value:,}", f"{value:.2f}", str(value))))


def states(text: str, form: str) -> bool:
    """Whether ``form`` stands in ``text`` as whole words and numbers: ``19`` is in neither ``2019`` nor ``19.5``."""
    start = text.find(form)
    while start >= 0:
        if _ends(text[:start][-2:][::-1], form[:1]) and _ends(text[start + len(form) :][:2], form[-1:]):
            return True
        start = text.find(form, start + 1)
    return False


def _ends(beside: str, edge: str) -> bool:
    """Whether a word may end here, given the two signs beside it, nearest first, and its own sign at that edge."""
    if not beside or is_spaceless(beside[0]) or is_spaceless(edge):
        return True
    number_goes_on = edge.isdigit() and len(beside) == 2 and beside[0] in ".,:" and beside[1].isdigit()
    return not (beside[0].isalnum() or beside[0] == "_" or number_goes_on)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
