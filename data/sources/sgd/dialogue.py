"""One SGD dialogue as a canonical conversation.

A SYSTEM turn with a ``service_call`` becomes three messages: the call without text, the tool's results, and the turn's
utterance as the answer to them; so the turn gives two decision points. Results keep their first rows and say how many
there were. SGD's relative dates all count from one day, 2019-03-01 ("today" is annotated so 1,306 times and never
otherwise), so the system message states it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from data.schema import Act, Conversation, Message, Split, ToolCall, ToolSpec
from data.sources.sgd import facts as annotation
from data.sources.sgd.rationale import Moment, for_answer, for_call
from data.sources.sgd.raw import RawAction, RawCall, RawDialogue, RawFrame, RawState, RawTurn
from data.sources.sgd.tools import DONTCARE, Services, offered_tools, tool_name

SYSTEM_MESSAGE = (
    "You are a helpful assistant who looks things up and books them for the user with the tools on offer. "
    "Today is Friday, 2019-03-01."
)


class Unusable(Exception):
    """A dialogue that does not become a conversation: a reason code and a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Translator:
    """Writes one conversation's messages in order, knowing at each what the agent has seen."""

    def __init__(self, tools: tuple[ToolSpec, ...], max_result_rows: int) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._max_rows = max_result_rows
        self._calls = 0
        self._user: RawTurn | None = None
        self._written: dict[tuple[str, str], str] = {}  # (slot, form as spoken) → as services write it
        self._visible = annotation.Visible()
        self.messages: list[Message] = []
        self.facts_dropped = 0
        """Facts the agent could not have known and so need not convey."""
        self._add(Message(role="system", content=SYSTEM_MESSAGE))
        for tool in tools:
            properties: dict[str, dict[str, Any]] = tool.parameters["properties"]
            self._visible.add_values({name: rule["default"] for name, rule in properties.items() if "default" in rule})

    def user(self, turn: RawTurn) -> None:
        """A USER turn."""
        self._user = turn
        self._note(turn)
        # What the user means in canonical form is known too: "half past five" grounds an answer's "5:30 pm".
        for action in (action for frame in turn.frames for action in frame.actions):
            self._visible.add_values({action.slot: " | ".join(form for pair in action.pairs() for form in pair)})
        self._add(Message(role="user", content=turn.utterance))

    def system(self, turn: RawTurn) -> None:
        """A SYSTEM turn: its calls and their results, if any, then its answer."""
        self._note(turn)
        called = [(frame, frame.service_call) for frame in turn.frames if frame.service_call is not None]
        if called:
            self._call(called)
        self._answer(turn, sum(len(frame.service_results or []) for frame, _ in called) if called else None)

    def _note(self, turn: RawTurn) -> None:
        for action in (action for frame in turn.frames for action in frame.actions):
            self._written.update({(action.slot, spoken): written for spoken, written in action.pairs()})

    def _add(self, message: Message) -> None:
        self.messages.append(message)
        if message.content:
            self._visible.add_text(message.content)

    def _call(self, called: list[tuple[RawFrame, RawCall]]) -> None:
        calls = tuple(self._tool_call(frame.service, call) for frame, call in called)
        confirmed = "AFFIRM" in self._user_acts()
        rationales = [
            for_call(tool, call.arguments, confirmed)
            for call in calls
            if (tool := self._tools.get(call.name)) is not None
        ]
        self._add(
            Message(role="assistant", tool_calls=calls, rationale=" ".join(rationales) if all(rationales) else None)
        )
        for call, (frame, _) in zip(calls, called, strict=True):
            self._visible.add_values(call.arguments)
            self._results(call.id, frame.service_results or [])

    def _tool_call(self, service: str, call: RawCall) -> ToolCall:
        self._calls += 1
        return ToolCall(
            id=f"call_{self._calls}",
            name=tool_name(service, call.method),
            arguments=call.parameters,
            arguments_raw=json.dumps(call.parameters, ensure_ascii=False),
        )

    def _results(self, call_id: str, rows: list[dict[str, Any]]) -> None:
        kept = rows[: self._max_rows]
        content = json.dumps({"results": kept, "total": len(rows)}, ensure_ascii=False)
        for row in kept:
            self._visible.add_values(row)
        self._add(Message(role="tool", tool_call_id=call_id, content=content))

    def _answer(self, turn: RawTurn, results: int | None) -> None:
        actions = [action for frame in turn.frames for action in frame.actions]
        try:
            acts = annotation.acts_of(actions)
        except KeyError as error:
            raise Unusable("unknown_act", f"turn with the undocumented act {error}: {turn.utterance!r}") from error
        stated = annotation.facts_of(actions)
        facts = tuple(fact for fact in stated if self._visible.grounds(fact))
        self.facts_dropped += len(stated) - len(facts)
        requested = annotation.requested_of(actions)
        intent, known = self._wish(turn.frames)
        moment = Moment(
            intent=intent,
            known=known,
            user_acts=self._user_acts(),
            asked=self._asked(),
            results=results,
            acts=acts,
            facts=facts,
            requested=requested,
            offered=tuple(_offered(turn.frames)),
        )
        self._add(
            Message(
                role="assistant",
                content=turn.utterance,
                facts=facts,
                acts=acts,
                requested=requested,
                # Reasoning towards what cannot be known would prime inventing it.
                rationale=for_answer(moment) or None if facts == stated else None,
            )
        )

    def _user_actions(self) -> Iterator[RawAction]:
        if self._user is not None:
            for frame in self._user.frames:
                yield from frame.actions

    def _user_acts(self) -> frozenset[str]:
        return frozenset(action.act for action in self._user_actions())

    def _asked(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(action.slot for action in self._user_actions() if action.act == "REQUEST"))

    def _wish(self, frames: Iterable[RawFrame]) -> tuple[ToolSpec | None, dict[str, str]]:
        """The tool of what the user wants from the service this turn speaks about, and its arguments known so far."""
        services = [frame.service for frame in frames]
        for frame in self._user.frames if self._user is not None else ():
            if frame.service in services and frame.state is not None:
                tool = self._tools.get(tool_name(frame.service, frame.state.active_intent))
                return tool, self._known(frame.state, tool) if tool else {}
        return None, {}

    def _known(self, state: RawState, tool: ToolSpec) -> dict[str, str]:
        """Arguments of ``tool`` that the user has settled on, as services write them. That any value would do is stated
        by no call where it may be left out."""
        needed = tool.parameters.get("required", [])
        settled = {
            slot: forms
            for slot, forms in state.slot_values.items()
            if forms and (slot in needed or DONTCARE not in forms)
        }
        return {
            name: self._as_written(name, settled[name]) for name in tool.parameters["properties"] if name in settled
        }

    def _as_written(self, slot: str, forms: Sequence[str]) -> str:
        """One of the forms in which the slot's value was said, as a service writes it: as it was written for this slot,
        else for another (the date of an event is that of the flight before)."""
        own = (self._written.get((slot, form)) for form in forms)
        others = (written for (_, spoken), written in reversed(self._written.items()) if spoken in forms)
        return next((written for written in (*own, *others) if written is not None), forms[0])


