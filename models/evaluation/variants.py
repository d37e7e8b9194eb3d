"""Decision points changed on purpose, to see what a score rests on: other tools on offer, less information, an example.

Each variant takes a recorded decision point and gives a changed one under the same id, so that the two can be compared
pair by pair, or None where it does not apply. What changes is a function of the id alone: every model meets the same.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Sequence

from data.schema import Act, DecisionPoint, Fact, Message, ToolSpec
from models.equality import required_arguments
from models.facts import conveys
from models.speech.template import action_text

#: Tools of other domains that are added to those on offer.
DISTRACTORS = 4
#: SGD has several services of one domain: ``Hotels_1_SearchHotel``, ``Hotels_4_SearchHotel``.
_SERVICE = re.compile(r"([A-Za-z]+)_\d+_")
#: What stands where a user had named a value.
WITHHELD = "the usual one"
#: A value shorter than this occurs by chance.
_LEAST_CHARACTERS = 3

Variant = Callable[[DecisionPoint], DecisionPoint | None]


def variant(name: str, points: Sequence[DecisionPoint], examples: Sequence[DecisionPoint] = ()) -> Variant:
    """The variant ``few_shot``, ``distractors`` or ``withheld``.

    Args:
        name: Which one.
        points: Where the other tools come from: all that could be judged, so that what is added does not depend on
            how much is.
        examples: Training decision points, from which the examples of ``few_shot`` come.
    """
    if name == "distractors":
        tools = _tools_of(points)
        return lambda point: with_distractors(point, tools)
    if name == "withheld":
        return without_required_information
    if name == "few_shot":
        help_message = format_help(examples)
        return lambda point: with_help(point, help_message)
    raise ValueError(f"no variant {name!r}: few_shot, distractors or withheld")


def with_distractors(point: DecisionPoint, others: Sequence[ToolSpec]) -> DecisionPoint | None:
    """The same turn with ``DISTRACTORS`` more tools on offer, in a shuffled order; None where there are no others.

    Another service of a domain on offer is no distractor: calling it would be as right.
    """
    known = {_domain(tool.name) for tool in point.tools}
    order = random.Random(f"distractors-{point.conversation_id}")  # one offer for all turns of a conversation
    candidates = [tool for tool in others if _domain(tool.name) not in known]
    if not candidates:
        return None
    offered = [*point.tools, *order.sample(candidates, min(DISTRACTORS, len(candidates)))]
    order.shuffle(offered)
    return point.model_copy(update={"tools": tuple(offered)})


def _domain(tool: str) -> str:
    found = _SERVICE.match(tool)
    return found[1].lower() if found else tool


def without_required_information(point: DecisionPoint) -> DecisionPoint | None:
    """A call turn whose call cannot be made: a required value that only the user had named is taken out of the history.

    What is right then is to ask. None where no required value was named by the user alone, in so many words.
    """
    specs = {tool.name: tool for tool in point.tools}
    for call in point.expected.tool_calls:
        for argument in sorted(required_arguments(specs.get(call.name))):
            value = call.arguments.get(argument)
            if isinstance(value, str) and len(value) >= _LEAST_CHARACTERS:
                history = _withheld(point.history, value)
                if history is not None:
                    return point.model_copy(
                        update={"history": history, "expected": _question(argument), "kind": "answer", "tool": None}
                    )
    return None


def _withheld(history: Sequence[Message], value: str) -> tuple[Message, ...] | None:
    """The history without the value; None if others than the user said it, nobody did, or it stands there in another
    spelling ("$1,400" for 1400), so that who reads may still know it."""
    pattern = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE)
    said_by = {message.role for message in history if pattern.search(_all_text(message))}
    if said_by != {"user"}:
        return None
    left = tuple(
        message.model_copy(update={"content": pattern.sub(WITHHELD, message.content or "")})
        if message.role == "user"
        else message
        for message in history
    )
    spelled = Fact(name="withheld", kind="value", forms=(value,))
    return None if any(conveys(spelled, _all_text(message)) for message in left) else left


def _all_text(message: Message) -> str:
    return " ".join([message.content or "", *(call.arguments_raw for call in message.tool_calls)])


def _question(argument: str) -> Message:
    return Message(
        role="assistant",
        content=f"Could you tell me the {argument.replace('_', ' ')}?",
        acts=(Act.REQUEST,),
        requested=(argument,),
    )


def with_help(point: DecisionPoint, text: str) -> DecisionPoint:
    """The same turn with a system message that explains the format and shows it."""
    first, *rest = point.history or (Message(role="user", content=""),)
    if first.role == "system":
        first = first.model_copy(update={"content": f"{first.content or ''}\n\n{text}".strip()})
        return point.model_copy(update={"history": (first, *rest)})
    return point.model_copy(update={"history": (Message(role="system", content=text), *point.history)})


def format_help(examples: Sequence[DecisionPoint]) -> str:
    """How a call and an answer are written, with one worked example of each from the training conversations.

    A model that was never trained on the format is thereby told it: what it then lacks is not the format.
    """
    shown = "\n\n".join(
        _shown(point) for kind in ("call", "answer") if (point := _shortest(examples, kind)) is not None
    )
    return (
        "You are an assistant with tools. In each turn do one of two things.\n"
        "1. If everything a tool needs has been said, call it. Write nothing but one line of JSON between tags:\n"
        '<tool_call>\n{"name": "TOOL", "arguments": {"ARGUMENT": "VALUE"}}\n</tool_call>\n'
        "2. Otherwise answer the user in one or two plain sentences: ask for what is missing, or tell what a tool "
        "returned. Never call a tool and write an answer in the same turn.\n"
        f"{shown}"
    ).rstrip()


def _shortest(examples: Iterable[DecisionPoint], kind: str) -> DecisionPoint | None:
    fitting = [one for one in examples if one.kind == kind and any(said.role == "user" for said in one.history)]
    return min(fitting, key=lambda one: (len(_shown(one)), one.id), default=None)


def _shown(point: DecisionPoint) -> str:
    said = next(message for message in reversed(point.history) if message.role == "user")
    tools = json.dumps([tool.name for tool in point.tools])
    return f"Example, with the tools {tools}:\nUser: {said.content}\nYou:\n{action_text(point.expected)}"


def _tools_of(points: Sequence[DecisionPoint]) -> list[ToolSpec]:
    """Every tool on offer anywhere, once by name."""
    found = {tool.name: tool for point in points for tool in point.tools}
    return [found[name] for name in sorted(found)]
