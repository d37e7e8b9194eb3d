"""Brief reasoning for each assistant message, derived from the annotations alone, to prime a model to think.

Each text says what is known, what is missing and what follows from it: why this tool with these values, or why an
answer and no call. Wording varies among a few phrasings, chosen by a hash of where the message stands, so that the same
conversation always reads the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from data.schema import Act, Fact, ToolSpec

_VALUE_WORDS = 16  # of facts named in an answer's rationale: brief thoughts, and room for the answer itself


class Moment(NamedTuple):
    """What an answer's rationale is derived from."""

    key: str
    """Where the message stands; chooses the wording."""
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


def for_call(key: str, tool: ToolSpec, arguments: Mapping[str, Any], confirmed: bool) -> str:
    """Why this call, with these values, now."""
    known = _listed([f"{name}={value}" for name, value in arguments.items()]) or "nothing needed"
    if tool.is_write and confirmed:
        return _pick(
            key,
            f"The user confirmed: {known}. Nothing is missing, so I call {tool.name}.",
            f"The details are confirmed ({known}), so now I call {tool.name}.",
            f"The user said yes to {known}. Next step: call {tool.name}.",
        )
    return _pick(
        key,
        f"The user wants to {_goal(tool)}. Known: {known}. Nothing required is missing, so I call {tool.name}.",
        f"To {_goal(tool)} I have {known}. That is all {tool.name} needs, so I call it.",
        f"Goal: {_goal(tool)}. Every required value is known: {known}. Next step: call {tool.name}.",
    )


def for_answer(moment: Moment) -> str:
    """Why this answer, and why no call: what the results say, what is missing, what comes next."""
    sentences = [_situation(moment), *_steps(moment)]
    return " ".join(sentence for sentence in sentences if sentence)


def _situation(moment: Moment) -> str:
    """What has just happened, in one sentence; empty where the step alone says it."""
    if moment.results is not None and moment.intent is not None:
        return _outcome(moment.key, moment.intent, moment.results, Act.REPORT_FAILURE in moment.acts)
    if moment.asked and moment.facts:
        return _pick(
            moment.key,
            f"The user asks for {_listed(moment.asked)}, which earlier results tell.",
            f"The question is about {_listed(moment.asked)}; no new call is needed.",
        )
    if "REQUEST_ALTS" in moment.user_acts:
        return _pick(moment.key, "The user wants another option.", "The last option was turned down.")
    if Act.REQUEST in moment.acts and moment.intent is not None:
        # As before a call: whether to call or to ask follows from what is known, so that is told first.
        goal = _goal(moment.intent)
        known = _listed([f"{name}={value}" for name, value in moment.known.items()]) or "nothing yet"
        return _pick(
            moment.key,
            f"The user wants to {goal}. Known: {known}.",
            f"To {goal} I have {known}.",
            f"Goal: {goal}. Known: {known}.",
        )
    return ""


def _outcome(key: str, tool: ToolSpec, results: int, failed: bool) -> str:
    if not results and not tool.is_write:
        return _pick(key, f"{tool.name} found nothing.", f"There is nothing for this from {tool.name}.")
    if failed:
        return _pick(key, f"{tool.name} did not succeed.", f"The call to {tool.name} failed.")
    if tool.is_write:
        return _pick(key, f"{tool.name} succeeded.", f"The call to {tool.name} went through.")
    rows = f"{results} result{'' if results == 1 else 's'}"
    return _pick(
        key, f"{tool.name} returned {rows}.", f"There {'is' if results == 1 else 'are'} {rows} from {tool.name}."
    )


def _steps(moment: Moment) -> list[str]:
    """One sentence per act, in the order they are spoken."""
    values = _values([fact for fact in moment.facts if fact.name != "count"])  # the outcome has said how many
    tool = moment.intent.name if moment.intent else "the tool"
    missing, pronoun = ("is", "it") if len(moment.requested) == 1 else ("are", "them")
    steps = {
        Act.REQUEST: (
            f"{_listed(moment.requested)} {missing} still missing for {tool}, so I ask for {pronoun}.",
            f"{tool} still needs {_listed(moment.requested)}, so I ask.",
            f"I cannot call {tool} before I know {_listed(moment.requested)}, so I ask.",
        ),
        Act.CONFIRM: (
            f"All values for {tool} are known, but it changes something, so I first ask to confirm {values}.",
            f"Before I call {tool} the user has to confirm {values}.",
            f"Nothing is missing for {tool}: {values}. It needs a yes first, so I ask.",
        ),
        Act.OFFER: (f"I offer {values}.", f"The best fit is {values}, so I offer that.", f"So I propose {values}."),
        Act.INFORM: (f"I tell {values}.", f"The answer is {values}.", f"So I say {values}."),
        Act.OFFER_INTENT: (
            f"The next useful step is {_listed(moment.offered)}, so I ask whether the user wants it.",
            f"I offer to go on with {_listed(moment.offered)}.",
        ),
        Act.REPORT_SUCCESS: ("I report that it is done.", "I tell the user it worked."),
        Act.REPORT_FAILURE: ("I say that it did not work out.", "I tell the user that this failed."),
        Act.REQUEST_MORE: ("I ask whether there is anything else.", "Nothing is open, so I ask what else I can do."),
        Act.GOODBYE: ("The user needs nothing more, so I say goodbye.", "All is done; a short goodbye closes it."),
    }
    # OFFER and INFORM of one answer share its facts: name them once.
    acts = [act for act in moment.acts if not (act is Act.INFORM and Act.OFFER in moment.acts)]
    named = [act for act in acts if values or act not in (Act.OFFER, Act.INFORM)]
    return [_capital(_pick(moment.key, *steps[act])) for act in named]


def _values(facts: Sequence[Fact]) -> str:
    """``name=value`` of the facts, as many as stay brief, in their canonical form."""
    chosen: list[str] = []
    for fact in facts:
        text = f"{fact.name}={fact.forms[-1]}"
        if chosen and len(" ".join([*chosen, text]).split()) > _VALUE_WORDS:
            break
        chosen.append(text)
    return _listed(chosen)


def _goal(tool: ToolSpec) -> str:
    """The tool's description as it reads after "wants to"."""
    return (tool.description[:1].lower() + tool.description[1:]).rstrip(".") or f"use {tool.name}"


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items)


def _capital(text: str) -> str:
    """First letter in upper case, unless the sentence opens with a name of a slot or tool."""
    return text if "_" in text.split(" ", 1)[0] else text[:1].upper() + text[1:]


def _pick(key: str, *phrasings: str) -> str:
    return phrasings[zlib.crc32(key.encode()) % len(phrasings)]
