"""Whether an answer does what was due where no fact speaks for it: asks for what was asked for, reports, takes leave.

The judge's own reading, which rewards do not share (models/rewards/acts.py, act_fit.py): few words for each act, wide
enough that people's answers pass, narrow enough that one reply does not fit every turn; docs/log.md (2026-11-30) has
the shares of both. Which argument a question is about is read as everywhere (models/slots.py). A turn on which nobody
annotated an act asks for nothing here.
"""

from __future__ import annotations

import re

from data.schema import Act, DecisionPoint
from models.slots import speaks_of
from models.wording import asks, plain

#: Question words beyond one for each thing that is due: more of them is a list of all there is to ask.
SPARE_QUESTIONS = 2
_QUESTION_WORD = re.compile(r"\b(?:what|which|when|where|who|whom|whose|how|why)\b")
_CONSOLATION = re.compile(r"\b(?:no|not a) (?:problems?|worries|trouble)\b")
#: Each part of a sentence is read by itself: "Booked, and don't forget your ID" reports success. A question reports
#: nothing and takes no leave.
_SENTENCES = re.compile(r"[^.!?]*[.!?]*")
_CLAUSE_END = re.compile(r"[,;]+|\b(?:but|and)\b")
_FAILED = re.compile(
    r"\b(?:sorry|unfortunately|afraid|unable|can ?not|fail\w*|unsuccess\w*|error|problem|not|none|nothing|unavailable"
    r"|sold out|fully booked|no longer|no)\b|n't\b"
)
#: What no report of a failure says beside it.
_CLAIMED = re.compile(
    r"\b(?:success\w*|(?:is|are|was|were|been|have|has) (?:now |been )*(?:booked|reserved|scheduled|purchased|bought"
    r"|transferred|confirmed|made|sent|paid|done|completed))\b"
)
#: What nobody says who asks whether to do it: that it is their own doing. (A flight "is scheduled" by the airline.)
_OWN_DOING = re.compile(
    r"\b(?:i|we)(?:'ve| have)? (?:now |just |already )*(?:booked|reserved|scheduled|purchased|bought|transferred|sent"
    r"|paid|made(?! an? (?:mistake|error)))\b|\bsuccessfully\b"
)
_SUCCEEDED = re.compile(
    r"succe|\b(?:done|ready|set|made|sent|paid|got|through|completed?|confirmed|congrat\w*|enjoy\w*|fun|yours?|way"
    r"|shortly|minutes|taken care|all good|put (?:it|that)|booked|reserved|scheduled|purchased|bought|transferred"
    r"|play(?:s|ed|ing)|start(?:s|ed|ing)|beg[ua]n|beginning|arranged|rented|added|created|ordered|processe?d|placed"
    r"|planned|changed|updated|cancell?ed|cast(?:ing)?|streaming|hired|secured)\b"
)
_MORE = re.compile(
    r"\b(?:more|else|other|others|further|another|anymore|additional|extra|help|assist\w*|all|next|still|anything"
    r"|something|do for you|need|want)\b"
)
_TO_DO = re.compile(
    r"\b(?:book|reserv|mak|buy|purchas|get|play|schedul|set|arrang|rent|order|search|transfer|transact|add|watch|listen"
    r"|hir|send|go|proceed|start|begin|stream|cast|put|creat|look|find|check|visit|ticket|appointment|table|room|trip"
    r"|pay|request|see|hear|try|cancel|chang|withdraw|shar|secur)\w*"
)
_LEAVE = re.compile(
    r"bye\b|\b(?:welcome|thank\w*|cheers|enjoy\w*|glad|happy|later|pleasure|great|nice|good|lovely|best|care|luck"
    r"|wish\w*|hope\w*|fun|safe|no problem|no worries|any ?time|wonderful|fantastic|see you|day|night|evening|weekend"
    r"|have an?|you too|let me know|appreciat\w*|take it easy|blast)\b"
)


def does_what_was_due(point: DecisionPoint, text: str) -> bool:
    """Whether the text does every act that the expected answer does, as far as words tell.

    With facts to tell, those speak for what is informed, offered, confirmed or reported; asking is read always, and so
    is a claim that what is to be confirmed is done.
    """
    said, acts = plain(text), point.expected.acts
    if Act.CONFIRM in acts and Act.REPORT_SUCCESS not in acts and _says(_OWN_DOING, said):
        return False
    return all(_does(act, point, text, said) for act in acts)


def _does(act: Act, point: DecisionPoint, text: str, said: str) -> bool:
    if act is Act.REQUEST:
        return asks(text) and _asks_for_one(point, text, said)
    if act in (Act.REQUEST_MORE, Act.OFFER_INTENT):
        # Both ask what to do next. Which of them an annotated agent chose is drawn as often as it follows.
        return asks(text) and bool(_MORE.search(said) or _TO_DO.search(said))
    if point.expected.facts:
        return True
    if act is Act.REPORT_SUCCESS:
        return _says(_SUCCEEDED, said)
    if act is Act.REPORT_FAILURE:
        return any(map(_FAILED.search, _clauses(said))) and not _says(_CLAIMED, said)
    return act is not Act.GOODBYE or any(_LEAVE.search(sentence) for sentence in _told(said))


def _says(success: re.Pattern[str], said: str) -> bool:
    """Whether a clause that is no question speaks of success and of no failure."""
    clauses = [clause for sentence in _told(said) for clause in _clauses(sentence)]
    return any(success.search(clause) and not _FAILED.search(clause) for clause in clauses)


def _told(said: str) -> list[str]:
    return [sentence for sentence in _SENTENCES.findall(said) if not sentence.endswith("?")]


def _clauses(said: str) -> list[str]:
    return [
        clause for sentence in _SENTENCES.findall(_CONSOLATION.sub(" ", said)) for clause in _CLAUSE_END.split(sentence)
    ]


def _asks_for_one(point: DecisionPoint, text: str, said: str) -> bool:
    """Whether it asks for one thing of those that the expected answer asks for, and not for everything at once.

    Which of them comes first is a matter of taste; something else is not what was due.
    """
    wanted = point.expected.requested
    if not wanted:
        return True
    if len(_QUESTION_WORD.findall(said)) > len(wanted) + SPARE_QUESTIONS:
        return False
    return any(speaks_of(slot, text, point.tools) for slot in wanted)
