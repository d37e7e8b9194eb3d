"""What came of an episode, as the environment decides it: the final rows, what was said, and what was breached.

Reward and judge both read it, as they share what a spelling means: neither looks at how the agent's words or calls
compare with anybody else's. An episode succeeds if the database holds the rows it holds after the gold agent's changes
(whatever path led there), every required fact was told in an answer that could know it, nothing was let go without a
look, nothing was breached, and the user left content (τ-bench and τ²-bench count a premature end as failure as well).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data.practice.episode import Episode
from data.practice.errors import TIME_OUT
from data.practice.log import Executed
from data.schema import Fact, Message, ToolCall, ToolSpec
from models.equality import same_call
from models.facts import conveys
from models.wording import is_dump

Ended = Literal["done", "unsettled", "turn_limit", "truncated", "too_long"]
#: Beginnings of the errors of calls that could not be run.
_UNSOUND = ("unknown tool", "invalid arguments")
#: What an episode calls its end → what it is here.
_ENDS: dict[str, Ended] = {"ended": "done", "unsettled": "unsettled", "too_long": "turn_limit"}
#: Name under which a call goes to the environment that could not be read; no tool is called so.
UNREADABLE = "(unreadable call)"


@dataclass(frozen=True)
class Failure:
    """The first turn, counted from 1, after which an episode could not succeed any more, and why.

    Causes: a kind of breach, ``wrong_write`` (a change the gold agent does not make), ``truncated``, ``too_long`` and
    ``turn_limit``, ``unsettled`` (the user left with something open, or gave up), ``unfounded`` (a change that cannot
    be made was refused without a look), ``unreadable_call`` and ``invalid_call`` (unknown tool or unsound arguments, if
    nothing worse happened), ``missing_write``, ``unsaid`` (a required fact).
    """

    turn: int
    cause: str


@dataclass(frozen=True)
class Outcome:
    """See the module; ``facts`` is the share of the required facts that was told, None where none is required."""

    state_right: bool
    facts: float | None
    breaches: tuple[str, ...]
    ended: Ended
    milestones: float | None
    """Share of the gold agent's calls and the required facts that were reached; None where there is neither."""
    turns: int
    calls: int
    call_errors: int
    """Calls that failed by the agent's doing; time-outs do not count."""
    failure: Failure | None

    @property
    def success(self) -> bool:
        """Whether the errand was done, and done properly."""
        return self.failure is None


def how_it_ended(episode: Episode) -> Ended:
    """How an episode that is over ended; one that goes on has reached a limit of whoever stops there."""
    return _ENDS[episode.reason] if episode.done else "turn_limit"


def outcome_of(episode: Episode, ended: Ended) -> Outcome:
    """Judge an episode as it was left; one that is over says itself how it ended, where nobody else ended it."""
    if ended == "done" and episode.done:
        ended = how_it_ended(episode)
    gold = episode.task.gold
    required = episode.required_facts()
    told = _told(episode, required)
    reached = [_made(call, episode.log, episode.tools) for call in gold.calls]
    state_right = episode.state_hash() == gold.state
    messages = episode.messages
    return Outcome(
        state_right=state_right,
        facts=_share(told),
        breaches=tuple(breach.kind for breach in episode.breaches),
        ended=ended,
        milestones=_share([*reached, *told]),
        turns=sum(message.role == "assistant" for message in messages),
        calls=sum(len(message.tool_calls) for message in messages),
        call_errors=sum(_failed(message) for message in messages),
        failure=_first_failure(episode, ended, state_right, list(zip(required, told, strict=True))),
    )


def _told(episode: Episode, required: Sequence[Fact]) -> list[bool]:
    """Which facts were told, by answers that could know them: from a result, or from the user."""
    own = {(name, str(value)) for goal in episode.task.goals for name, value in goal.values.items()}
    users = [any((fact.name, form) in own for form in fact.forms) for fact in required]
    told = [False for _ in required]
    known: list[Message] = []
    for message in episode.messages:
        text = message.content or ""
        if message.role in ("tool", "user"):
            known.append(message)
        elif message.role == "assistant" and not message.tool_calls and not is_dump(text):
            for number, fact in enumerate(required):
                told[number] = told[number] or (conveys(fact, text) and (users[number] or _stands_in(fact, known)))
    return told


