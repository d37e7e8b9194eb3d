"""What an episode is worth: done and told, nothing breached; and where it went wrong, if it did."""

import pytest

from data.practice.domains import DOMAINS
from data.practice.drawing import draw_task
from data.practice.episode import Episode
from data.practice.gold import play_oracle
from data.schema import Message, ToolCall
from models.practice.outcome import UNREADABLE, outcome_of
from models.rewards.episode import milestone_reward, outcome_reward


@pytest.fixture(scope="module")
def task():
    """A hotel task whose gold agent looks up, then changes something."""
    for seed in range(50):
        drawn = draw_task(DOMAINS["hotel"], "seen", seed)
        writes = {tool.name for tool in drawn.tools if tool.is_write}
        if len(drawn.goals) == 1 and any(call.tool in writes for call in drawn.gold.calls):
            return drawn
    raise AssertionError("no such task")


def ended(episode: Episode) -> str:
    return "done" if episode.done else "turn_limit"


def replay(task, said) -> Episode:
    """The gold agent's messages as ``said`` changes them; None leaves one out."""
    episode = Episode(task, 3, errors=0.0)
    for message in play_oracle(task, 3, errors=0.0).messages:
        if message.role == "assistant" and not episode.done and (changed := said(message)) is not None:
            episode.step(changed)
    return episode


def call(name: str, **arguments) -> Message:
    made = ToolCall(id="call_9", name=name, arguments=arguments, arguments_raw="{}")
    return Message(role="assistant", tool_calls=(made,))


def test_the_gold_agent_succeeds_and_earns_all(task):
    outcome = outcome_of(replay(task, lambda message: message), "done")
    assert outcome.success
    assert (outcome.facts, outcome.milestones, outcome.call_errors) == (1.0, 1.0, 0)
    assert outcome_reward(outcome) == milestone_reward(outcome) == 1.0


def test_right_changes_but_nothing_said_is_unsaid(task):
    writes = {tool.name for tool in task.tools if tool.is_write}
    changed = []

    def muttering(message: Message) -> Message:
        changed.extend(made for made in message.tool_calls if made.name in writes)
        if message.tool_calls or not changed:
            return message
        return Message(role="assistant", content="That is done. Is there anything else?")

    mute = replay(task, muttering)
    outcome = outcome_of(mute, "done")
    assert outcome.state_right
    assert outcome.facts < 1
    assert (outcome.success, outcome.failure.cause) == (False, "unsaid")
    assert outcome_reward(outcome) == 0
    assert 0 < milestone_reward(outcome) < 0.5


def test_everything_said_but_nothing_changed_is_a_missing_write(task):
    writes = {tool.name for tool in task.tools if tool.is_write}
    talk = replay(task, lambda m: None if m.tool_calls and m.tool_calls[0].name in writes else m)
    outcome = outcome_of(talk, "done")
    assert not outcome.state_right
    assert outcome.failure.cause == "missing_write"
    assert outcome_reward(outcome) == 0


def test_a_change_without_consent_is_a_breach_at_its_turn(task):
    rushed = replay(task, lambda m: m if m.tool_calls else None)
    outcome = outcome_of(rushed, ended(rushed))
    assert "unconfirmed_write" in outcome.breaches
    assert outcome.failure.cause == "unconfirmed_write"
    assert outcome.failure.turn == sum(len(one.tool_calls) > 0 for one in rushed.messages)
    assert milestone_reward(outcome) == 0


def test_what_the_gold_agent_would_not_change_is_a_wrong_write(task):
    def wrong(message: Message) -> Message:
        (made,) = message.tool_calls or (None,)
        if made is None or made.name not in {tool.name for tool in task.tools if tool.is_write}:
            return message
        changed = {name: _other(value) for name, value in made.arguments.items() if name in ("time", "nights")}
        return message.model_copy(
            update={"tool_calls": (made.model_copy(update={"arguments": {**made.arguments, **changed}}),)}
        )

    for seed in range(80):
        other = draw_task(DOMAINS["hotel"], "seen", seed)
        if any({"time", "nights"} & set(step.arguments) and "status" in step.result for step in other.gold.calls):
            break
    else:
        raise AssertionError("no such task")
    task = other
    episode = replay(task, wrong)
    outcome = outcome_of(episode, ended(episode))
    assert not outcome.state_right
    assert outcome.failure.cause == "wrong_write"


def _other(value):
    return value + 1 if isinstance(value, int) else "06:15"


def test_calls_that_cannot_run_derail_where_nothing_worse_happened(task):
    for name, cause in ((UNREADABLE, "unreadable_call"), ("no_such_tool", "invalid_call")):
        episode = Episode(task, 3, errors=0.0)
        episode.step(call(name))
        outcome = outcome_of(episode, "turn_limit")
        assert (outcome.failure.turn, outcome.failure.cause) == (1, cause)
        assert outcome.call_errors == 1
    episode = Episode(task, 3, errors=0.0)
    episode.step(Message(role="assistant", content="Hello there."))
    assert outcome_of(episode, "truncated").failure.cause == "truncated"
    assert outcome_of(episode, "turn_limit").failure.cause == "turn_limit"


def test_a_time_out_is_not_the_agents_error(task):
    episode = Episode(task, 3, errors=1.0)
    tool = next(step for step in task.gold.calls)
    episode.step(call(tool.tool, **tool.arguments))
    assert "time-out" in episode.messages[-1].content
    assert outcome_of(episode, "turn_limit").call_errors == 0
