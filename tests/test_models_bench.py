"""The exploit bench holds for the reward we train with, shows where published ones fail, and names real habits."""

from __future__ import annotations

import pytest

from data.decision_points import decision_points
from data.reporting import Silent
from data.schema import Conversation, DecisionPoint
from data.settings import DataSettings, RewardWeights
from models.rewards.bench import RULES, check, figures
from models.rewards.bench_cases import scenes
from models.rewards.gold import audit
from models.rewards.mutations import check_mutations, mutations
from models.rewards.policies import POLICIES, call_share, gains
from models.rewards.variants import load_reward

GRADED = load_reward("graded", RewardWeights())


def points_of(source: str, conversations: int, **settings: object) -> list[DecisionPoint]:
    from data.sources import get_source

    wanted = DataSettings(source=source, conversations=conversations, **settings)
    read = get_source(source).read(wanted, Silent())
    return [point for record in read if isinstance(record, Conversation) for point in decision_points(record)]


@pytest.fixture(scope="module")
def simulated() -> list[DecisionPoint]:
    return points_of("simulated", 60)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.scene}: {rule.text}")
def test_graded_holds_every_rule(rule):
    finding = next(one for one in check(GRADED) if one.rule == rule)
    assert finding.holds, f"{finding.left:.3f} against {finding.right:.3f}"


@pytest.mark.parametrize(
    "weights",
    [
        RewardWeights(format=0.25),
        RewardWeights(format=0.5, tool_accuracy=1.0, answer_correctness=2.0),
        RewardWeights(partial=0.3),
    ],
)
def test_graded_holds_under_other_weights_too(weights):
    assert [one.rule.text for one in check(load_reward("graded", weights)) if not one.holds] == []


def test_every_case_is_used_and_every_rule_names_one():
    named = {(rule.scene, name) for rule in RULES for name in (rule.left, rule.right) if name}
    assert named == {(scene.name, name) for scene in scenes().values() for name in scene.completions}


def test_published_rewards_fail_where_they_are_known_to():
    broken = {
        name: {one.rule.text for one in check(load_reward(name, RewardWeights())) if not one.holds}
        for name in ("toolrl", "binary", "f1")
    }
    assert "one value wrong > exact and one junk read" in broken["toolrl"]
    assert "exact > True for 1" in broken["toolrl"]
    assert "exact > exact, empty thought" in broken["toolrl"]
    assert "one value wrong > required argument missing" in broken["binary"]
    for name in broken:
        assert "gibberish: near zero" in broken[name]
        assert figures(load_reward(name, RewardWeights()))["bench/failed"] >= len(broken[name]) > 5
    assert figures(GRADED) == {"bench/rules": float(len(RULES)), "bench/failed": 0.0}


def test_a_users_own_reward_goes_through_the_same_bench(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def reward(point, parsed):\n    return float(bool(parsed.calls))\n", encoding="utf-8")
    findings = check(load_reward(str(file), RewardWeights()))
    assert len(findings) == len(RULES)
    assert any(one.holds for one in findings)
    assert not all(one.holds for one in findings)


def test_no_habit_pays_on_the_mix_of_turns(simulated):
    assert 0.3 < call_share(simulated) < 0.5
    found = {gain.policy: gain for gain in gains(simulated, GRADED)}
    assert set(found) == set(POLICIES)
    assert {name: round(gain.tool_part, 3) for name, gain in found.items() if not gain.holds} == {}
    paid = {gain.policy for gain in gains(simulated, load_reward("toolrl", RewardWeights())) if not gain.holds}
    assert "always-call" in paid


def test_a_habit_that_pays_is_seen():
    always = [point for point in points_of("simulated", 10) if point.kind == "call"]
    assert {gain.policy: gain.holds for gain in gains(always, GRADED)}["always-call"] is False
    assert (call_share(always), call_share([])) == (1.0, 0.0)


def test_every_mutation_of_a_hand_written_gold_is_below_it(tiny_conversations):
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    report = check_mutations(points, points, GRADED)
    assert [(one.mutation, one.decision_point_id, one.text[-80:]) for one in report.survivors] == []
    assert set(report.tried) == {
        "value changed",
        "argument dropped",
        "call added",
        "call twice",
        "call withheld",
        "answer of another act",
        "answer with other facts",
    }


def test_mutations_are_the_same_every_time(tiny_conversations):
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    for point in points:
        assert list(mutations(point, points)) == list(mutations(point, points))


def test_a_reward_that_sees_no_difference_lets_mutations_survive(tiny_conversations):
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    survivors = check_mutations(points, points, load_reward("toolrl", RewardWeights())).survivors
    assert {one.mutation for one in survivors} >= {"answer of another act", "answer with other facts"}


def test_mutations_of_simulated_golds(simulated):
    report = check_mutations(simulated[:300], simulated, GRADED)
    assert [(one.mutation, one.decision_point_id, one.text[-80:]) for one in report.survivors] == []


@pytest.mark.slow
@pytest.mark.real
def test_real_golds_policies_and_mutations(shared_data):
    points = points_of("sgd", 150, path=shared_data("sgd"))
    gold = audit(points, GRADED)
    assert max(map(gold.failed_share, gold.checked)) <= 0.02, gold.failures
    assert [gain.policy for gain in gains(points, GRADED) if not gain.holds] == []
    good = [point for point in points if point.id not in gold.barred]
    report = check_mutations(good[:500], good, GRADED)
    assert [(one.mutation, one.decision_point_id, one.text[-80:]) for one in report.survivors] == []


def test_no_other_act_is_tried_where_the_expected_one_is_unknown(simulated):
    answers = [point for point in simulated if point.kind == "answer" and point.expected.acts][:40]
    bare = [point.model_copy(update={"expected": point.expected.model_copy(update={"acts": ()})}) for point in answers]
    known, unknown = check_mutations(answers, simulated, GRADED), check_mutations(bare, simulated, GRADED)
    assert known.tried["answer of another act"] > 20
    assert (known.unknown, unknown.unknown) == (0, len(answers))
    assert "answer of another act" not in unknown.tried