def _stands_in(fact: Fact, known: Sequence[Message]) -> bool:
    """Whether the user has said it, or a result has it, where a count stands without its unit."""
    bare = fact.model_copy(update={"forms": tuple(form.partition(" ")[0] for form in fact.forms if form[:1].isdigit())})
    return any(
        conveys(fact, message.content or "") or (message.role == "tool" and conveys(bare, message.content or ""))
        for message in known
    )


def _share(met: Sequence[bool]) -> float | None:
    return sum(met) / len(met) if met else None


def _made(gold: Executed, log: Sequence[Executed], tools: Sequence[ToolSpec]) -> bool:
    spec = next((tool for tool in tools if tool.name == gold.tool), None)
    same = (one for one in log if one.tool == gold.tool and ("error" in one.result) == ("error" in gold.result))
    return any(same_call(_call(gold), _call(one), spec) for one in same)


def _call(step: Executed) -> ToolCall:
    return ToolCall.model_construct(id="", name=step.tool, arguments=step.arguments, arguments_raw="", accepted={})


def _failed(message: Message) -> bool:
    return message.role == "tool" and "error" in (result := _result(message)) and result != TIME_OUT


def _result(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.content or "{}")
    return found


def _first_failure(
    episode: Episode, ended: Ended, state_right: bool, facts: Sequence[tuple[Fact, bool]]
) -> Failure | None:
    last = sum(message.role == "assistant" for message in episode.messages)
    unsaid = not all(told for _, told in facts)
    founded = _is_founded(episode)
    if state_right and not unsaid and founded and not episode.breaches and ended == "done":
        return None
    decisive = [Failure(_turn(episode, breach.message_index), breach.kind) for breach in episode.breaches]
    decisive += [] if state_right else _wrong_writes(episode)
    decisive += [Failure(last, "truncated")] if ended == "truncated" else []
    if decisive:
        return min(decisive, key=lambda failure: failure.turn)
    if derailed := _derailed(episode):
        return derailed
    if ended != "done":
        return Failure(last, ended)
    return Failure(last, "missing_write" if not state_right else "unsaid" if unsaid else "unfounded")


def _is_founded(episode: Episode) -> bool:
    """Whether a look-up, or the attempt itself, has told what a goal that owes no facts was let go for."""
    return all(any(step.tool in tools and _tells(step) for step in episode.log) for tools in episode.task.gold.evidence)


def _tells(step: Executed) -> bool:
    """Whether a call was answered by the world, with what is there or with a reason of its own to refuse."""
    problem = step.result.get("error")
    return problem is None or (step.result != TIME_OUT and not str(problem).startswith(_UNSOUND))


def _turn(episode: Episode, index: int) -> int:
    return sum(message.role == "assistant" for message in episode.messages[: index + 1])


def _wrong_writes(episode: Episode) -> list[Failure]:
    """The first change that the gold agent does not make."""
    writes = {tool.name for tool in episode.tools if tool.is_write}
    gold = [step for step in episode.task.gold.calls if step.tool in writes]
    for index, call, result in _calls(episode):
        done = Executed(call.name, call.arguments, result)
        if call.name in writes and "error" not in result and not _made(done, gold, episode.tools):
            return [Failure(_turn(episode, index), "wrong_write")]
    return []


def _derailed(episode: Episode) -> Failure | None:
    """The first call that could not be run at all."""
    for index, call, result in _calls(episode):
        if call.name == UNREADABLE:
            return Failure(_turn(episode, index), "unreadable_call")
        if str(result.get("error", "")).startswith(_UNSOUND):
            return Failure(_turn(episode, index), "invalid_call")
    return None


def _calls(episode: Episode) -> list[tuple[int, ToolCall, dict[str, Any]]]:
    """All calls with the index of their message and their result."""
    found = []
    for index, message in enumerate(episode.messages):
        results = episode.messages[index + 1 : index + 1 + len(message.tool_calls)]
        found += [(index, call, _result(one)) for call, one in zip(message.tool_calls, results, strict=False)]
    return found
