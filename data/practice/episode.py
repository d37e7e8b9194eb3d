"""Plays one practice conversation: user, oracle and an executable world, from one seed to one ``Conversation``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from data.practice.declarations import Domain, Goal, Row, Slice
from data.practice.language import WEEKDAYS, say
from data.practice.moves import Call, UserMove
from data.practice.oracle import Oracle
from data.practice.user import Manner, User
from data.practice.world import World
from data.schema import Message, ToolCall, ToolSpec

MAX_MESSAGES = 16
_FIRST_DAY = date(2025, 1, 1)
_DAYS = 900


@dataclass(frozen=True)
class Played:
    """What one played conversation leaves: its messages, tools on offer, slices, and the world after it."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    domains: tuple[str, ...]
    goals: tuple[Goal, ...]
    world: World


def play(domain: Domain, part: Slice, seed: str, max_rows: int) -> Played:
    """Play one conversation whose errand belongs to ``part``.

    Args:
        domain: Declarations to play in.
        part: Slice of errands to draw from.
        seed: The same seed gives the same conversation, in any process.
        max_rows: Rows of a look-up's result at most.

    Raises:
        RuntimeError: No draw of this seed ended within ``MAX_MESSAGES``: the domain's errands are too long.
    """
    for attempt in range(50):
        rng = Random(f"{domain.name}:{seed}:{attempt}")
        today = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS))
        world = World(domain, rng, today)
        goals = _goals(domain, rng.choice(domain.errands[part]), world, today, rng)
        if goals and (messages := _converse(domain, world, goals, today, rng, max_rows)):
            return messages
        world.close()
    raise RuntimeError(
        f"no errand of {domain.name}/{part} ends within {MAX_MESSAGES} messages (seed {seed}); shorten it"
    )


def _goals(domain: Domain, names: Sequence[str], world: World, today: date, rng: Random) -> tuple[Goal, ...]:
    goals: list[Goal] = []
    lasting: Row = {}
    for name in names:
        drawn = domain.tasks[name].sample(rng, world.connection, today, lasting)
        if drawn is None:
            return ()
        values, first = drawn
        lasting |= {slot: value for slot, value in values.items() if slot in domain.lasting}
        goals.append(Goal(domain.tasks[name], values, first, choice=rng.randrange(2)))
    return tuple(goals)


def _offered(domain: Domain, goals: Sequence[Goal], rng: Random) -> tuple[ToolSpec, ...]:
    """The tools these goals take, one or two that distract, in random order.

    Held-out tools never distract: only the slices of these goals and the domain's own slice lend tools.
    """
    needed = dict.fromkeys(name for goal in goals for name in goal.task.tools)
    slices = {domain.name, *(goal.task.domain for goal in goals)}
    others = [name for name, tool in domain.tools.items() if name not in needed and tool.domain in slices]
    distracting = rng.sample(others, k=rng.choice((1, 1, 2)) if len(needed) > 1 else 2)
    names = [*needed, *distracting]
    rng.shuffle(names)
    return tuple(domain.tools[name].spec for name in names)


def _converse(
    domain: Domain, world: World, goals: tuple[Goal, ...], today: date, rng: Random, max_rows: int
) -> Played | None:
    tools = _offered(domain, goals, rng)
    names = {tool.name for tool in tools}
    matters = [matter for matter, tool in domain.outside.items() if tool is None or tool not in names]
    user = User(domain, goals, Manner.sample(rng), today, matters, rng)
    oracle = Oracle(domain, today, rng)
    words = {"place": world.place, "weekday": WEEKDAYS[today.weekday()], "today": today.isoformat()}
    messages = [Message(role="system", content=say(domain.phrases, "system", rng, words))]
    move: UserMove | None = user.open()
    while move is not None:
        messages.append(Message(role="user", content=move.text))
        oracle.hear(move)
        while isinstance(step := oracle.next(), Call):
            call = _tool_call(step, number=sum(bool(message.tool_calls) for message in messages))
            result = world.execute(step.tool, step.arguments, max_rows)
            oracle.observe(result)
            messages.append(Message(role="assistant", tool_calls=(call,), rationale=step.rationale))
            messages.append(Message(role="tool", tool_call_id=call.id, content=_json(result)))
        messages.append(
            Message(
                role="assistant",
                content=step.text,
                facts=step.facts,
                acts=step.acts,
                requested=step.asked_for or step.requested,
                rationale=step.rationale,
            )
        )
        if len(messages) > MAX_MESSAGES:
            return None
        move = user.react(step)
    if not any(message.tool_calls for message in messages):
        return None
    domains = tuple(dict.fromkeys(goal.task.domain for goal in goals))
    return Played(tuple(messages), tools, domains, goals, world)


def _tool_call(step: Call, number: int) -> ToolCall:
    return ToolCall(id=f"call_{number}", name=step.tool, arguments=step.arguments, arguments_raw=_json(step.arguments))


def _json(value: Row) -> str:
    return json.dumps(value, ensure_ascii=False)
