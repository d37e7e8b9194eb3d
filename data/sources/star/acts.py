"""What a wizard's picked suggestion does, read off its label: ``hotel_ask_date_from`` asks, ``goodbye_1`` takes leave.

Free replies and labels without a word for their kind (``custom``, ``out_of_scope``, ``hello``) have no act: nothing is
known about them. What is asked for is not taken from labels: they do not name the tools' arguments.
"""

from __future__ import annotations

import re

from data.schema import Act

_ACTS: tuple[tuple[re.Pattern[str], Act], ...] = (
    (re.compile(r"anything_else|.*_ask_more_questions|.*_ask_search_more"), Act.REQUEST_MORE),
    (re.compile(r"goodbye_\d|.*_bye"), Act.GOODBYE),
    (re.compile(r".*_ask_confirm_\w+|.*_confirm_booking"), Act.CONFIRM),
    (
        re.compile(r".*(?:success\w*|succeeded|_submitted|_informed|_inform_confirmed|_confirm_rsvp)"),
        Act.REPORT_SUCCESS,
    ),
    (re.compile(r".*(?:failed|unavailable|not_available|nothing_found|cannot_authenticate)\w*"), Act.REPORT_FAILURE),
    (re.compile(r"(?:\w+_)?ask_\w+"), Act.REQUEST),
    (re.compile(r".*_(?:inform|provide)_.*|.*_available"), Act.INFORM),
)


def acts_of(label: str | None, text: str) -> tuple[Act, ...]:
    """Acts of a reply; whatever a label says, a reply asks only if it ends on a question."""
    act = next((act for pattern, act in _ACTS if label and pattern.fullmatch(label)), None)
    if act is None:
        return ()
    asks = text.rstrip(" \n\"')").endswith("?")
    if act is Act.REQUEST:
        return (act,) if asks else ()
    also = asks and act in (Act.INFORM, Act.REPORT_FAILURE, Act.REPORT_SUCCESS, Act.GOODBYE)
    return (act, Act.REQUEST) if also else (act,)
