"""Whether an answer does what was due: ask, report, offer to act, take leave; and nothing that contradicts it.

Facts and slots say most of what an answer has to do, so acts are judged where these do not: an offer to act, a report
of success or failure, the question for more, the farewell. ``models.rewards.acts`` tells the acts a text shows; since
people do one act in many ways (they report a started song with "enjoy the music"), each act also has words of its own
here that count as doing it. What share of recorded answers passes is in docs/rewards.md.
"""

from __future__ import annotations

import re

from data.schema import ASKING_ACTS, Act, DecisionPoint
from models.rewards.acts import acts_of
from models.wording import asks, plain

#: What is left of an answer that does none of the acts due, or asks where asking was not due.
NOT_DONE = 0.25
#: For facts told without the question that was due, or without the report.
HALF_DONE = 0.5
#: For claiming what has not happened: a booking before the user confirmed it, success after a failure.
FALSE_CLAIM = 0.5

_DOING = (
    r"book|reserv|make|buy|purchas|get\b|play|schedul|set\b|arrang|rent|order|search|transfer|add|watch|listen|hir|send|go"
    r"|proceed|start|begin|stream|cast|put|creat|ticket|appointment|table|trip|visit|transaction|calendar|look|find|check"
)
_WORDS: dict[Act, re.Pattern[str]] = {
    Act.REQUEST_MORE: re.compile(
        r"\b(?:more|else|other|further|another|anymore|additional|extra|help|assist|be all|next|still|do for you)\b"
        r"|\bwhat (?:should|can|do) (?:i|you) (?:do|want|need)\b"
    ),
    Act.OFFER_INTENT: re.compile(rf"^(?!.*\b(?:what|which|when|where|who|how many|how much)\b).*\b(?:{_DOING})"),
    Act.REPORT_SUCCESS: re.compile(
        r"succe|\b(?:book|reserv|confirm|schedul|done|through|complet|purchas|transfer|play|start|arrang|rent|sent|add"
        r"|creat|set\b|plan|ready|made|order|paid|process|chang|updat|cancel|cast|stream|begun|conserv|bought)"
        r"|\b(?:way|(?:en)?route|shortly|minutes|yours|your seats|got|good to go|taken care|you will get)\b"
        r"|\bput (?:it|that) on\b"
        r"|\b(?:enjoy|love|fun with) (?:the|your) (?:song|music|movie|film|show|tune)\b"
    ),
    Act.REPORT_FAILURE: re.compile(
        r"\b(?:sorry|unfortunately|afraid|unable|fail|error|problem|not?\b|none|nothing|unavailable|taken|full|sold|only"
        r"|cannot|wrong|apolog)|n't\b"
    ),
    Act.GOODBYE: re.compile(
        r"\b(?:bye|goodbye|welcome|thank|cheers|enjoy|glad|happy|later|pleasure|great|nice|good|lovely|best|care|luck|wish"
        r"|hope|fun|safe|no problem|anytime|any time|wonderful|fantastic|see you|day|have an?|you too|let me know)"
    ),
}
_CHANGED = "booked|reserved|purchased|bought|sent|transferred|made|scheduled|placed|completed|confirmed|done|rented"
_NOT_THAT = r"\b(?!\s*\?| (?:no|nothing|none)\b| (?:a |an |the )?(?:mistake|error)\b)"
_DONE = f"(?:successfully )?(?:{_CHANGED}|cancell?ed|deleted|secured){_NOT_THAT}"
#: Of things it may be so by itself ("parking is paid"), of oneself only by one's own doing. "I have changed that" is
#: not among them: people say it of what they have understood.
_DID = f"(?:successfully )?(?:{_CHANGED}|cancell?ed|deleted|secured|paid|ordered){_NOT_THAT}"
_ADVERBS = "(?: now| been| just| also| all| already| gone ahead and| went ahead and)*"
_CLAIM = re.compile(rf"\b(?:has|have|is|are|was|were|'s|'ve){_ADVERBS} {_DONE}|\bsuccessfully\b|\bwas successful\b")
#: The agent's own word for it, which no "no", "unfortunately" or question mark takes back.
_OWN_CLAIM = re.compile(
    rf"\b(?:i|we)(?:'ve| have)?{_ADVERBS} {_DID}|\bput you down for\b|^(?:all )?{_DID}(?! for now\b)"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_CLAUSE_END = re.compile(r"[,;:()]|\s-+\s|\b(?:but|and|so|yet|though|however|because|since)\b")
#: What stands before a claim in its clause where it is none: it hangs on something, is denied, or asked about.
_DEPENDS = re.compile(r"\b(?:before|once(?! again)|until|unless|if|whether|when|after(?! all))\b")
_DENIES = re.compile(
    r"n't\b|\b(?:not|never(?! mind)|none|nothing|nobody|neither|nor|cannot|unable|fail\w*|unsuccess\w*|error)\b"
    r"|\bno\b(?! (?:worr|problem|trouble|doubt|matter))"
)
_ASKS_WHETHER = re.compile(
    r"^(?:do|does|did|is|are|was|were|has|have|should|shall|would|will|can|could|may|what|which|where|who|how)\b"
)
#: How a sentence begins that has the user check what it states.
_HAS_IT_CHECKED = re.compile(r"^(?:please |kindly )*(?:ensure|confirm|verify|check|make sure) (?:that|if|whether)\b")
#: And after it.
_ONCE_CONFIRMED = re.compile(
    r"\b(?:if|once|until|unless|before|after|when|as soon as) you (?:confirm|agree|approve|say)\b"
)
#: What somebody else has, which is how a booking fails: "Sorry, it is already booked."
_TAKEN = re.compile(r"\b(?:is|are|was|were|'s) (?:all|fully|already) (?:booked|reserved)\b")
#: What an answer that was to inform, offer, confirm or ask for something must do more than.
_BESIDE_THE_POINT = frozenset({Act.REQUEST, Act.REQUEST_MORE, Act.GOODBYE, Act.REPORT_SUCCESS})
#: Turns before, without or long after a completed change, where claiming one is false or out of place.
_NOTHING_DONE = frozenset({Act.CONFIRM, Act.REPORT_FAILURE, Act.GOODBYE})


def act_fit(point: DecisionPoint, text: str) -> float:
    """In [0.0625, 1]: 1 where the text does the acts due and claims nothing that has not happened."""
    return _done_share(point, text) * (FALSE_CLAIM if claims_falsely(point, text) else 1.0)


def asking_is_due(point: DecisionPoint) -> bool:
    """Whether the expected answer asks the user for something."""
    return not ASKING_ACTS.isdisjoint(point.expected.acts)


def does(act: Act, text: str) -> bool:
    """Whether the text does the act, as far as words tell; acts that facts and slots speak for always count as done."""
    words = _WORDS.get(act)
    if words is None:
        return True
    if act in ASKING_ACTS and not asks(text):
        return False
    if act is Act.REPORT_SUCCESS and _plainly_failed(text):
        return False
    return bool(words.search(plain(text))) or act in acts_of(text)


def claims_falsely(point: DecisionPoint, text: str) -> bool:
    """Whether a sentence claims a completed change at a turn where there is none, whatever stands beside it."""
    acts = set(point.expected.acts)
    if not acts or Act.REPORT_SUCCESS in acts or (acts.isdisjoint(_NOTHING_DONE) and _anything_called(point)):
        return False
    said = _TAKEN.sub("", plain(text)) if Act.REPORT_FAILURE in acts else plain(text)
    return any(map(_claims, _SENTENCE_END.split(said)))


def _anything_called(point: DecisionPoint) -> bool:
    """Whether any tool has answered so far: before that nothing can have changed, and after it words do not tell."""
    return any(message.role == "tool" for message in point.history)


def _claims(sentence: str) -> bool:
    """Whether a sentence claims a change: one in it is neither denied, nor hangs on something, nor is asked about."""
    if any(not _DEPENDS.search(_clause_before(claim)) for claim in _OWN_CLAIM.finditer(sentence)):
        return True
    if _HAS_IT_CHECKED.search(sentence) or _ONCE_CONFIRMED.search(sentence):
        return False
    asked = sentence.endswith("?")
    before = map(_clause_before, _CLAIM.finditer(sentence))
    return any(
        not (_DEPENDS.search(clause) or _DENIES.search(clause) or (asked and _ASKS_WHETHER.search(clause)))
        for clause in before
    )


def _clause_before(claim: re.Match[str]) -> str:
    return _CLAUSE_END.split(claim.string[: claim.start()])[-1].strip()


def _done_share(point: DecisionPoint, text: str) -> float:
    """What the acts due leave of the content: all if done, ``HALF_DONE`` or ``NOT_DONE`` if not."""
    acts, expected = point.expected.acts, point.expected
    if not acts:
        return 1.0  # nobody has annotated what kind of turn it is
    missing = [act for act in acts if not does(act, text)]
    if not expected.derived and _does_something_else(point, text):
        missing += [act for act in acts if act not in _WORDS]
    if expected.facts or expected.requested:
        silent = asking_is_due(point) and not asks(text)
        return HALF_DONE if silent or Act.REPORT_FAILURE in missing else 1.0
    if asks(text) != asking_is_due(point) and not _may_ask(point, text):
        return NOT_DONE
    return 1.0 if not missing else HALF_DONE if len(missing) < len(acts) else NOT_DONE


def _does_something_else(point: DecisionPoint, text: str) -> bool:
    """Whether the text is nothing but a question or a farewell that was not due, whatever the words of its own."""
    shown = acts_of(text)
    return bool(shown) and shown <= _BESIDE_THE_POINT and shown.isdisjoint(point.expected.acts)


def _may_ask(point: DecisionPoint, text: str) -> bool:
    """Whether the turn may be a question or a statement: an offer, a confirmation, or help offered at an end."""
    if asking_is_due(point):
        return False
    acts = set(point.expected.acts)
    if not acts.isdisjoint({Act.OFFER, Act.CONFIRM}):
        return True
    return not acts.isdisjoint({Act.GOODBYE, Act.REPORT_SUCCESS}) and Act.REQUEST_MORE in acts_of(text)


def _plainly_failed(text: str) -> bool:
    """Whether it reports a failure and no sentence of it a success ("It is booked. Sorry for the wait!")."""
    return Act.REPORT_FAILURE in acts_of(text) and not any(map(_claims, _SENTENCE_END.split(plain(text))))
