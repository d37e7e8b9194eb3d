"""What kind of act a text is, as far as its wording tells: it asks, offers, confirms, reports, says goodbye.

Each sentence is read on its own by a short table of patterns, in the words of SGD's annotation (``data.schema.Act``);
the text's acts are those of its sentences. They tell what an answer *does* without a reference utterance, so that a
reward can ask whether that was due. A text may be several acts at once ("Done. Anything else?") or none ("ok"). How
well the rules agree with people's annotation is measured in docs/log.md, not assumed.
"""

from __future__ import annotations

import re
from functools import lru_cache

from data.schema import Act
from models.wording import asks, plain

#: What an agent can do for a user, as an offer to act names it and as a report says it is done.
_DOING = (
    "book|reserve|make|buy|purchase|get|find|play|schedule|set|arrange|rent|order|search|look|check|transfer|add|watch"
    "|listen|request|hire|withdraw|visit|send|know|go ahead|hear|try"
)
_DONE = (
    "booked|reserved|made|scheduled|confirmed|purchased|bought|sent|transferred|placed|ordered|rented|added|set|processed"
    "|played|playing|started|starting|arranged|secured|finalized|begun|completed?|done|successful|ready|through"
)
#: Characters that are read; beyond them stands no act, and patterns over endless text take endless time.
_LONGEST_TEXT, _LONGEST_SENTENCE = 8_000, 400
_SENTENCES = re.compile(r"[^.!?]*(?:[.!?](?=\w)[^.!?]*)*[.!?]*")
_MORE = re.compile(
    r"\b(?:any|some) ?(?:thing|way|service|request)s? (?:else|more|further|other)\b|\bwhat else\b|\banything other\b"
    r"|\b(?:any|some) (?:other|further|more) (?:way|service|request|help|assistance|thing|question)s?\b"
    r"|\banything you\b"
    r"|\b(?:help|assist|assistance|do for you)\b.*\b(?:more|further|else|otherwise|other|again)\b"
    r"|\b(?:more|further|else|other|additional)\b.*\b(?:help|assist|assistance|do for you)\b"
    r"|\b(?:can|may|could) i (?:be of|help|assist)\b"
)
_GOODBYE = re.compile(
    r"\b(?:good ?bye|bye|take care|see you|farewell|good (?:day|night|luck)|my pleasure|you'?re welcome)\b"
    r"|\b(?:have|enjoy|wish)\b.{0,30}\b(?:day|time|night|evening|afternoon|morning|one|weekend|trip|flight|stay|meal"
    r"|journey|visit|fun|safe|movie|event|ride|show)\b"
)
_CONFIRM = re.compile(
    r"\b(?:confirm|verify|double[- ]check|make sure)(?:ing)?\b(?!ed)"
    r"|\b(?:correct|right|accurate|good to you)\s*\?"
    r"|\b(?:details|everything|information|i have)\b.*\b(?:correct|right)\b"
    r"|\b(?:want|wants|would like|'d like|wish|looking|need|asked|asking)\b(?: me)? (?:to|a|an|the|\d)\b.*\d"
    r"|^(?:so|and|ok(?:ay)?|alright|sure),? (?:that's|that is|you|it's|this is|to)\b"
    r"|\b(?:should|shall|may|can) i (?:go ahead|proceed|continue|place (?:the|your) order)\b"
    r"|\b(?:should|shall|may|can|will|'ll|going to|about to) (?:i )?(?:now |just )?"
    r"(?:book|reserve|schedule|play|transfer)\w*\b.*\d"
)
_FAILURE = re.compile(
    r"\b(?:unable|could ?n[o']?t|can(?:not|'t| not)|wasn'?t|weren'?t|fail(?:ed|s|ure)?|unsuccessful(?:ly)?"
    r"|unfortunately|error|went wrong|didn'?t|did not"
    r"|not (?:available|possible|able|successful|been|go|booked|made|found)"
    r"|unavailable|no longer|apologi[sz]e|sorry|soory)\b|\bno\b.{0,30}\b(?:available|found|match\w*|results?)\b"
)
_SUCCESS = re.compile(
    r"\b(?:success(?:ful(?:ly)?)?|congrat\w*|all set)\b|\bon (?:its|the|their|his|her) way\b"
    r"|\b(?:now|is|are) (?:playing|starting)\b"
    rf"|\b(?:has|have|had|is|are|was|were|been|got|get|i|i've|it's|that's|will)\b.{{0,25}}\b(?:{_DONE})\b"
    rf"|^(?:great,? |ok(?:ay)?,? |sure,? )*(?:{_DONE})\b|\b(?:will|is going to) start\b|^enjoy\b|\bplaying\b"
)
_INTENT = re.compile(
    rf"\b(?:would|do|did|will|shall|should|can|could|may|are|want|wanna|like|interested|care|wish|need)\b.{{0,30}}\b(?:{_DOING})"
    r"(?:e?ing)?\b|\b(?:reservation|appointment|tickets?)\b|\bif you(?:'d| would| want| wish| like)"
)
_OFFER_ASKED = re.compile(
    r"\b(?:how|what) about\b"
    r"|\b(?:would|do|will|does|is|are)\b.{0,40}\b(?:like|works?|interest(?:ed)?|suit|good|fine|ok(?:ay)?|alright"
    r"|ok with)\b.{0,60}|\bwhat do you (?:say|think)\b|\binterested in\b|\bwould\b.*\bwork\b"
)
_OFFER_SAID = re.compile(
    r"\b(?:i|i've|i'd|we|we've)(?: have| would)? (?:also )?"
    r"(?:found|find|recommend|suggest|propose|see|located|have|got)\b"
    r"|\bthere(?:'s| is| are| was)\b"
    r"|\b(?:nice|good|great|popular|well-known|lovely|available|options?|match(?:es)?|results?|called|named)\b"
    r"|\byou (?:can|could|may|might)\b"
)
_OPEN = re.compile(r"\b(?:what|which|when|where|who|how)\b(?! (?:about|do you (?:say|think)))")
_COUNT = re.compile(
    r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|several|some|many)\b(?: \w+){0,3} \w+s\b"
)
_REQUEST = re.compile(
    r"\b(?:what|which|when|where|who|whom|whose|how)\b|\b(?:tell|give|provide|specify|enter|share|choose|select|pick|state)\b"
    r"|\b(?:preference|preferred|prefer|specific|particular|certain|kind|type|number|amount)\b"
    r"|\b(?:do|would|should|will|are|is|did|does|have|any|or)\b|\bneed\b"
)
_CLAIM = re.compile(
    r"\d|\b(?:is|are|was|were|has|have|does|do|can|will|costs?|rated?|leaves?|departs?|arrives?|serves?|allows?|offers?"
    r"|playing|located|directed|it's|it'll|they're|that's|he's|she's)\b|n't\b|\b(?:yes|no|yeah|yep|yup|nope)\b"
)


