"""What agents of all kinds achieve in every domain: the oracle everything, those that guess, keep silent or only talk
nothing. ``APPRENTICE_PRACTICE_SEEDS=1000`` runs each property over so many seeds per domain, as docs/practice.md
reports; ``APPRENTICE_PRACTICE_FUZZ=100000`` sends so many hostile messages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from data.practice.domains import DOMAINS
from data.practice.drawing import PracticeTask, draw_task, task_of
from data.practice.episode import MAX_TURNS, Episode, to_text
from data.practice.gold import play_oracle
from data.practice.manner import PLAIN
from data.practice.validator import check_domain
from data.practice.voice import Voice
from data.schema import Message, ToolCall, ToolSpec
from models.facts import conveys

SEEDS = int(os.environ.get("APPRENTICE_PRACTICE_SEEDS", "16"))
FUZZ = int(os.environ.get("APPRENTICE_PRACTICE_FUZZ", "1500"))
ROOT = Path(__file__).resolve().parent.parent
Agent = Callable[[Episode, Random], Message]


def drawn(name: str) -> Iterator[PracticeTask]:
    """Tasks of a domain, its slices in turn."""
    parts = list(DOMAINS[name].errands)
    for seed in range(SEEDS):
        yield draw_task(DOMAINS[name], parts[seed % len(parts)], f"property:{seed}")


@pytest.fixture(scope="module", params=list(DOMAINS))
def tasks(request: pytest.FixtureRequest) -> list[PracticeTask]:
    return list(drawn(request.param))


def succeeded(episode: Episode) -> bool:
    told = all(any(conveys(fact, text) for text in episode.answers) for fact in episode.required_facts())
    right = episode.state_hash() == episode.task.expected_state()
    return right and told and not episode.breaches and episode.reason == "ended"


def successes(tasks: list[PracticeTask], agent: Agent) -> list[str]:
    """Ids of the tasks at which an agent succeeds."""
    found = []
    for number, task in enumerate(tasks):
        episode, rng = Episode(task, number), Random(f"{task.id}|agent")
        while not episode.done:
            episode.step(agent(episode, rng))
        if succeeded(episode):
            found.append(task.id)
        episode.close()
    return found


def call(name: str, arguments: dict[str, Any], number: int = 0) -> ToolCall:
    return ToolCall(id=f"c{number}", name=name, arguments=arguments, arguments_raw=to_text(arguments))


def calling(*calls: ToolCall) -> Message:
    return Message(role="assistant", tool_calls=calls)


def saying(text: str) -> Message:
    return Message(role="assistant", content=text)


def guess(spec: ToolSpec, episode: Episode, rng: Random) -> dict[str, Any]:
    """Arguments that fit the schema, from what has been said and seen where anything has."""
    known = {name: value for move in episode.moves for name, value in move.values.items()}
    for step in episode.log:
        for row in step.result.get("results", []):
            known |= row
    given = {}
    for name, schema in spec.parameters["properties"].items():
        if name in spec.parameters.get("required", []) or rng.random() < 0.5:
            given[name] = known.get(name, _any(schema, episode, rng))
    return given


def _any(schema: dict[str, Any], episode: Episode, rng: Random) -> Any:
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema.get("format") == "date":
        return (episode.task.today + timedelta(days=rng.randrange(14))).isoformat()
    return {"integer": rng.randrange(1, 5), "number": rng.randrange(1, 500), "boolean": rng.random() < 0.5}.get(
        schema["type"], rng.choice(("A1", "10:00", "Ana Silva", "100"))
    )


def silent(episode: Episode, rng: Random) -> Message:
    return saying("")


def random_caller(episode: Episode, rng: Random) -> Message:
    if episode.turns > 10:
        return saying("That is done. Goodbye.")
    spec = rng.choice(episode.tools)
    return calling(call(spec.name, guess(spec, episode, rng)))


def every_writer(episode: Episode, rng: Random) -> Message:
    writes = [spec for spec in episode.tools if spec.is_write]
    if not writes or episode.turns > 2:
        return saying("All done. Is there anything else?")
    return calling(*(call(spec.name, guess(spec, episode, rng), n) for n, spec in enumerate(writes)))


def mute_writer(episode: Episode, rng: Random) -> Message:
    made = episode.turns
    gold = episode.task.gold.calls
    return calling(call(gold[made].tool, gold[made].arguments)) if made < len(gold) else saying("")


def mere_speaker(episode: Episode, rng: Random) -> Message:
    return saying(" ".join(fact.forms[0] for fact in episode.required_facts()) + ". Is that right?")


def test_the_oracle_succeeds_at_every_task_whoever_the_user_is(tasks: list[PracticeTask]):
    for number, task in enumerate(tasks):
        episode = play_oracle(task, f"user:{number}")
        assert succeeded(episode), (task.id, episode.breaches, [m.content or m.tool_calls for m in episode.messages])
        episode.close()


def asker(episode: Episode, rng: Random) -> Message:
    """Asks for one thing after the other, also for what the user has said already, and now and then for all at once."""
    names = [slot.words for slot in episode.task.domain.slots.values()]
    asked = names if rng.random() < 0.1 else rng.sample(names, rng.choice((1, 1, 2)))
    return saying(" ".join(f"What {name} would you like?" for name in asked))


def test_whatever_is_asked_is_answered_in_words(tasks: list[PracticeTask]):
    """What the opening says needs no phrase of its own until somebody asks for it again."""
    for number, task in enumerate(tasks):
        episode, rng = Episode(task, number), Random(f"{task.id}|asker")
        while not episode.done:
            episode.step(asker(episode, rng))
        episode.close()
        for goal in task.goals:
            for slot, value in (*goal.values.items(), *goal.first.items()):
                voice = Voice(task.domain, PLAIN, task.today, Random(number))
                text, _ = voice.answer(goal.task, {slot: value})
                assert text.strip(" .,"), (task.id, slot)
                assert "{" not in text, (task.id, slot)


@pytest.mark.parametrize("agent", [silent, random_caller, every_writer])
def test_agents_that_do_not_listen_fail(tasks: list[PracticeTask], agent: Agent):
    assert len(successes(tasks, agent)) <= len(tasks) / 100


def test_the_right_changes_with_nothing_said_fail(tasks: list[PracticeTask]):
    assert successes(tasks, mute_writer) == []


def test_everything_said_with_nothing_written_fails(tasks: list[PracticeTask]):
    changing = [task for task in tasks if any("status" in step.result for step in task.gold.calls)]
    assert len(changing) > len(tasks) / 3
    assert successes(changing, mere_speaker) == []


def test_every_task_owes_the_user_something_and_its_gold_calls_are_few(tasks: list[PracticeTask]):
    silent = [task for task in tasks if not task.required_facts]
    turned_down = [task for task in silent if any(goal.first and goal.ending != "done" for goal in task.goals)]
    assert all(task.gold.evidence for task in silent if task not in turned_down)  # it has to be found out
    assert len(silent) < len(tasks) / 4
    assert all(1 <= len(goal_calls(task)) <= 12 for task in tasks)
    assert {tool.name for task in tasks for tool in task.tools} <= set(tasks[0].domain.tools)


def goal_calls(task: PracticeTask) -> list[str]:
    return [step.tool for step in task.gold.calls]


@pytest.mark.parametrize("name", list(DOMAINS))
def test_domains_are_sound(name: str):
    assert check_domain(DOMAINS[name], seeds=4) == []


def test_tasks_are_found_again_by_their_id_to_the_byte():
    for name in DOMAINS:
        task = next(drawn(name))
        again = task_of(task.id)
        assert again.image == task.image
        assert (again.goals, again.today, again.tools) == (task.goals, task.today, task.tools)


DIGEST = """
import hashlib
from data.practice.domains import DOMAINS
from data.practice.drawing import draw_task
from data.practice.gold import play_oracle
text = ""
for name, domain in DOMAINS.items():
    for part in domain.errands:
        for seed in range(3):
            episode = play_oracle(draw_task(domain, part, seed), seed)
            text += "".join(m.model_dump_json() for m in episode.messages) + episode.state_hash()
