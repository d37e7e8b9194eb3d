"""A task as a conversation along its reference actions: what a model can be judged on turn by turn, without a user.

Upstream plays the user with a language model, from a brief. Here the user says the whole brief at once and agrees
whenever they are asked; the calls are the reference actions and their results those of our own tools. Left out is what
has no one right form: sums (a model may add up by itself), a look-up whose result still stands above, and handing over
to a colleague, where the path ends, because its summary is free text. So is what the tools refuse, save a look-up of
what the user named. Wording is ours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations
from typing import Any, NamedTuple

from data.schema import Act, Fact, Message, ToolCall
from data.sources.base import Unusable
from data.sources.tau2_bench.database import Database
from data.sources.tau2_bench.toolbox import Outcome, Toolbox

BRIEF = 'I am the customer. These are my notes for this call; "you" in them is me.'
AGREED = "Yes, please go ahead."
_NOTES = ("reason_for_call", "known_info", "unknown_info", "task_instructions")
HANDED_OVER, _UNJUDGED = "transfer_to_human_agents", "calculate"
#: More orders of a list than this are not written down as right.
_MOST_ORDERS = 24


class Step(NamedTuple):
    """A reference action and what came of it."""

    call: ToolCall
    outcome: Outcome


def user_brief(task: Mapping[str, Any]) -> str:
    """What the user says first: all that upstream tells its simulated user.

    Raises:
        Unusable: The task has no such instructions.
    """
    scenario = task.get("user_scenario")
    notes = scenario.get("instructions") if isinstance(scenario, dict) else None
    if not isinstance(notes, dict) or not isinstance(notes.get("reason_for_call"), str):
        raise Unusable("malformed_task", "a task has user_scenario.instructions with a reason_for_call")
    return "\n\n".join([BRIEF, *(text.strip() for name in _NOTES if isinstance(text := notes.get(name), str) and text)])


def reference_actions(task: Mapping[str, Any]) -> list[ToolCall]:
    """The calls upstream expects, in order.

    Raises:
        Unusable: They are not written as calls.
    """
    criteria = task.get("evaluation_criteria")
    written = (criteria.get("actions") if isinstance(criteria, dict) else None) or []
    if not isinstance(written, list):
        raise Unusable("malformed_task", "actions are a list")
    return [_call(number, action) for number, action in enumerate(written, start=1)]


def _call(number: int, action: Any) -> ToolCall:
    name = action.get("name") if isinstance(action, dict) else None
    arguments = action.get("arguments") if isinstance(action, dict) else None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Unusable("malformed_task", f"action {number} has no name or no arguments")
    return ToolCall(
        id=f"call_{number}", name=name, arguments=arguments, arguments_raw=json.dumps(arguments, ensure_ascii=False)
    )


def followed(toolbox: Toolbox, database: Database, brief: str, actions: Sequence[ToolCall]) -> list[Step]:
    """The reference actions that are part of the path, with their results; all take effect on the database."""
    path: list[Step] = []
    for call in actions:
        if call.name == HANDED_OVER:
            break
        step = Step(call, toolbox.call(database, call))
        if call.name != _UNJUDGED and not _repeats(step, path, toolbox) and not _unfounded(step, path, toolbox, brief):
            path.append(step)
    return path


def _repeats(step: Step, path: Sequence[Step], toolbox: Toolbox) -> bool:
    """A look-up whose result stands above already."""
    same = (step.call.name, step.call.arguments, step.outcome)
    return not _writes(toolbox, step.call) and same in [
        (one.call.name, one.call.arguments, one.outcome) for one in path
    ]


def _unfounded(step: Step, path: Sequence[Step], toolbox: Toolbox, brief: str) -> bool:
    """A refused call that nobody could have foreseen: a write, or a look-up of what no one has named."""
    named = " ".join([brief, *(one.outcome.content for one in path)]).lower()
    told = all(str(value).lower() in named for value in step.call.arguments.values())
    return step.outcome.refused and (_writes(toolbox, step.call) or not told)


def turns(toolbox: Toolbox, path: Sequence[Step]) -> Iterator[Message]:
    """One call a message, as the policies want it, each followed by its result; writes in a row are agreed to first."""
    calls = _with_alternatives(toolbox, [step.call for step in path])
    for place, (call, step) in enumerate(zip(calls, path, strict=True)):
        if _writes(toolbox, call) and (place == 0 or not _writes(toolbox, calls[place - 1])):
            yield _question(toolbox, calls[place:])
            yield Message(role="user", content=AGREED)
        yield Message(role="assistant", tool_calls=(call,))
        yield Message(role="tool", tool_call_id=call.id, content=step.outcome.content)


def last_answer(told: Sequence[str]) -> Message:
    """What the agent says at the end, with what upstream wants the user to be told."""
    facts = tuple(Fact(name="told", kind="value", forms=(value,)) for value in dict.fromkeys(told))
    said = f" To your question: {', '.join(told)}." if told else ""
    return Message(role="assistant", content=f"That is all done.{said}", facts=facts, derived=not facts)


def _writes(toolbox: Toolbox, call: ToolCall) -> bool:
    """Whether it changes anything; of a tool there is none of, that has to be assumed."""
    spec = toolbox.specs.get(call.name)
    return spec is None or spec.is_write


def _question(toolbox: Toolbox, calls: Sequence[ToolCall]) -> Message:
    """Asks before the writes that come next; only *that* the answer asks is judged."""
    listed: list[str] = []
    for call in calls:
        if not _writes(toolbox, call):
            break
        stated = "; ".join(f"{name.replace('_', ' ')} {_spoken(value)}" for name, value in call.arguments.items())
        listed.append(f"{call.name.replace('_', ' ')}, {stated}")
    return Message(
        role="assistant", content=f"I would do this: {'. '.join(listed)}. Shall I?", acts=(Act.REQUEST,), derived=True
    )


def _spoken(value: Any) -> str:
    """The values alone: raw JSON is no answer."""
    if isinstance(value, dict):
        return " ".join(map(_spoken, value.values()))
    return ", ".join(map(_spoken, value)) if isinstance(value, list) else str(value)


def _with_alternatives(toolbox: Toolbox, calls: Sequence[ToolCall]) -> list[ToolCall]:
    """The calls with what is right as well: another of the look-ups of one tool that follow, returns in any order."""
    return [_alternative(toolbox, call, calls[place + 1 :]) for place, call in enumerate(calls)]


def _alternative(toolbox: Toolbox, call: ToolCall, later: Sequence[ToolCall]) -> ToolCall:
    if call.name == "return_delivered_order_items":
        orders = dict.fromkeys(islice(permutations(call.arguments["item_ids"]), _MOST_ORDERS))
        return call.model_copy(update={"accepted": {"item_ids": tuple(map(list, orders))}})
    if _writes(toolbox, call) or len(call.arguments) != 1:
        return call
    ((name, value),) = call.arguments.items()
    values = [value]
    for other in later:
        if other.name != call.name or name not in other.arguments:
            break
        values.append(other.arguments[name])
    return call.model_copy(update={"accepted": {name: tuple(values)}}) if len(values) > 1 else call