def _offered(frames: Iterable[RawFrame]) -> Iterator[str]:
    for frame in frames:
        for action in frame.actions:
            if annotation.ACTS.get(action.act) is Act.OFFER_INTENT:
                yield from (tool_name(frame.service, intent) for intent in action.values)


def conversation_of(
    dialogue: RawDialogue,
    services: Services,
    *,
    record_id: str,
    split: Split,
    max_result_rows: int,
    source: str = "sgd",
) -> tuple[Conversation, int]:
    """The conversation, and how many facts of its answers were dropped because the agent could not know them.

    Raises:
        Unusable: It speaks of a service or an act that the schema or the documentation does not have.
    """
    named = [*dialogue.services, *(frame.service for turn in dialogue.turns for frame in turn.frames)]
    if unknown := sorted({name for name in named if name not in services}):
        raise Unusable("unknown_service", f"{', '.join(unknown)} not in schema.json of its split")
    if stray := sorted(set(named) - set(dialogue.services)):
        raise Unusable("unknown_service", f"{', '.join(stray)} not among the dialogue's services")
    drawn = f"sgd/{record_id}"  # whatever the source: a variant differs from its original in names, not in order
    tools = offered_tools(services, dialogue.services, drawn)
    translator = Translator(tools, max_result_rows)
    for turn in dialogue.turns:
        (translator.user if turn.speaker == "USER" else translator.system)(turn)
    conversation = Conversation(
        id=f"{source}/{record_id}",
        source=source,
        record_id=record_id,
        split=split,
        domains=tuple(dialogue.services),
        tools=tools,
        messages=tuple(translator.messages),
    )
    return conversation, translator.facts_dropped
