"""The gold agent at work on a task: plays it against any user, and what must be true of any success.

``play_oracle`` is how conversations of the ``simulated`` source are made; ``gold_of`` plays once with a plain user and
keeps what an episode is judged by.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from data.practice.declarations import Goal, Row
from data.practice.drawing import PracticeTask
from data.practice.log import Executed
from data.practice.manner import PLAIN
from data.practice.moves import Answer, Call
from data.practice.oracle import Oracle
from data.practice.policing import owners_touched
from data.schema import Act, Fact, Message, ToolCall

if TYPE_CHECKING:
    from data.practice.episode import Episode


class GoldError(Exception):
    """The oracle fails at a task of its own domain: the declarations do not fit. Holds the messages exchanged."""

    def __init__(self, problem: str, messages: Sequence[Message]) -> None:
        super().__init__(problem)
        self.messages = tuple(messages)

    def __str__(self) -> str:
        said = [f"{m.role}: {m.content or [(c.name, c.arguments) for c in m.tool_calls]}" for m in self.messages]
        return "\n".join([str(self.args[0]), *said])


@dataclass(frozen=True)
class Gold:
    """What any success at a task has in common."""

    state: str
    """Hash of the final rows."""
    wanted: tuple[Row | None, ...]
    """By goal: the row the user chooses."""
    owners: frozenset[str]
    """Keys of the people whose data the errand touches."""
    facts: tuple[Fact, ...]
    """What must be communicated, with the codes the oracle was given."""
    calls: tuple[Executed, ...]
    """The calls made."""
    impossible: tuple[bool, ...] = ()
    """By goal: whether the change it wants cannot be made, so that saying so is what is due, tried or not."""
    evidence: tuple[tuple[str, ...], ...] = ()
    """For each goal that owes no facts, which could be let go without a look: tools of which one has to have told."""


def play_oracle(task: PracticeTask, user_seed: str | int, **options: object) -> Episode:
    """Play the gold agent against the user of this seed; messages carry facts, acts and rationales.

    ``options`` are those of ``Episode``.
    """
    from data.practice.episode import Episode

    episode = Episode(task, user_seed, **options)  # type: ignore[arg-type]
    oracle = Oracle(task.domain, task.today, Random(f"{task.id}|{user_seed}|oracle"))
    while not episode.done:
        oracle.hear(episode.moves[-1])
        while isinstance(step := oracle.next(), Call):
            episode.step(_calling(step, number=len(episode.log)))
            oracle.observe(episode.log[-1].result)
            if episode.done:
                return episode
        episode.step(_saying(step))
    return episode


def _calling(step: Call, number: int) -> Message:
    from data.practice.episode import to_text

    call = ToolCall(
        id=f"call_{number}", name=step.tool, arguments=step.arguments, arguments_raw=to_text(step.arguments)
    )
    return Message(role="assistant", tool_calls=(call,), rationale=step.rationale)


def _saying(step: Answer) -> Message:
    return Message(
        role="assistant",
        content=step.text,
        facts=step.facts,
        acts=step.acts,
        requested=step.requested,
        rationale=step.rationale,
    )


def gold_of(task: PracticeTask) -> Gold:
    """Play the task with a plain user and no errors, and keep what any success has in common."""
    episode = play_oracle(task, "gold", errors=0.0, manner=PLAIN, unjudged=True)
    before = task.world()
    owners = {
        owner
        for world in (before, episode.world)
        for step in episode.log
        for owner in owners_touched(task.domain, world.connection, step.arguments).values()
    }
    goals = _by_goal(task, episode)
    impossible = tuple(_refused(goal, part) for goal, part in goals)
    owing = [[] if out else _facts(goal, part) for (goal, part), out in zip(goals, impossible, strict=True)]
    verify = task.domain.policy.verify
    gold = Gold(
        state=episode.state_hash(),
        wanted=tuple(episode.rows_chosen),
        owners=frozenset(owners),
        facts=tuple(dict.fromkeys(fact for facts in owing for fact in facts)),
        calls=tuple(episode.log),
        impossible=impossible,
        evidence=tuple(
            tuple(name for name in goal.task.tools if name != verify)
            for (goal, _), facts in zip(goals, owing, strict=True)
            if not facts
        ),
    )
    before.close()
    episode.close()
    return gold


def owed(gold: Gold, log: Sequence[Executed]) -> tuple[Fact, ...]:
    """The gold facts, with codes handed out by the gold's changes replaced by those the log's changes were given."""
    codes = dict(pair for ours, theirs in _matched(gold.calls, log) for pair in _codes(ours, theirs))
    return tuple(fact.model_copy(update={"forms": _recoded(fact.forms, codes)}) for fact in gold.facts)


def _recoded(forms: tuple[str, ...], codes: dict[str, str]) -> tuple[str, ...]:
    return tuple(codes.get(form, form) for form in forms)


def _codes(ours: Executed, theirs: Executed) -> list[tuple[str, str]]:
    return [
        (value, theirs.result[column])
        for column, value in ours.result.items()
        if isinstance(value, str) and isinstance(theirs.result.get(column), str)
    ]


def _matched(ours: Sequence[Executed], theirs: Sequence[Executed]) -> list[tuple[Executed, Executed]]:
    """Changes of the gold conversation with those of a log that correspond: equal arguments first, else in order."""
    left = [step for step in theirs if "status" in step.result]
    pairs = []
    for step in ours:
        same = [other for other in left if other.tool == step.tool]
        if "status" in step.result and same:
            equal = [other for other in same if other.arguments == step.arguments]
            pairs.append((step, (equal or same)[0]))
            left.remove(pairs[-1][1])
    return pairs


def _by_goal(task: PracticeTask, episode: Episode) -> list[tuple[Goal, list[Message]]]:
    """Goals with what the oracle said and called on each, and the results; a goal begins where the user states it."""
    parts: list[list[Message]] = []
    moves = iter(episode.moves)
    for message in episode.messages:
        if message.role == "user" and next(moves).kind == "state":
            parts.append([])
        elif message.role in ("assistant", "tool"):
            parts[-1].append(message)
    if len(parts) != len(task.goals):
        raise GoldError(f"{task.id}: the oracle gets through {len(parts)} of {len(task.goals)} goals", episode.messages)
    return list(zip(task.goals, parts, strict=True))


def _refused(goal: Goal, part: Sequence[Message]) -> bool:
    """Whether the goal's change was tried and never made."""
    changes = {call.id for message in part for call in message.tool_calls if call.name == goal.task.write}
    results = [json.loads(message.content or "{}") for message in part if message.tool_call_id in changes]
    return bool(results) and all("error" in result for result in results)


def _facts(goal: Goal, part: Sequence[Message]) -> list[Fact]:
    """What the answers to one goal owed the user.

    Its result where there is one; else what it was asked to confirm or was offered: what it could not know by itself,
    if there is any of that. Nothing that hangs on a value said wrongly, where the user turns down what they are offered
    or asked before it is put right.
    """
    if goal.first and goal.ending == "decline":
        return []
    answers = [message for message in part if message.role == "assistant" and not message.tool_calls]
    for message in reversed(answers):
        if message.facts and {Act.REPORT_SUCCESS, Act.INFORM} & set(message.acts):
            return _values(message.facts)
    for message in reversed(answers):
        if Act.CONFIRM in message.acts:
            wrong = goal.first if goal.ending != "done" else {}
            values = [fact for fact in _values(message.facts) if fact.name not in wrong]
            looked_up = [fact for fact in values if fact.name not in goal.values]
            return looked_up or values
        if Act.OFFER in message.acts:
            return _values(message.facts)[: len(goal.task.told)]
    return []


def _values(facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact.kind == "value" and fact.name != "matter"]
