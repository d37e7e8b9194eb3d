"""What a user understands of an agent's free text, by rules: what it asks, offers, wants confirmed, tells and closes.

Nothing here sees annotations: the oracle and a trained model are heard by the same ears. The rules read one sentence at
a time and lean towards the obvious; what they do not understand, the user says so and repeats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from data.practice.declarations import Domain, Row, Slot, Task
from data.practice.language import MONTHS, NUMBER_WORDS
from data.practice.offers import mentioned_rows
from data.practice.spellings import plain, says


@dataclass(frozen=True)
class Heard:
    """One message of the agent as the user takes it."""

    asks: tuple[str, ...] = ()
    """Slots of the errand it asks for."""
    asks_more: bool = False
    """Whether it asks something that is no slot of the errand, as far as the user can tell."""
    options: tuple[Row, ...] = ()
    """Rows it offers, in the order mentioned."""
    confirms: bool = False
    """Whether it asks for a yes to a change."""
    proposes: bool = False
    """Whether it says so (``shall I``, ``go ahead``), and does not merely ask whether something is right."""
    more: bool = False
    """Whether it offers more help."""
    goodbye: bool = False
    failed: bool = False
    """Whether it says that something was not found or cannot be."""
    refuses: bool = False
    """Whether it says that something cannot be, or need not be any more; regret alone does not say so."""
    claims_done: bool = False
    """Whether it claims that a change has been made."""
    question: bool = False
    please_wait: bool = False


_SENTENCE = re.compile(r"[^.!?\n]+(?:[.](?=\d)[^.!?\n]*)*[.!?\n]*")
_MORE = re.compile(
    r"\b(?:anything|something|what|nothing) (?:else|more|further)\b|\bfurther (?:help|assist|question)"
    r"|\bother (?:question|matter|request)|\b(?:more|else) (?:i|we) can\b"
)
_GOODBYE = re.compile(
    r"\b(?:good ?bye|bye|farewell|take care(?! of\b))\b"
    r"|\bsee you(?: (?:soon|later|then|again|tomorrow|next\b.*))?[.!]*$"
    r"|\b(?:have a|enjoy your|enjoy the) \w+(?: \w+)?[.!]*$"
)
_FAILED = re.compile(
    r"\b(?:sorry|unfortunately|afraid|unable|regret)\b|\b(?:can't|cannot|can ?not|couldn't|could not|didn't|did not"
    r"|doesn't|does not|don't|do not|isn't|is not|wasn't|no) (?:\w+ ){0,2}?(?:find|found|match|exist|available|locate"
    r"|free|possible|such|see|left)\b|\b(?:no longer|not found|failed|error|invalid)\b"
)
_REFUSES = re.compile(
    r"\b(?:can't|cannot|can ?not|couldn't|could not|unable|won't be|no longer|too late|already|before, so"
    r"|(?:not|n't|isn't) (?:be )?(?:possible|allowed|eligible|returned|renewed|changed|done)"
    r"|nothing (?:left |more |here )?to)\b"
)
_PROPOSES = re.compile(
    r"\b(?:shall|should|may|can|could) (?:i|we) (?!have|get|ask|help|know|assist|offer you|try|look|check|take)\w+"
    r"|\b(?:do|would) you (?:want|like) (?:me|us) to\b|\bwant me to\b|\bgo ahead\b|\bproceed\b"
    r"|\b(?:do|can|could|would) you (?:please )?confirm\b|\bplease confirm\b|\bto confirm\b.*\?"
    r"|\bconfirm (?:this|that|the)\b|\bare you (?:sure|certain)\b|\bconfirm\?"
)
_ASSURES = re.compile(
    r"\b(?:is|are) (?:that|this|it|these|those|everything|all|the details)(?: all)?"
    r" (?:right|correct|ok|okay|fine|all right|good)\b|\b(?:correct|right|yes or no|agreed|ok|okay)\s*\?"
)
_ASK = re.compile(
    r"\b(?:what|which|when|where|who|whom|how many|how much|how long|how old|whose)\b"
    r"|\b(?:could|can|may|might|would|will) (?:you|i|we) (?:please |kindly |also )?"
    r"(?:give|tell|provide|have|get|know|share|state|specify|enter|send|spell|let|ask|repeat|check|verify|confirm your)"
    r"|\b(?:please|kindly) (?:give|tell|provide|share|state|specify|enter|send|let|verify|confirm your)"
    r"|\b(?:i|we)(?:'ll| will| would)? (?:also |just |still |first )?(?:need|require)\b|\blet me know\b|\bremind me\b"
    r"|\b(?:is there|do you have|have you got|would another|would a different|do you know|is it|by)\b|\bplease\?"
)
_WH = re.compile(r"^(?:[\w']+,? ){0,3}?(?:what|which|when|where|who|whom|whose|how (?!about))\b")
_REQUEST = re.compile(
    r"\b(?:please|kindly) (?:give|tell|provide|share|state|specify|enter|send|let|verify|confirm)\b"
    r"|\blet me know\b|\bneed (?:your|to know|the)\b"
)
_DONE = re.compile(
    r"\b(?:done|all set|success\w*|completed?|arranged|confirmed)\b"
    r"|\b(?:have|has|is|are|was|were|been|it's|i|'ve|now) (?:now |just |been |already )*"
    r"(?:booked|changed|cancell?ed|ordered|updated|reserved|scheduled|moved|transferred|paid|sent|blocked|activated"
    r"|registered|submitted|refunded|returned|added|removed|set up|opened|closed|issued|created|made|placed|replaced"
    r"|processed|renewed|filed|switched|raised|lowered|frozen|unblocked|deleted|extended|rebooked|rescheduled)\b"
)
_WAIT = re.compile(
    r"\b(?:one|a|just a) (?:moment|second|minute)\b|\bplease wait\b|\bhold on\b"
    r"|\b(?:let me|i'll|i will|i am going to|i'm going to) (?:just |now |quickly )?(?:check|look|see|find|search)\b"
)
_WHEN = re.compile(r"\bwhen\b|\b(?:what|which|another|other) day\b|\bdates?\b")
_CLOCK = re.compile(r"\bwhen\b|\b(?:what|which) time\b")
_MONEY_OR_CODE = re.compile(r"\d")


_DURATIONS = ("night", "day", "week", "month", "year", "hour", "minute")
_ATTENTION = 4000
"""Characters of one message that a user takes in."""


def hear(text: str, domain: Domain, task: Task, rows: Sequence[Row], aside: str | None = None) -> Heard:
    """Understand one message of the agent in the light of the errand in question.

    Args:
        text: What the agent said.
        domain: Whose slots and words.
        task: The errand the user is about.
        rows: What the errand's look-up has returned so far: what an agent can offer.
        aside: A matter beside the errand; sentences about it are no answer to the errand.
    """
    said = plain(text)[:_ATTENTION]
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(said)]
    if aside:
        sentences = [sentence for sentence in sentences if plain(aside) not in sentence]
    asking = [sentence for sentence in sentences if _is_question(sentence)]
    more = any(_MORE.search(sentence) for sentence in asking)
    asking = [sentence for sentence in asking if not _MORE.search(sentence)]
    failed = any(_FAILED.search(sentence) for sentence in sentences)
    asks = [
        slot
        for sentence in asking
        if _ASK.search(sentence) or (failed and not _confirms(sentence))
        for slot in asked_slots(sentence, domain, task)
    ]
    if failed and asking and not asks and not any(_confirms(sentence) for sentence in asking):
        # "I can't find that code. Could you check it?"
        asks = [slot for s in sentences if _FAILED.search(s) for slot in asked_slots(s, domain, task)]
    asks += [slot for sentence in asking for slot in _yes_no_slots(sentence, domain, task)]
    confirming = [s for s in asking if _confirms(s) and not (_ASK.search(s) and asked_slots(s, domain, task))]
    options = tuple(mentioned_rows(said, rows, domain, task))
    opened = not asks and not confirming and not options and bool(asking)
    return Heard(
        asks=tuple(dict.fromkeys(asks)),
        asks_more=opened,
        options=options,
        confirms=bool(confirming),
        proposes=any(_PROPOSES.search(sentence) for sentence in confirming),
        more=more,
        goodbye=not asking and not more and bool(_GOODBYE.search(said)),
        failed=failed,
        refuses=any(_REFUSES.search(sentence) for sentence in sentences),
        claims_done=any(_DONE.search(sentence) for sentence in sentences if "?" not in sentence),
        question=bool(asking),
        please_wait=not asking and bool(_WAIT.search(said)),
    )


def _confirms(sentence: str) -> bool:
    return not _WH.search(sentence) and bool(_PROPOSES.search(sentence) or _ASSURES.search(sentence))


def _is_question(sentence: str) -> bool:
    return sentence.endswith("?") or bool(_REQUEST.search(sentence))


def asked_slots(sentence: str, domain: Domain, task: Task) -> list[str]:
    """Slots of the errand that a question is after, by their cues, else by its question word."""
    slots = [domain.slots[name] for name in task.mentioned if name in domain.slots]
    found = [slot.name for slot in slots if _cue(slot).search(sentence)]
    kinds = {domain.slots[name].kind for name in found}
    if not kinds & {"date", "birth_date", "time"}:
        if _WHEN.search(sentence):
            found += [slot.name for slot in slots if slot.kind == "date" and slot.name in task.asked]
        if _CLOCK.search(sentence):
            found += [slot.name for slot in slots if slot.kind == "time" and slot.name in task.asked]
    if "how many" in sentence and "count" not in kinds:
        found += [slot.name for slot in slots if slot.kind == "count" and slot.name in task.asked]
    if "how long" in sentence:
        found += [slot.name for slot in slots if slot.unit[0] in _DURATIONS and slot.name in task.asked]
    return found


def _yes_no_slots(sentence: str, domain: Domain, task: Task) -> list[str]:
    """Yes-or-no slots that a question mentions (``would you like breakfast?``)."""
    if _confirms(sentence):
        return []
    slots = [domain.slots[name] for name in task.mentioned if name in domain.slots]
    return [slot.name for slot in slots if slot.kind == "boolean" and _cue(slot).search(sentence)]


@lru_cache(maxsize=1024)
def _cue_of(name: str, cues: tuple[str, ...], unit: str) -> re.Pattern[str]:
    own = {name.replace("_", " "), name.rsplit("_", 1)[-1], *cues}
    if unit:
        own.add(f"how many {unit}")
    return re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, own), key=len, reverse=True)) + ")")


def _cue(slot: Slot) -> re.Pattern[str]:
    return _cue_of(slot.name, slot.cues, slot.unit[1])


def speaks_of(said: str, slot: Slot) -> bool:
    """Whether a ``plain`` text speaks of this slot at all."""
    return bool(_cue(slot).search(said))


_DATE = re.compile(
    r"\b(?:(\d{4})-(\d\d)-(\d\d)|(\d{1,2})(?:st|nd|rd|th)?(?: of)? ({0})|({0}) (\d{{1,2}})(?:st|nd|rd|th)?)\b".replace(
        "{0}", "|".join(month.casefold() for month in MONTHS)
    ).replace("{{1,2}}", "{1,2}")
)


def dates_said(said: str) -> set[tuple[int, int]]:
    """Calendar dates in a ``plain`` text as (month, day)."""
    months = [month.casefold() for month in MONTHS]
    found = set()
    for match in _DATE.finditer(said):
        if match[1]:
            found.add((int(match[2]), int(match[3])))
        elif match[4]:
            found.add((months.index(match[5]) + 1, int(match[4])))
        else:
            found.add((months.index(match[6]) + 1, int(match[7])))
    return found


def contradicted(said: str, values: Mapping[str, Any], domain: Domain) -> list[str]:
    """Slots about which the text says another value than the user's: another date, time of day or count."""
    wrong = []
    for name, value in values.items():
        slot = domain.slots[name]
        if says(said, slot, value):
            continue
        if (slot.kind == "date" and _other_date(said, values, domain)) or (
            slot.kind == "count" and _other_count(said, slot)
        ):
            wrong.append(name)
    return wrong


def _other_date(said: str, values: Mapping[str, Any], domain: Domain) -> bool:
    days = [date.fromisoformat(value) for name, value in values.items() if domain.slots[name].kind == "date"]
    return bool(dates_said(said)) and not dates_said(said) & {(day.month, day.day) for day in days}


def _other_count(said: str, slot: Slot) -> bool:
    numbers = "|".join(NUMBER_WORDS)
    return bool(slot.unit[0]) and bool(re.search(rf"\b(?:\d+|{numbers}) {re.escape(slot.unit[0])}", said))
