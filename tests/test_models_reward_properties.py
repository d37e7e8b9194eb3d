"""What holds of every reward on every text: 10,000 random completions here, a million once (docs/log.md)."""

from __future__ import annotations

import random

import pytest

from data.decision_points import decision_points
from data.settings import RewardWeights
from models.evaluation.bfcl import error_of
from models.evaluation.failures import failure
from models.rewards.fuzz import completions, fault
from models.rewards.variants import NAMES, load_reward
from models.speech.parsing import CALL_CLOSE, CALL_OPEN, parse_completion
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text

CASES = 10_000


@pytest.fixture(scope="module")
def points(tiny_conversations):
    return [point for conversation in tiny_conversations for point in decision_points(conversation)]


def test_no_text_raises_or_earns_more_than_the_maximum(points):
    rewards = [load_reward(name, RewardWeights()) for name in NAMES]
    faults = []
    for number, (point, text) in enumerate(completions(points, 0, CASES)):
        reward = rewards[0] if number % 4 else rewards[number // 4 % len(rewards)]
        problem = fault(reward, point, text, thinking=number % 2 == 0)
        faults += [(problem, text)] if problem else []
    assert faults == []


def test_no_text_breaks_the_judge_its_causes_or_bfcls_rules(points):
    causes = set()
    for number, (point, text) in enumerate(completions(points, 5, CASES)):
        parsed = parse_completion(text, thinking=number % 2 == 0, tools=point.tools)
        causes.add(failure(point, parsed))
        error_of(point, parsed, ("simple_python", "simple_java", "multiple", "irrelevance")[number % 4])
    assert len(causes) > 8


def test_every_kind_of_completion_occurs(points):
    graded = load_reward("graded", RewardWeights())
    seen = {str(graded.score(point, text, thinking=True).parsed.status) for point, text in completions(points, 1, 3000)}
    assert {"ok", "malformed_call", "unclosed_call", "unknown_tool", "missing_think", "extra_think", "empty"} <= seen


def test_parts_stay_in_their_ranges(points):
    graded = load_reward("graded", RewardWeights())
    for point, text in completions(points, 2, 2000):
        parts = graded.score(point, text, thinking=True).parts
        assert parts.format in (0.0, 1.0)
        assert -1.5 <= parts.tool_accuracy <= 1.0
        assert (parts.answer_correctness is None) == (point.kind == "call")
        assert 0.0 <= (parts.answer_correctness or 0.0) <= 1.0


def test_the_order_of_calls_never_matters(points):
    graded = load_reward("graded", RewardWeights())
    compared = 0
    for point, text in completions(points, 3, 4000):
        blocks = text.split(f"{CALL_CLOSE}\n")
        if not text.endswith(CALL_CLOSE) or len(blocks) < 2 or text.count(CALL_OPEN) != len(blocks):
            continue
        if CALL_OPEN not in blocks[0] or not all(block.startswith(CALL_OPEN) for block in blocks[1:]):
            continue
        head, first = blocks[0].split(CALL_OPEN)
        bodies = [first, *(block.removeprefix(CALL_OPEN).removesuffix(CALL_CLOSE) for block in blocks[1:])]
        random.Random(compared).shuffle(bodies)
        shuffled = head + "\n".join(f"{CALL_OPEN}{body.rstrip()}\n{CALL_CLOSE}" for body in bodies)
        paid = [graded.total(graded.score(point, one, thinking=True).parts) for one in (text, shuffled)]
        assert paid[0] == pytest.approx(paid[1])
        compared += 1
    assert compared > 100


def test_gold_is_never_beaten_by_what_is_made_of_it(points):
    graded = load_reward("graded", RewardWeights())
    for point, text in completions(points, 4, 1000):
        gold = completion_text(point.expected, PLACEHOLDER_THOUGHT)
        gold_paid, paid = (graded.total(graded.score(point, one, thinking=True).parts) for one in (gold, text))
        assert paid <= gold_paid + 1e-9
