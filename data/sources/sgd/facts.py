"""What an SGD answer must convey: its acts, the facts in them, and which of those the agent could know.

The values of INFORM, OFFER, CONFIRM and INFORM_COUNT are facts: measured over the whole copy, each of them that is not
a boolean stands literally in the utterance. Options listed with a REQUEST are not (asking well does not need them), nor
is the intent of an OFFER_INTENT. A fact that occurs nowhere the agent can look, such as the fourth row of a result cut
to three, must not be demanded; ``Visible`` keeps track of where it can look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from data.flags import contains
from data.schema import Act, Fact
from data.sources.sgd.raw import RawAction

ACTS: dict[str, Act] = {
    "INFORM": Act.INFORM,
    "INFORM_COUNT": Act.INFORM,
    "OFFER": Act.OFFER,
    "REQUEST": Act.REQUEST,
    "CONFIRM": Act.CONFIRM,
    "OFFER_INTENT": Act.OFFER_INTENT,
    "NOTIFY_SUCCESS": Act.REPORT_SUCCESS,
    "NOTIFY_FAILURE": Act.REPORT_FAILURE,
    "REQ_MORE": Act.REQUEST_MORE,
    "GOODBYE": Act.GOODBYE,
}
FACTUAL = frozenset({"INFORM", "OFFER", "CONFIRM", "INFORM_COUNT"})
_BOOLEANS = {"True": "True", "False": "False", "None": "False"}  # "None": no subtitles, the only such value


def acts_of(actions: Iterable[RawAction]) -> tuple[Act, ...]:
    """Distinct acts in order.

    Raises:
        KeyError: An act upstream does not document.
    """
    return tuple(dict.fromkeys(ACTS[action.act] for action in actions))


def requested_of(actions: Iterable[RawAction]) -> tuple[str, ...]:
    """Distinct slots asked for, in order."""
    return tuple(dict.fromkeys(action.slot for action in actions if action.act == "REQUEST"))


def facts_of(actions: Iterable[RawAction]) -> tuple[Fact, ...]:
    """Distinct facts in order, the spoken form of each value before the canonical one."""
    return tuple(
        dict.fromkeys(
            _fact(action.slot, spoken, canonical)
            for action in actions
            if action.act in FACTUAL
            for spoken, canonical in action.pairs()
            if spoken.strip() and canonical.strip()
        )
    )


def _fact(name: str, spoken: str, canonical: str) -> Fact:
    if canonical in _BOOLEANS:
        return Fact(name=name, kind="boolean", forms=(_BOOLEANS[canonical],))
    return Fact(name=name, kind="value", forms=tuple(dict.fromkeys((spoken, canonical))))


class Visible:
    """Everything the agent has been shown so far in a conversation: texts, and names whose value it was told."""

    def __init__(self) -> None:
        self._text = ""
        self._unread: list[str] = []
        self._names: set[str] = set()

    def add_text(self, text: str) -> None:
        """A message the agent has read or written."""
        self._unread.append(text.lower())

    def add_values(self, values: Mapping[str, Any]) -> None:
        """Named values: a call's arguments, a result row, or the defaults of a tool on offer."""
        self._names.update(values)
        self._unread.append(" | ".join(str(value) for value in values.values()).lower())

    def grounds(self, fact: Fact) -> bool:
        """Whether the agent could know this: any form was shown, or for a boolean a value of that name."""
        if fact.kind == "boolean":
            return fact.name in self._names
        # One long text: searching it once is many times faster than each message in turn.
        self._text = "\n".join([self._text, *self._unread])
        self._unread.clear()
        return any(contains(self._text, form.lower()) for form in fact.forms)
