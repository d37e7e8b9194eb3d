"""Names what does not fit in a domain's declarations, so that a new folder is all that a new domain needs.

First what can be read off the declarations: tools, tasks, slots, phrases, policy, slices. Then what only shows when
they are played: the oracle must succeed at tasks of every slice and be understood by the user at once.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from datetime import date
from random import Random

import jsonschema_rs

from data.practice.declarations import Domain, Lookup, Task
from data.practice.drawing import PracticeTask, draw_task
from data.practice.episode import Episode
from data.practice.errors import TIME_OUT
from data.practice.gold import GoldError, play_oracle
from data.practice.language import expand
from data.practice.world import World
from data.schema import Message

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_FREE_WORDS = frozenset({"a", "b", "details", "detail", "matter", "right", "place", "weekday", "today"})
_PUZZLED = ("repeat", "clarify", "prefer")


def check_domain(domain: Domain, *, seeds: int = 10) -> list[str]:
    """Everything that is wrong with a domain, in sentences; nothing if it is sound.

    Args:
        domain: The declarations.
        seeds: Tasks of each slice to play.
    """
    problems = [*_tools(domain), *_slices(domain), *_policy(domain), *_phrases(domain)]
    for task in domain.tasks.values():
        problems += [f"task {task.name}: {problem}" for problem in _task(domain, task)]
    return problems or [*_world(domain), *_played(domain, seeds)]


def _tools(domain: Domain) -> Iterator[str]:
    for name, tool in domain.tools.items():
        if name != tool.spec.name:
            yield f"tool {name} is specified as {tool.spec.name}"
        if not tool.spec.description:
            yield f"tool {name} has no description"
        parameters = tool.spec.parameters
        if parameters.get("type") != "object" or not set(parameters.get("required", ())) <= set(
            parameters.get("properties", ())
        ):
            yield f"tool {name}: parameters must be an object whose required names are properties"
        if not jsonschema_rs.meta.is_valid(parameters):
            yield f"tool {name}: parameters are no JSON Schema"
    used = {name for task in domain.tasks.values() for name in task.tools}
    if idle := set(domain.tools) - used - {tool for tool in domain.outside.values() if tool}:
        yield f"tools no task uses: {', '.join(sorted(idle))}"


def _slices(domain: Domain) -> Iterator[str]:
    for part, errands in domain.errands.items():
        for name in {name for errand in errands for name in errand} - set(domain.tasks):
            yield f"errands of {part} name a task {name} that is not declared"
    seen = {task for errand in domain.errands.get("seen", ()) for task in errand}
    trained = {domain.tasks[name].domain for name in seen if name in domain.tasks}
    for part in ("unseen_in_validation", "unseen_in_test"):
        for name in {name for errand in domain.errands.get(part, ()) for name in errand} & set(domain.tasks):
            if domain.tasks[name].domain in trained:
                yield f"task {name} of {part} belongs to {domain.tasks[name].domain}, which is trained on"


def _policy(domain: Domain) -> Iterator[str]:
    policy = domain.policy
    if not policy.text:
        yield "the policy has no text"
    named = {*policy.protected, *([policy.verify] if policy.verify else [])}
    named |= {tool for rule in policy.rules for tool in rule.tools} | {*policy.personal, *policy.first}
    named |= {look_up for look_up, _ in policy.first.values()}
    if unknown := named - set(domain.tools):
        yield f"the policy names tools that do not exist: {', '.join(sorted(unknown))}"
    if policy.protected and not policy.verify:
        yield "the policy protects tools but names no look-up that verifies"
    connection = World(domain, Random(0), date(2026, 1, 1)).connection
    for argument, sql in policy.owners.items():
        try:
            connection.execute(sql, ("",))
        except sqlite3.Error as error:
            yield f"the policy's SQL for the owner of {argument} does not run: {error}"


def _phrases(domain: Domain) -> Iterator[str]:
    allowed = _FREE_WORDS | set(domain.slots)
    for key, templates in domain.phrases.items():
        if not templates:
            yield f"phrase {key} has no wording"
        for template in templates:
            try:
                used = set(_PLACEHOLDER.findall(expand(template, Random(0))))
            except (IndexError, ValueError) as error:
                yield f"phrase {key}: {error}"
                continue
            if not key.startswith("user.choose.") and (unknown := used - allowed):
                yield f"phrase {key} names no slot: {', '.join(sorted(unknown))}"
    if "system" not in domain.phrases:
        yield "there is no phrase system"


def _task(domain: Domain, task: Task) -> Iterator[str]:
    tools, slots = domain.tools, domain.slots
    if unknown := set(task.tools) - set(tools):
        yield f"tools that do not exist: {', '.join(sorted(unknown))}"
        return
    for tool in task.tools:
        if tools[tool].spec.is_write != (tool == task.write):
            yield f"{tool} is a change and a look-up at once"
    if task.domain not in {tools[tool].domain for tool in task.tools}:
        yield f"none of its tools belongs to {task.domain}"
    if task.read in {step.tool for step in (*task.before, *task.after)}:
        yield f"{task.read} is a look-up on the way and the errand's own"
    named = {*task.asked, *task.told, *task.confirm, *task.report, *task.core}
    if unknown := named - set(slots):
        yield f"no slots of that name: {', '.join(sorted(unknown))}"
    yield from (f"no phrase {key}" for key in _wanted_phrases(task) if key not in domain.phrases)
    spoken = [f"user.tell.{slot}" for slot in task.asked] + [f"agent.detail.{slot}" for slot in task.confirm]
    yield from (f"no phrase {key}" for key in spoken if not any(phrase.startswith(key) for phrase in domain.phrases))
    if task.write:
        yield from _change(domain, task, task.write)


def _change(domain: Domain, task: Task, write: str) -> Iterator[str]:
    if not task.confirm or not task.report:
        yield "a change needs something to confirm and something to report"
    required = set(domain.tools[write].spec.parameters.get("required", ()))
    if missing := required - {*task.carry, *task.write_slots}:
        yield f"{write} needs what the task never gives it: {', '.join(sorted(missing))}"


def _wanted_phrases(task: Task) -> list[str]:
    wanted = [f"user.open.{task.name}"]
    wanted += ["agent.ask." + "|".join(requirement) for requirement in (*task.needs, *task.then)]
    wanted += [f"agent.nothing.{step.tool}" for step in _revisable(task)]
    if task.write:
        wanted += [f"agent.confirm.{task.name}", f"agent.report.{task.name}"]
    else:
        wanted.append(f"agent.tell.{task.name}")
    if task.amend:
        wanted.append(f"agent.failed.{task.name}")
    if task.outcome == "choose":
        wanted.append(f"agent.option.{task.read}")
    return wanted


def _revisable(task: Task) -> list[Lookup]:
    steps = [step for step in (*task.before, *task.after) if step.revise]
    return steps + ([Lookup(task.read, (), revise=task.revise)] if task.read and task.revise else [])


def _world(domain: Domain) -> Iterator[str]:
    one, other = (World(domain, Random(1), date(2026, 3, 6)) for _ in range(2))
    if one.digest() != other.digest():
        yield "two worlds built from one seed differ: build must take all chance from the generator it is given"
    if one.digest() == World(domain, Random(2), date(2026, 3, 6)).digest():
        yield "worlds of different seeds are equal"


def _played(domain: Domain, seeds: int) -> Iterator[str]:
    for part in domain.errands:
        for seed in range(seeds):
            try:
                yield from _episode_problems(domain, part, seed)
            except (GoldError, RuntimeError, KeyError) as error:
                yield f"{domain.name}/{part}/{seed}: {type(error).__name__}: {error}"


def _left_after(task: PracticeTask, seed: int, said: str) -> str:
    """How an episode ends in which the agent only says this."""
    episode = Episode(task, seed)
    while not episode.done:
        episode.step(Message(role="assistant", content=said))
    episode.close()
    return episode.reason


def _episode_problems(domain: Domain, part: str, seed: int) -> Iterator[str]:
    task = draw_task(domain, part, seed)  # type: ignore[arg-type]
    episode = play_oracle(task, seed)
    if episode.state_hash() != task.expected_state():
        yield f"{task.id}: the state at the end depends on the user's manner"
    if episode.reason != "ended":
        yield f"{task.id}: the oracle does not come to an end"
    for said in ("Goodbye.", "It is done. Goodbye.", "Sorry, that is not possible. Goodbye."):
        if not task.required_facts and not task.gold.evidence and _left_after(task, seed, said) == "ended":
            yield f"{task.id}: the user is content with {said!r}, so saying that would succeed"
    yield from (f"{task.id}: the oracle breaches the policy: {breach.detail}" for breach in episode.breaches)
    for step in episode.log:
        if str(step.result.get("error", "")).startswith("invalid arguments") and step.result != TIME_OUT:
            yield f"{task.id}: the oracle calls {step.tool} with {step.result['error']}"
    answers = iter(episode.answers)
    before = ""
    for move in episode.moves:
        if move.kind in _PUZZLED:
            yield f"{task.id}: the user does not understand the oracle ({move.kind}): {before}"
        before = next(answers, "")
    episode.close()
