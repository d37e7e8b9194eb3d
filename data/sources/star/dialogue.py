"""One STAR dialogue as a conversation: utterances and queries in order, instructions and button presses left out.

Wizards are people and queries cost them nothing, so they repeat themselves. Of queries that follow each other with the
same constraints only the last one stays, whose item the wizard then spoke of; one that is repeated after something was
said goes where it returned what is known already, and stays where the knowledge base drew another item; and a query
without any constraint goes where another one follows it at once. All are counted in the conversation's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from data.mapping.facts import with_derived_facts
from data.mapping.rationales import with_derived_rationales
from data.mapping.turns import joined
from data.schema import Conversation, Message, ToolCall, ToolSpec
from data.sources.base import Unusable
from data.sources.star.acts import acts_of
from data.sources.star.tools import arguments_of, domain_of
from data.splits import split_by_content

_SYSTEM = "You help a user with the tools on offer."


class Query(NamedTuple):
    """A query with what the knowledge base returned."""

    api: str
    constraints: list[Any]
    returned: dict[str, Any] | None

    def same(self, other: Query) -> bool:
        """Whether both ask the same."""
        return self.api == other.api and self.constraints == other.constraints


Event = Message | Query


def conversation_of(raw: Any, tools: Mapping[str, ToolSpec]) -> Conversation:
    """The conversation of one dialogue file.

    Raises:
        Unusable: It was broken off, or is no dialogue.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("Events"), list) or raw.get("DialogueID") is None:
        raise Unusable("not_a_conversation", "a dialogue has a DialogueID and a list of Events")
    if raw.get("CompletionLevel") != "Complete":
        raise Unusable("incomplete_dialogue", f"CompletionLevel is {raw.get('CompletionLevel')}")
    stated = raw.get("Scenario")
    scenario: dict[str, Any] = stated if isinstance(stated, dict) else {}
    offered = _offered(scenario, tools)
    events, counts = filtered(list(_events(raw["Events"])))
    turns, _ = joined(_messages(events, scenario, tools))
    named = str(raw["DialogueID"])
    conversation = Conversation(
        id=f"star/{named}",
        source="star",
        record_id=named,
        split="excluded",
        domains=tuple(dict.fromkeys(domain_of(tool.name) for tool in offered)),
        tools=offered,
        messages=with_derived_rationales(_with_facts(turns), offered),
        metadata={
            "happy": scenario.get("Happy"),
            "multi_task": scenario.get("MultiTask"),
            "queries": counts,
        },
    )
    return conversation.model_copy(update={"split": split_by_content(conversation)})


def _offered(scenario: Mapping[str, Any], tools: Mapping[str, ToolSpec]) -> tuple[ToolSpec, ...]:
    capabilities = scenario.get("WizardCapabilities")
    entries = capabilities if isinstance(capabilities, list) else []
    tasks = dict.fromkeys(str(entry.get("Task")) for entry in entries if isinstance(entry, dict))
    return tuple(tools[task] for task in tasks if task in tools)


def _events(raw: Iterable[Any]) -> Iterator[Event]:
    """What was said and asked; a query takes the item that was returned for it."""
    query: Query | None = None
    for event in raw:
        if not isinstance(event, dict):
            raise Unusable("malformed_event", f"an event is an object, not {type(event).__name__}")
        agent, action = event.get("Agent"), event.get("Action")
        if agent == "Wizard" and action == "query":
            query = _query(event)
        elif agent == "KnowledgeBase" and action == "return_item":
            if query is None:
                raise Unusable("stray_tool_message", "an item was returned that nobody asked for")
            yield query._replace(returned=_item(event))
            query = None
        elif (agent, action) in (("User", "utter"), ("Wizard", "utter"), ("Wizard", "pick_suggestion")):
            yield _utterance(event)


def _query(event: Mapping[str, Any]) -> Query:
    api, constraints = event.get("APIName"), event.get("Constraints")
    if not isinstance(api, str) or not isinstance(constraints, list):
        raise Unusable("malformed_call", "a query has an APIName and a list of Constraints")
    return Query(api, constraints, None)


def _item(event: Mapping[str, Any]) -> dict[str, Any]:
    item = event.get("Item")
    shown = {name: value for name, value in item.items() if name != "APIName"} if isinstance(item, dict) else None
    total = event.get("TotalItems")
    return {"item": shown, **({"total": total} if isinstance(total, int) and total >= 0 else {})}


def _utterance(event: Mapping[str, Any]) -> Message:
    text = event.get("Text")
    if not isinstance(text, str):
        raise Unusable("malformed_message", "an utterance has no text")
    if event.get("Agent") == "User":
        return Message(role="user", content=text)
    return Message(role="assistant", content=text, acts=acts_of(event.get("ActionLabel"), text))


def filtered(events: list[Event]) -> tuple[list[Event], dict[str, int]]:
    """The events without what wizards asked by accident, and how many queries went or were kept, and why."""
    kept: list[Event] = []
    counts = dict.fromkeys(("repeated_dropped", "repeated_kept", "empty_dropped"), 0)
    before: Query | None = None
    for event, following in zip(events, [*events[1:], None], strict=False):
        fate = _fate(event, before, following) if isinstance(event, Query) else None
        if fate is not None:
            counts[fate] += 1
        if fate in (None, "repeated_kept"):
            kept.append(event)
            before = event if isinstance(event, Query) else before
    return kept, counts


def _fate(query: Query, before: Query | None, following: Event | None) -> str | None:
    """What becomes of a query, by name of its count; None for one that is neither repeated nor empty."""
    if isinstance(following, Query):
        if query.same(following):
            return "repeated_dropped"
        if not query.constraints:
            return "empty_dropped"
    if before is None or not query.same(before):
        return None
    return "repeated_dropped" if query.returned == before.returned else "repeated_kept"


def _messages(events: Iterable[Event], scenario: Mapping[str, Any], tools: Mapping[str, ToolSpec]) -> Iterator[Message]:
    task = scenario.get("WizardTask")
    yield Message(role="system", content=f"{_SYSTEM} {task}" if isinstance(task, str) and task.strip() else _SYSTEM)
    calls = 0
    for event in events:
        if isinstance(event, Message):
            yield event
            continue
        if event.api not in tools:
            raise Unusable("unknown_tool", f"{event.api} has no API description")
        calls += 1
        arguments = arguments_of(event.constraints, tools[event.api])
        raw = json.dumps(arguments, ensure_ascii=False)
        call = ToolCall(id=f"call_{calls}", name=event.api, arguments=arguments, arguments_raw=raw)
        yield Message(role="assistant", tool_calls=(call,))
        yield Message(role="tool", tool_call_id=call.id, content=json.dumps(event.returned, ensure_ascii=False))


def _with_facts(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Facts are derived as for any source; the acts are those of the labels, where a reply has one."""
    return tuple(
        found.model_copy(update={"acts": message.acts, "derived": found.derived and not message.acts})
        for found, message in zip(with_derived_facts(messages), messages, strict=True)
    )
