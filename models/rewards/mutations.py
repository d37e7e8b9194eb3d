"""Honest mistakes made from a recorded action: each must score strictly below the action it was made from.

Deterministic by the decision point's id. A mutation is made only where it is one: a changed value is one that the
tool would not take for the same, a replaced answer comes from another turn with other acts, or with other facts.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data.schema import DecisionPoint, Message, ToolCall, ToolSpec
from models.equality import Verdict, argument_schemas, argument_verdicts, conveys, same_value, stated_arguments
from models.rewards.acts import acts_of
from models.rewards.variants import Reward
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text

QUESTION = "Which one do you mean?"
#: Other answers that are looked through for one that plainly does or says something else.
DONORS = 200
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Mutation:
    """A spoilt action: what was done to it, and the completion."""

    name: str
    text: str


@dataclass(frozen=True)
class Survivor:
    """A mutation that was not below its gold."""

    decision_point_id: str
    mutation: str
    text: str


@dataclass(frozen=True)
class MutationReport:
    """How many mutations of each kind were scored and which were not below their gold."""

    tried: dict[str, int]
    survivors: tuple[Survivor, ...]
    unknown: int = 0
    """Answers of which nobody knows what they do (no acts), so that none can be said to do something else."""


def check_mutations(points: Sequence[DecisionPoint], donors: Sequence[DecisionPoint], reward: Reward) -> MutationReport:
    """Score every mutation of these decision points against its gold; ``donors`` lend other answers."""
    tried: dict[str, int] = {}
    survivors: list[Survivor] = []
    answers = [point for point in donors if point.kind == "answer"]
    for point in points:
        gold = _paid(point, completion_text(point.expected, PLACEHOLDER_THOUGHT), reward)
        for mutation in mutations(point, answers):
            tried[mutation.name] = tried.get(mutation.name, 0) + 1
            if _paid(point, mutation.text, reward) >= gold - _TOLERANCE:
                survivors.append(Survivor(point.id, mutation.name, mutation.text))
    unknown = sum(point.kind == "answer" and not point.expected.acts for point in points)
    return MutationReport(tried, tuple(survivors), unknown)


def mutations(point: DecisionPoint, answers: Sequence[DecisionPoint]) -> Iterator[Mutation]:
    """All mutations of one recorded action."""
    rng = random.Random(f"mutation {point.id}")
    made = _of_calls(point, rng) if point.kind == "call" else _of_answer(point, answers, rng)
    for name, action in made:
        yield Mutation(name, completion_text(action, PLACEHOLDER_THOUGHT))


def _of_calls(point: DecisionPoint, rng: random.Random) -> Iterator[tuple[str, Message]]:
    calls = point.expected.tool_calls
    index = rng.randrange(len(calls))
    call, tool = calls[index], _tool(point, calls[index].name)
    for name in sorted(stated_arguments(call, tool)):
        changed = {**call.arguments, name: _another(call, name, tool, point, rng)}
        dropped = {key: value for key, value in call.arguments.items() if key != name}
        for kind, arguments in (("value changed", changed), ("argument dropped", dropped)):
            spoilt = _call(call.name, arguments)
            if any(verdict is not Verdict.RIGHT for verdict in argument_verdicts(call, spoilt, tool).values()):
                yield kind, _calling([*calls[:index], spoilt, *calls[index + 1 :]])
    yield "call added", _calling([*calls, _extra(point, rng)])
    yield "call twice", _calling([*calls, call])
    rest = [*calls[:index], *calls[index + 1 :]]
    yield "call withheld", _calling(rest) if rest else Message(role="assistant", content=QUESTION)


def _of_answer(
    point: DecisionPoint, answers: Sequence[DecisionPoint], rng: random.Random
) -> Iterator[tuple[str, Message]]:
    yield "call added", _calling([_extra(point, rng)])
    order = rng.sample(range(len(answers)), min(DONORS, len(answers)))
    other_act = next((answers[i] for i in order if _other_act(point, answers[i])), None)
    if other_act is not None:
        yield "answer of another act", Message(role="assistant", content=other_act.expected.content)
    other_facts = next((answers[i] for i in order if _other_facts(point, answers[i])), None)
    if other_facts is not None:
        yield "answer with other facts", Message(role="assistant", content=other_facts.expected.content)


def _other_act(point: DecisionPoint, other: DecisionPoint) -> bool:
    """Whether the other's answer plainly does something else; people also say one thing to do another.

    Where it is not known what the expected answer does, any other may do the same.
    """
    mine, theirs = set(point.expected.acts), set(other.expected.acts)
    shown = acts_of(other.expected.content or "")
    return bool(mine) and bool(shown) and shown <= theirs and mine.isdisjoint(theirs)


def _other_facts(point: DecisionPoint, other: DecisionPoint) -> bool:
    mine, theirs = point.expected.facts, other.expected.facts
    if not mine or not theirs or set(point.expected.acts) != set(other.expected.acts):
        return False
    return not any(conveys(fact, other.expected.content or "") for fact in mine)


def _another(call: ToolCall, name: str, tool: ToolSpec | None, point: DecisionPoint, rng: random.Random) -> Any:
    """A value of the same type that no accepted one is the same as: another listed one, else one made up."""
    value, schema = call.arguments[name], argument_schemas(tool).get(name, {})
    right = call.accepted.get(name) or (value,)
    listed = [one for one in schema.get("enum") or () if not any(same_value(ok, one, schema) for ok in right)]
    return rng.choice(listed) if listed else _changed(value)


def _changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 7
    if isinstance(value, list):
        return [*value, "another"]
    if isinstance(value, dict):
        return {**value, "another": 1}
    return f"{value} elsewhere" if value is not None else "elsewhere"


def _extra(point: DecisionPoint, rng: random.Random) -> ToolCall:
    """A call of some tool on offer, another than expected where there is one."""
    due = {call.name for call in point.expected.tool_calls}
    names = sorted(tool.name for tool in point.tools)
    others = [name for name in names if name not in due] or names or ["NoSuchTool"]
    return _call(rng.choice(others), {})


def _tool(point: DecisionPoint, name: str) -> ToolSpec | None:
    return next((tool for tool in point.tools if tool.name == name), None)


def _call(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(id="c0", name=name, arguments=arguments, arguments_raw=json.dumps(arguments, ensure_ascii=False))


def _calling(calls: Iterable[ToolCall]) -> Message:
    return Message(role="assistant", tool_calls=tuple(calls))


def _paid(point: DecisionPoint, text: str, reward: Reward) -> float:
    return reward.total(reward.score(point, text, thinking=True).parts)
