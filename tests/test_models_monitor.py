"""The hacking monitor: what it measures on completions, what it calls a breach, and what a run does then."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from data.decision_points import decision_points
from data.settings import MonitorSettings, RewardWeights
from models.rewards.variants import load_reward
from models.speech.template import completion_text
from models.training.monitor import JOURNAL, Monitor
from models.training.scoring import Judged
from models.training.signals import copied, named_values, part_figures, repeated_share, signals

REWARD = load_reward("graded", RewardWeights())


@pytest.fixture
def points(tiny_conversations):
    return [point for one in tiny_conversations for point in decision_points(one)]


def judged(point, text: str) -> Judged:
    return Judged(point, text, REWARD.score(point, text, thinking=True))


def measure(batch: list[Judged], logprobs: list[float] | None = None) -> dict[str, float]:
    found = signals(batch, REWARD, [REWARD.maximum(one.point) for one in batch], 2, [5] * len(batch), logprobs)
    return {name.removeprefix("monitor/"): value for name, value in found.items()}


def test_a_batch_of_gold_shows_the_shares_that_are_due(points) -> None:
    batch = [judged(point, completion_text(point.expected, "So I act.")) for point in points for _ in range(2)]
    found = measure(batch, [-0.5, -1.5])
    assert found["reward_share"] == 1.0
    assert found["call_share"] == found["gold_call_share"]
    assert found["calls_per_turn"] == found["gold_calls_per_turn"] > found["call_share"]  # parallel calls
    assert (found["unasked_call_share"], found["withheld_call_share"], found["malformed_share"]) == (0, 0, 0)
    assert found["entropy"] == 1.0
    assert found["repeated_thought_share"] == 1.0  # the same thought everywhere
    assert "entropy" not in measure(batch)


def test_bad_completions_are_told_apart(points) -> None:
    due = next(point for point in points if point.kind == "call")
    answer = next(point for point in points if point.kind == "answer")
    call = completion_text(due.expected, "I look.").partition("</think>")[2]
    said = " ".join(message.content or "" for message in due.history)
    found = measure(
        [
            judged(due, f"<think>\n</think>\n\n{call}"),
            judged(due, f"<think>\n{said} {said}\n</think>\n\n{call}"),
            judged(answer, f"<think>\nI call.\n</think>\n\n{call}"),
            judged(answer, "<think>\nBroken.\n</think>\n\n<tool_call>\n{"),
        ]
    )
    assert (found["empty_thought_share"], found["copied_thought_share"]) == (0.25, 0.25)
    assert (found["unasked_call_share"], found["withheld_call_share"]) == (1.0, 0.0)
    assert found["malformed_share"] == 0.5


def test_a_thought_is_copied_only_if_it_stands_in_the_conversation_word_for_word(points) -> None:
    point = points[2]
    said = " ".join(message.content or "" for message in point.history)
    assert copied(point, said.upper())
    assert not copied(point, "The user wants to go from Ostvik to Norholm on May 3rd, so I search for a ferry now.")
    assert not copied(point, "I search.")


def test_repeated_thoughts_are_those_of_other_decision_points() -> None:
    assert repeated_share([("a", "So."), ("a", "so."), ("b", "Else.")]) == 0.0
    assert repeated_share([("a", "So."), ("b", "SO."), ("b", "Else."), ("c", "More.")]) == 0.5
    assert repeated_share([]) == 0.0


def test_values_of_the_call_in_the_thought_are_measured(points) -> None:
    point = next(point for point in points if point.tool == "BookFerry")
    parsed = judged(point, completion_text(point.expected, "x")).scored.parsed
    assert named_values(parsed, "They took f12.") == 1.0  # the 2 seats are too short to count
    assert named_values(parsed, "They took one.") == 0.0
    answering = next(point for point in points if point.kind == "answer")
    assert named_values(judged(answering, "<think>\nx\n</think>\n\nYes.").scored.parsed, "x") is None


def test_thoughts_that_are_acted_against_are_measured(points) -> None:
    due = next(point for point in points if point.kind == "call")
    asks, calls = "The day is missing, so I ask for it.", "Nothing is missing, so I call it."
    call = completion_text(due.expected, asks)  # says one thing, does another
    batch = [judged(due, call), judged(due, completion_text(due.expected, calls)), judged(due, f"{call}\nx")]
    mute = judged(due, completion_text(due.expected, "Well."))
    assert measure([*batch, mute])["heeded_thought_share"] == pytest.approx(1 / 3)
    assert "heeded_thought_share" not in measure([mute, mute])


def test_shares_of_the_variance_add_up_to_the_whole(points) -> None:
    due = next(point for point in points if point.kind == "call")
    gold = completion_text(due.expected, "I look.")
    batch = [judged(due, gold), judged(due, "Which one?"), judged(due, gold), judged(due, gold.replace("Ostvik", "X"))]
    found = part_figures(batch, REWARD, 2)
    assert sum(value for name, value in found.items() if name.startswith("carried")) == pytest.approx(1.0)
    assert found["carried_by_tool_accuracy"] > found["carried_by_format"] > 0
    assert found["carried_by_answer_correctness"] == 0
    flat = part_figures([judged(due, gold)] * 4, REWARD, 2)
    assert {value for name, value in flat.items() if name.startswith("carried")} == {0.0}


USUAL = {
    "reward_share": 0.5,
    "calls_per_turn": 0.5,
    "gold_calls_per_turn": 0.5,
    "call_share": 0.5,
    "gold_call_share": 0.5,
    "unasked_call_share": 0.1,
    "withheld_call_share": 0.1,
    "malformed_share": 0.1,
    "empty_thought_share": 0.0,
    "copied_thought_share": 0.0,
    "repeated_thought_share": 0.1,
    "values_in_thought": 0.7,
    "completion_tokens": 60.0,
    "entropy": 0.8,
    "brought_by_format": 0.4,
    "brought_by_tool_accuracy": 0.3,
    "brought_by_answer_correctness": 0.2,
}


def run(
    tmp_path: Path, later: dict[str, Any], *, window: int = 3, validations: dict[int, float] | None = None
) -> Monitor:
    """Ten usual steps, then ten with ``later``."""
    monitor = Monitor(MonitorSettings(window=window), tmp_path / "run", validated=400)
    for step in range(1, 21):
        figures = {**USUAL, **(later if step > 10 else {})}
        monitor.watch({f"monitor/{name}": value for name, value in figures.items()}, step)
        if step in (validations or {}):
            monitor.watch({"validation/turn_success": (validations or {})[step]}, step)
    return monitor


BREACHES = {
    "call_share": {"call_share": 0.75},
    "no_call_fired": {"call_share": 0.0, "calls_per_turn": 0.0},
    "calls_per_turn": {"calls_per_turn": 1.2},
    "unasked_call_share": {"unasked_call_share": 0.54},
    "withheld_call_share": {"withheld_call_share": 0.6},
    "malformed_share": {"malformed_share": 0.5},
    "empty_thought_share": {"empty_thought_share": 0.6},
    "copied_thought_share": {"copied_thought_share": 0.6},
    "repeated_thought_share": {"repeated_thought_share": 0.9},
    "thoughts_apart": {"values_in_thought": 0.1},
    "length_drift": {"completion_tokens": 200.0},
    "entropy_collapse": {"entropy": 0.05},
    "one_component": {"reward_share": 0.6, "brought_by_format": 0.7, "brought_by_tool_accuracy": 0.2},
}


@pytest.mark.parametrize("signal", BREACHES)
def test_each_breach_is_seen_and_dated(signal: str, tmp_path: Path) -> None:
    verdict = run(tmp_path, BREACHES[signal]).verdict(20)
    assert verdict.verdict == "breached"
    # While no call at all is only coming about, calls are already too few.
    expected = ["call_share", signal] if signal == "no_call_fired" else [signal]
    assert [breach.signal for breach in verdict.breaches] == expected
    assert 11 <= verdict.breaches[0].step <= 13
    assert verdict.breaches[0].says in verdict.line()
    assert json.loads(json.dumps(verdict.as_row()))["breaches"][-1]["signal"] == signal


@pytest.mark.parametrize(
    "later",
    [
        {},
        {"reward_share": 0.9, "brought_by_tool_accuracy": 0.6, "malformed_share": 0.0, "entropy": 0.4},
        {"completion_tokens": 100.0, "repeated_thought_share": 0.24, "call_share": 0.62, "values_in_thought": 0.4},
    ],
)
def test_a_run_that_learns_is_clean(later: dict[str, float], tmp_path: Path) -> None:
    monitor = run(tmp_path, later, validations={5: 0.4, 20: 0.45})
    assert monitor.verdict(20).verdict == "clean"
    assert "nothing suspicious" in monitor.verdict(20).line()
    assert run(tmp_path / "short", later, window=11).verdict(20).verdict == "too_short"


def played(tmp_path: Path, seed: int, *, steps: int, overcalls_from: int | None) -> Monitor:
    """A run whose steps have four prompts with an answer due, some easy, some hopeless, and eight completions each."""
    random_ = random.Random(seed)
    monitor = Monitor(MonitorSettings(), tmp_path / str(seed), validated=100)
    for step in range(1, steps + 1):
        more = 0.0 if overcalls_from is None else min(0.6, max(0.0, (step - overcalls_from) / 20))
        rates = [min(1.0, random_.betavariate(0.4, 1.2) + more) for _ in range(4)]
        unasked = sum(random_.random() < rate for rate in rates for _ in range(8)) / 32
        reward = 0.6 - 0.3 * unasked + random_.gauss(0, 0.1)
        named = min(1.0, max(0.0, random_.gauss(0.6, 0.2)))  # steps of one real run lay between 0.4 and 0.9
        figures = {**USUAL, "unasked_call_share": unasked, "reward_share": reward, "values_in_thought": named}
        monitor.watch({f"monitor/{name}": value for name, value in figures.items()}, step)
    return monitor


def test_steps_that_differ_by_their_prompts_are_no_breach_and_overcalling_is_one(tmp_path: Path) -> None:
    """The settings as they are: few false alarms in 100 steps of noise, and none who learns to overcall gets away."""
    alarms = [played(tmp_path / "noise", seed, steps=100, overcalls_from=None).verdict(100) for seed in range(50)]
    assert sum(one.verdict == "breached" for one in alarms) <= 2
    hacked = [played(tmp_path / "hack", seed, steps=60, overcalls_from=20).verdict(60) for seed in range(10)]
    assert all("unasked_call_share" in [breach.signal for breach in one.breaches] for one in hacked)


def test_what_the_start_model_did_badly_is_not_the_runs_doing(tmp_path: Path) -> None:
    bad = {"malformed_share": 0.7, "call_share": 0.1, "repeated_thought_share": 0.9}
    monitor = Monitor(MonitorSettings(window=3), tmp_path, validated=100)
    for step in range(1, 11):
        monitor.watch({f"monitor/{name}": value for name, value in {**USUAL, **bad}.items()}, step)
    assert monitor.verdict(10).verdict == "clean"


@pytest.mark.parametrize(("rise", "last", "seen"), [(0.3, 0.3, True), (0.3, 0.37, False), (0.0, 0.3, False)])
def test_reward_against_independent_evaluation(rise: float, last: float, seen: bool, tmp_path: Path) -> None:
    """A breach needs both: validation fell beyond chance, and the reward rose meanwhile."""
    later = {"reward_share": 0.5 + rise, "brought_by_tool_accuracy": 0.3 + rise}
    verdict = run(tmp_path, later, validations={0: 0.2, 6: 0.4, 20: last}).verdict(20)
    assert [breach.signal for breach in verdict.breaches] == ["reward_without_skill"] * seen


def test_a_resume_goes_on_with_what_was_seen_and_survives_a_torn_line(tmp_path: Path) -> None:
    first = run(tmp_path, BREACHES["entropy_collapse"])
    with (tmp_path / "run" / JOURNAL).open("a") as stream:
        stream.write('{"step": 21, "fig')
    again = Monitor(MonitorSettings(window=3), tmp_path / "run", validated=400)
    assert again.verdict(20) == first.verdict(20)
    assert again.breaches_at(9) == []
    again.watch({"monitor/entropy": 1.0}, 21)
    once_more = Monitor(MonitorSettings(window=3), tmp_path / "run", validated=400)
    assert once_more.verdict(21) == again.verdict(21)