@lru_cache(maxsize=65536)
def acts_of(text: str) -> frozenset[Act]:
    """The acts that the wording of ``text`` shows; empty if it shows none. Never raises."""
    sentences = (sentence.strip()[:_LONGEST_SENTENCE] for sentence in _SENTENCES.findall(plain(text[:_LONGEST_TEXT])))
    return frozenset().union(*(_acts(sentence) for sentence in sentences if sentence))


def _acts(sentence: str) -> frozenset[Act]:
    if asks(sentence) and _MORE.search(sentence):
        failed = {Act.REPORT_FAILURE} if _FAILURE.search(sentence) else set()
        return frozenset({Act.REQUEST_MORE, *failed})
    if _CONFIRM.search(sentence):
        return frozenset({Act.CONFIRM})
    if _FAILURE.search(sentence) and not sentence.endswith("?"):
        return frozenset({Act.REPORT_FAILURE})
    return _asked(sentence) if asks(sentence) else _said(sentence)


def _asked(sentence: str) -> frozenset[Act]:
    open_question = _OPEN.search(sentence) is not None
    if _OFFER_ASKED.search(sentence) and not (open_question or _INTENT.search(sentence)):
        return frozenset({Act.OFFER})
    if _INTENT.search(sentence) and not open_question:
        return frozenset({Act.OFFER_INTENT})
    return frozenset({Act.REQUEST}) if _REQUEST.search(sentence) else frozenset()


def _said(sentence: str) -> frozenset[Act]:
    if _GOODBYE.search(sentence):
        return frozenset({Act.GOODBYE})
    if _SUCCESS.search(sentence):
        return frozenset({Act.REPORT_SUCCESS})
    if _OFFER_SAID.search(sentence):
        counted = {Act.INFORM} if _COUNT.search(sentence) else set()
        return frozenset({Act.OFFER, *counted})
    return frozenset({Act.INFORM}) if _CLAIM.search(sentence) else frozenset()
