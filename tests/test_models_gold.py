"""Recorded actions reach the maximal reward, or are listed with the reason they do not."""

from __future__ import annotations

import pytest

from data.decision_points import decision_points
from data.reporting import Silent
from data.schema import Act, Conversation, DecisionPoint, Fact
from data.settings import DataSettings, RewardWeights
from models.rewards.gold import audit
from models.rewards.variants import load_reward

GRADED = load_reward("graded", RewardWeights())


def points_of(conversations: list[Conversation]) -> list[DecisionPoint]:
    return [point for conversation in conversations for point in decision_points(conversation)]


def annotated(points: list[DecisionPoint], **changes: object) -> DecisionPoint:
    """An answer turn whose recorded message is changed."""
    point = next(point for point in points if point.kind == "answer")
    return point.model_copy(update={"expected": point.expected.model_copy(update=changes)})


def test_hand_written_conversations_are_gold(tiny_conversations):
    points = points_of(tiny_conversations)
    result = audit(points, GRADED)
    assert result.failures == ()
    assert sum(result.checked.values()) == len(points)
    assert result.failed_share("call") == result.failed_share("answer") == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {
                "content": "It is cheap.",
                "facts": (Fact(name="price", kind="value", forms=("$45", "45")),),
                "acts": (Act.INFORM,),
            },
            "value price not conveyed: $45 | 45",
        ),
        ({"content": "In town.", "requested": ("city",), "facts": (), "acts": (Act.REQUEST,)}, "does not ask for city"),
        ({"content": "Where to?", "facts": (), "acts": (Act.GOODBYE,)}, "act not done: goodbye; asks although"),
        ({"content": "Fine.", "facts": (), "acts": (Act.REPORT_SUCCESS,)}, "act not done: report_success"),
        ({"content": "zxq vbrt.", "facts": (), "acts": (Act.REPORT_SUCCESS,)}, "is no answer: gibberish"),
        ({"content": "Have a nice 4711.", "facts": (), "acts": (Act.GOODBYE,)}, "value found nowhere: 4711"),
        ({"content": "Well <think> so.", "facts": (), "acts": (Act.GOODBYE,)}, "does not parse: extra_think"),
        ({"content": "", "facts": (), "acts": (Act.GOODBYE,)}, "does not parse: empty"),
    ],
)
def test_gold_below_the_maximum_is_listed_with_its_reason(tiny_conversations, changes, reason):
    points = points_of(tiny_conversations)
    wrong = annotated(points, **{"requested": (), **changes})
    result = audit([*(point for point in points if point.id != wrong.id), wrong], GRADED)
    assert result.barred == {wrong.id}
    assert result.failed == {"call": 0, "answer": 1}
    assert result.failures[0].reason.startswith(reason)


def test_nothing_to_check():
    result = audit([], GRADED)
    assert (result.checked, result.failures, result.failed_share("call")) == ({}, (), 0.0)


def test_weights_only_scale(tiny_conversations):
    points = points_of(tiny_conversations)
    assert (
        audit(points, load_reward("graded", RewardWeights(format=0.1, tool_accuracy=7, answer_correctness=0))).failures
        == ()
    )


@pytest.mark.slow
@pytest.mark.real
def test_real_gold_fails_on_less_than_two_percent_of_each_kind(shared_data):
    from data.sources import get_source

    settings = DataSettings(source="sgd", path=shared_data("sgd"), conversations=200)
    conversations = [
        record for record in get_source("sgd").read(settings, Silent()) if isinstance(record, Conversation)
    ]
    result = audit(points_of(conversations), GRADED)
    assert set(result.checked) == {"call", "answer"}
    assert max(map(result.failed_share, result.checked)) < 0.02, result.failures


def test_simulated_gold_never_fails():
    from data.sources import get_source

    settings = DataSettings(source="simulated", conversations=40)
    conversations = [r for r in get_source("simulated").read(settings, Silent()) if isinstance(r, Conversation)]
    result = audit(points_of(conversations), GRADED)
    assert result.failures == ()
    assert all(result.checked[kind] > 40 for kind in ("call", "answer"))


def test_an_answer_nobody_annotated_is_barred_but_no_fault(tiny_conversations):
    known = annotated(
        points_of(tiny_conversations), content="Rome was founded in 753.", facts=(), acts=(), requested=()
    )
    derived = known.model_copy(update={"expected": known.expected.model_copy(update={"derived": True})})
    assert audit([known], GRADED).failed == {"answer": 1}
    result = audit([derived], GRADED)
    assert (result.failures, result.checked, len(result.unjudged)) == ((), {}, 1)
    assert result.barred == {derived.id}
    asking = annotated([derived], content="Which town?", acts=(Act.REQUEST,))
    assert [(one.derived, one.open) for one in (audit([known], GRADED), result, audit([derived, asking], GRADED))] == [
        (0, 0),
        (1, 1),
        (2, 1),
    ]
    fine = derived.model_copy(
        update={"expected": derived.expected.model_copy(update={"content": "Gladly, I can help."})}
    )
    assert audit([fine], GRADED).checked == {"answer": 1}