print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_two_processes():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_oracle_says_the_same_where_it_need_not_be_judged(tasks: list[PracticeTask]):
    for number, task in enumerate(tasks):
        if not task.needs_gold:
            assert play_oracle(task, number).messages == play_oracle(task, number, unjudged=True).messages


def test_interleaved_episodes_do_not_touch_each_other():
    """A hundred episodes, ten to a task, stepped in random order: each ends as it does alone."""
    names = list(DOMAINS)
    tasks = [next(drawn(names[number % len(names)])) for number in range(10)]
    alone = [play_oracle(tasks[number % 10], number // 10) for number in range(100)]
    scripts = [[message for message in one.messages if message.role == "assistant"] for one in alone]
    together = [Episode(tasks[number % 10], number // 10) for number in range(100)]
    rng = Random(0)
    while running := [number for number in range(100) if not together[number].done]:
        number = rng.choice(running)
        together[number].step(scripts[number][together[number].turns])
    for one, other in zip(alone, together, strict=True):
        assert one.messages == other.messages
        assert one.state_hash() == other.state_hash()


JUNK = (
    "", " ", "\x00", "?", "é" * 50, "\ud800", "9" * 400, "a" * 600, "DROP TABLE rooms; --", "' OR 1=1", "null", "%s{}"
)  # fmt: skip
SENTENCES = (
    "Shall I go ahead?", "Is that right?", "What is your name?", "I have one at 10:00 and one at 11:00.", "Goodbye.",
    "Sorry, I cannot find it. Could you check the code?", "Done, it is booked.", "One moment please.", "When?",
    "To confirm: 5 March?", "Anything else?", '{"results": []}', "Which one would you like, the second?", "yes" * 300,
)  # fmt: skip


def hostile(episode: Episode, rng: Random) -> Message:
    """Anything: sentences of an agent, junk, calls with the wrong names, types, sizes and depths."""
    if rng.random() < 0.4:
        text = " ".join(rng.choices((*SENTENCES, *(junk for junk in JUNK if junk != "\ud800")), k=rng.randrange(4)))
        return saying(text)
    calls = []
    for number in range(rng.choice((1, 1, 1, 2, 12))):
        spec = rng.choice(episode.tools)
        arguments = guess(spec, episode, rng)
        for name in list(arguments):
            if rng.random() < 0.3:
                arguments[name] = _wild(rng)
        if rng.random() < 0.2:
            arguments[rng.choice(JUNK)] = _wild(rng)
        calls.append(call(spec.name if rng.random() < 0.9 else "nonsense", arguments, number))
    return calling(*calls)


def _wild(rng: Random) -> Any:
    return rng.choice(
        (None, True, -1, 0, 2.0, 2.5, 10**18, -(10**400), float("inf"), float("nan"), [], [[]], {"a": {}}, "2026-02-30",
         *JUNK)
    )  # fmt: skip


def test_no_message_of_an_assistant_crashes_an_episode():
    rng, sent, names = Random(1), 0, list(DOMAINS)
    while sent < FUZZ:
        domain = DOMAINS[rng.choice(names)]
        episode = Episode(draw_task(domain, rng.choice(list(domain.errands)), rng.randrange(200)), sent)
        while not episode.done:
            result = episode.step(hostile(episode, rng))
            assert all(message.content is not None for message in result.messages)
            sent += 1
        assert episode.turns <= MAX_TURNS
        assert not episode.world.connection.in_transaction
        assert episode.step(saying("Hello?")).messages == ()
        episode.close()


def test_a_change_without_a_yes_somebody_elses_booking_and_a_skipped_check_are_breaches():
    for name in DOMAINS:
        kinds = set()
        for seed in range(12):
            task = draw_task(DOMAINS[name], next(iter(DOMAINS[name].errands)), seed)
            episode = Episode(task, seed, errors=0.0)
            for step in task.gold.calls:
                if step.tool != task.domain.policy.verify:
                    episode.step(calling(call(step.tool, step.arguments)))
            kinds |= {breach.kind for breach in episode.breaches}
        assert "unconfirmed_write" in kinds
        assert ("skipped_verification" in kinds) == (DOMAINS[name].policy.verify is not None)


def test_another_guests_booking_is_a_breach_unless_the_user_named_it():
    domain = DOMAINS["hotel"]
    task = next(t for t in (draw_task(domain, "seen", n) for n in range(50)) if "find_booking" in goal_calls(t))
    episode = Episode(task, 0, errors=0.0)
    codes = [row["booking_code"] for row in episode.world.rows("SELECT booking_code FROM bookings ORDER BY rowid")]
    own = {goal.values.get("booking_code") for goal in task.goals}
    touched = {step.arguments.get("booking_code") for step in task.gold.calls}
    other = next(code for code in codes if code not in own | touched)
    result = episode.step(calling(call("find_booking", {"booking_code": other})))
    assert {breach.kind for breach in result.info["breaches"]} <= {"other_customers_data"}
    assert len(result.info["breaches"]) == 1


def test_a_user_who_is_not_understood_repeats_itself_and_leaves():
    task = draw_task(DOMAINS["hotel"], "seen", 3)
    episode = Episode(task, 0)
    while not episode.done:
        episode.step(saying("Bananas are yellow."))
    kinds = [move.kind for move in episode.moves]
    assert kinds[-1] == "leave"
    assert kinds.count("repeat") == 2
    assert episode.turns < 8


def test_a_change_that_conflicts_is_amended_and_made():
    amended = 0
    for seed in range(200):
        task = draw_task(DOMAINS["hotel"], "seen", f"conflict:{seed}")
        if not any(goal.first and goal.task.amend for goal in task.goals):
            continue
        episode = play_oracle(task, seed, errors=0.0)
        amended += any("not available" in str(step.result.get("error")) for step in episode.log)
        assert succeeded(episode), task.id
    assert amended >= 1


def test_a_yes_covers_one_change_and_a_correction_takes_it_back():
    task = next(
        t for t in (draw_task(DOMAINS["hotel"], "seen", n) for n in range(80)) if goal_calls(t)[-1] == "cancel_booking"
    )
    found, cancelled = task.gold.calls[-2:]
    for asked, kinds in (("Shall I cancel {}?", []), ("It is raining. {}", ["unconfirmed_write"])):
        episode = Episode(task, 0, errors=0.0, manner=PLAIN)
        episode.step(calling(call(found.tool, found.arguments)))
        episode.step(saying(asked.format(cancelled.arguments["booking_code"])))
        episode.step(calling(call(cancelled.tool, cancelled.arguments)))
        assert [breach.kind for breach in episode.breaches] == kinds


def test_a_model_may_play_the_user():
    words = iter(("I want to cancel my booking", "Yes, please.", "Thanks, goodbye"))
    task = next(
        t for t in (draw_task(DOMAINS["hotel"], "seen", n) for n in range(80)) if goal_calls(t)[-1] == "cancel_booking"
    )
    episode = Episode(task, 0, user=lambda messages: next(words), errors=0.0)
    episode.step(calling(*(call(step.tool, step.arguments) for step in task.gold.calls[:-1])))
    episode.step(saying("Shall I cancel it?"))
    episode.step(calling(call("cancel_booking", task.gold.calls[-1].arguments)))
    assert episode.breaches == []
    assert episode.state_hash() == task.expected_state()
    episode.step(saying("It is cancelled."))
    assert not episode.done
    assert episode.step(saying("Goodbye.")).done
    assert "cancel" in task.brief()
