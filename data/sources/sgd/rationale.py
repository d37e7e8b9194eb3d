"""Brief reasoning for each assistant message, derived from the annotations alone, to prime a model to think.

Each text says what is known, what is missing and what follows from it: why this tool with these values, or why an
answer and no call; what an answer tells is left to the answer. Always in the same words: a model of 135M primed for a
quarter of an hour on three phrasings of each sentence instead of one has 8 points less turn success on unseen services
(docs/log.md, 2026-11-28).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from data.schema import Act, Fact, ToolSpec

#: What the user has done, where the next step follows from that alone; the first that is true.
_DONE_BY_USER = {
    "NEGATE_INTENT": "The user does not want that.",
    "SELECT": "The user chooses this one.",
    "THANK_YOU": "The user thanks me.",
}


class Moment(NamedTuple):
    """What an answer's rationale is derived from."""

    intent: ToolSpec | None
    """The tool the user's current wish amounts to."""
    known: Mapping[str, str]
    """Its arguments that the user has settled on so far."""
    user_acts: frozenset[str]
    asked: tuple[str, ...]
    """Slots the user has just asked about."""
    results: int | None
    """Rows the call right before this answer returned, or None if there was no call."""
    acts: tuple[Act, ...]
    facts: tuple[Fact, ...]
    requested: tuple[str, ...]
    offered: tuple[str, ...]
    """Tools proposed as the next step."""


def for_call(tool: ToolSpec, arguments: Mapping[str, Any], confirmed: bool) -> str:
    """Why this call, with these values, now; empty where it lacks what its tool needs, for which there is no reason."""
    if _lacks(tool, arguments):
        return ""
    wish = "confirmed" if tool.is_write and confirmed else "wants"
    return f"The user {wish} {_needs(tool, arguments)} Nothing is missing, so I call it."


def for_answer(moment: Moment) -> str:
    """Why this answer, and why no call: what the results say, what is missing, what comes next. Empty where a user is
    asked to confirm while something is missing."""
    if Act.CONFIRM in moment.acts and moment.intent is not None and _lacks(moment.intent, _settled(moment)):
        return ""
    sentences = [_situation(moment), *_steps(moment)]
    return " ".join(sentence for sentence in sentences if sentence)


def _situation(moment: Moment) -> str:
    """What has just happened, in one sentence; empty where the step alone says it."""
    if moment.results is not None and moment.intent is not None:
        return _outcome(moment.intent, moment.results, Act.REPORT_FAILURE in moment.acts)
    if moment.asked and moment.facts:
        return f"The user asks for {_listed(moment.asked)}, which earlier results tell."
    if "REQUEST_ALTS" in moment.user_acts:
        return "The user wants another option."
    if moment.intent is not None and {Act.REQUEST, Act.CONFIRM} & set(moment.acts):
        # As before a call: whether to call or to ask follows from what is known, so that is told first.
        wish = "changes" if "NEGATE" in moment.user_acts else "wants"
        return f"The user {wish} {_needs(moment.intent, _settled(moment))}"
    if {Act.OFFER_INTENT, Act.REQUEST_MORE} & set(moment.acts):
        return next((said for act, said in _DONE_BY_USER.items() if act in moment.user_acts), "")
    return ""


def _needs(tool: ToolSpec, known: Mapping[str, Any]) -> str:
    """The tool by its name alone: after its description, models called the round trip that they had described for a
    one-way flight (docs/log.md, 2026-11-30). Before any value, and its arguments as it declares them: named after
    values, they were those of tools learned by heart (docs/log.md, 2026-11-28). Each with its value or a question mark:
    what is missing then stands there, where two lists, of what is needed and of what is known, would have to be
    compared. Optional arguments only with a value: going through the others as well, models asked less for what was
    missing (docs/log.md, 2026-11-29). Required ones first, as they are declared: by the alphabet, as SGD's calls name
    them, models of 135M missed values that had been said and made up others (docs/log.md, 2026-11-30); the call follows
    the thought instead (models/training/priming.py)."""
    required = tool.parameters.get("required", [])
    needed = _listed([f"{name}={known.get(name, '?')}" for name in required]) or "nothing"
    more = _listed([f"{name}={value}" for name, value in known.items() if name not in required])
    return f"{tool.name}, which needs {needed}{f'; also {more}' if more else ''}."


def _settled(moment: Moment) -> dict[str, str]:
    """What the user has settled on and, where that is to be confirmed, what the agent takes for settled."""
    assumed = {fact.name: fact.forms[-1] for fact in moment.facts} if Act.CONFIRM in moment.acts else {}
    takes = moment.intent.parameters["properties"] if moment.intent else {}
    return {**{name: value for name, value in assumed.items() if name in takes}, **moment.known}


def _confirmed(moment: Moment) -> str:
    """All that was just gone through, without repeating it, or which of it."""
    named = {fact.name for fact in moment.facts}
    return "all of it" if moment.intent and named == _settled(moment).keys() else _values(moment.facts)


def _lacks(tool: ToolSpec, known: Mapping[str, Any]) -> bool:
    return any(name not in known for name in tool.parameters.get("required", []))


def _in_order(moment: Moment) -> list[str]:
    """What is asked for, as the tool lists it."""
    listed = moment.intent.parameters.get("required", []) if moment.intent else []
    return sorted(moment.requested, key=lambda slot: listed.index(slot) if slot in listed else len(listed))


def _outcome(tool: ToolSpec, results: int, failed: bool) -> str:
    if not results and not tool.is_write:
        return f"{tool.name} found nothing."
    if failed:
        return f"{tool.name} did not succeed."
    if tool.is_write:
        return f"{tool.name} succeeded."
    return f"{tool.name} returned {results} result{'' if results == 1 else 's'}."


def _steps(moment: Moment) -> list[str]:
    """One sentence per act, in the order they are spoken. What is offered or told is not named: thoughts that named
    fields and values chose others than people tell, and answers copied them with mistakes (docs/log.md, 2026-11-30)."""
    missing, pronoun = ("is", "it") if len(moment.requested) == 1 else ("are", "them")
    steps = {
        Act.REQUEST: f"{_listed(_in_order(moment))} {missing} missing, so I ask for {pronoun}.",
        Act.CONFIRM: f"Nothing is missing, but it changes something, so I first ask to confirm {_confirmed(moment)}.",
        Act.OFFER: "I offer one.",
        Act.INFORM: "I tell it.",
        Act.OFFER_INTENT: f"The next useful step is {_listed(moment.offered)}, so I ask whether the user wants it.",
        Act.REPORT_SUCCESS: "I report that it is done.",
        Act.REPORT_FAILURE: "I say that it did not work out.",
        Act.REQUEST_MORE: "I ask whether there is anything else.",
        Act.GOODBYE: "The user needs nothing more, so I say goodbye.",
    }
    # An offer tells as well: one sentence for both.
    acts = [act for act in moment.acts if not (act is Act.INFORM and Act.OFFER in moment.acts)]
    told = [fact for fact in moment.facts if fact.name != "count"]  # the outcome has said how many
    return [steps[act] for act in acts if told or act not in (Act.OFFER, Act.INFORM)]


def _values(facts: Sequence[Fact]) -> str:
    """``name=value`` of the facts, in their canonical form."""
    return _listed(list(dict.fromkeys(f"{fact.name}={fact.forms[-1]}" for fact in facts)))


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items)
