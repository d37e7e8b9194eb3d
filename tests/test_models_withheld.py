"""Practice in asking: call turns with a required value taken out of what the user said."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

from data.decision_points import decision_points
from data.pass_rates import content_digest
from data.reporting import Silent
from data.schema import Conversation, DecisionPoint, Message, ToolCall, ToolSpec
from data.settings import DataSettings, GRPOSettings
from data.sources import get_source
from models.evaluation.metrics import Judgement
from models.evaluation.rejudge import judged_again
from models.evaluation.variants import WITHHELD, without_required_information
from models.rewards.gold import audit
from models.rewards.variants import load_reward
from models.speech.template import completion_text
from models.training.prompts import in_order
from models.training.withheld import INSTEAD, MARK, as_practised, is_withheld, recorded_ids, withheld_turns

REWARD = load_reward("graded", GRPOSettings().weights)


@pytest.fixture(scope="module")
def points() -> list[DecisionPoint]:
    found = get_source("simulated").read(DataSettings(conversations=60), Silent())
    return [point for one in found if isinstance(one, Conversation) for point in decision_points(one)]


def test_asking_earns_all_there_is_and_the_recorded_call_nothing_for_its_action(points: list[DecisionPoint]) -> None:
    by_id = {point.id: point for point in points}
    made = withheld_turns(points)
    assert len(made) > 20
    for turn in made:
        recorded = by_id[turn.id.removesuffix(MARK)]
        asking, calling = (completion_text(one.expected, "So I act.") for one in (turn, recorded))
        assert REWARD.total(REWARD.score(turn, asking, thinking=True).parts) == REWARD.maximum(turn)
        assert REWARD.score(turn, calling, thinking=True).parts.tool_accuracy < 0
        assert REWARD.score(turn, calling, thinking=True).parts.answer_correctness == 0
    assert not audit(made, REWARD).barred


def test_the_user_says_something_else_than_in_evaluations(points: list[DecisionPoint]) -> None:
    for turn in withheld_turns(points):
        said = " ".join(message.content or "" for message in turn.history if message.role == "user")
        assert sum(words in said for words in INSTEAD) == 1
        assert WITHHELD not in said
    assert WITHHELD not in INSTEAD


def test_what_cannot_be_asked_about_is_no_turn_of_practice(points: list[DecisionPoint]) -> None:
    left = [point for point in points if without_required_information(point) is None]
    assert {point.kind for point in left} == {"answer", "call"}
    assert withheld_turns(left) == []


def test_turns_of_practice_are_made_again_from_their_ids(points: list[DecisionPoint]) -> None:
    made = withheld_turns(points)
    practised = {point.id: point for point in [*points[:5], *made]}
    assert len(practised) == 5 + len(made), "a turn with a value withheld is none of the recorded ones"
    wanted = set(practised)
    recorded = {point.id: point for point in points if point.id in recorded_ids(wanted)}
    again = as_practised(recorded, wanted)
    assert {name: content_digest(point) for name, point in again.items()} == {
        name: content_digest(point) for name, point in practised.items()
    }
    lost = as_practised({}, wanted)
    assert lost == {}


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_they_come_as_often_as_was_asked_and_calls_stay_what_they_were(
    points: list[DecisionPoint], share: float
) -> None:
    made = withheld_turns(points)
    homes = {point.conversation_id for point in made}
    offered = [point for point in [*points, *made] if point.conversation_id in homes]
    settings = GRPOSettings(call_share=0.3, withheld_share=share, points_per_conversation=4)
    order = in_order(offered, settings, seed=0)
    counts = Counter("withheld" if is_withheld(point) else point.kind for point in order)
    assert counts["withheld"] / len(order) == pytest.approx(share, abs=0.06)
    assert counts["call"] / len(order) == pytest.approx(0.3, abs=0.06)
    assert len({point.id for point in order}) == len(order)


def test_some_recorded_answers_must_be_left() -> None:
    with pytest.raises(ValueError, match="no recorded answer turns"):
        GRPOSettings(call_share=0.5, withheld_share=0.5)


def call_turn(*said: tuple[str, str]) -> DecisionPoint:
    amount = {"type": "object", "properties": {"amount": {"type": "string"}}, "required": ["amount"]}
    call = ToolCall(id="c", name="Send", arguments={"amount": "1400"}, arguments_raw='{"amount": "1400"}')
    return DecisionPoint(
        id="made/1#1",
        conversation_id="made/1",
        message_index=len(said),
        source="made",
        split="validation_seen",
        domain="Banks",
        kind="call",
        tool="Send",
        tools=(ToolSpec(name="Send", parameters=amount),),
        history=tuple(Message(role=role, content=text) for role, text in said),  # type: ignore[arg-type]
        expected=Message(role="assistant", tool_calls=(call,)),
    )


def withholding(*said: tuple[str, str]) -> DecisionPoint | None:
    return without_required_information(call_turn(*said))


def test_a_value_that_stands_there_in_another_spelling_is_not_withheld() -> None:
    """The agent has repeated it, or the user has said it twice: who reads may call, and asking again would be wrong."""
    assert withholding(("user", "Send 1400 to Yumi")) is not None
    told = ("assistant", "I will transfer $1,400 to Yumi, is that right?")
    assert withholding(("user", "Send 1400 to Yumi"), told, ("user", "Yes")) is None
    assert withholding(("user", "Send 1400 to Yumi, that is 1,400.00 dollars")) is None


def test_rows_of_values_that_were_not_withheld_after_all_are_left_out() -> None:
    points = {
        "made/1#1": call_turn(("user", "Send 1400 to Yumi")),
        "made/2#1": call_turn(("user", "Send 1400, so $1,400")),
    }
    said = {"variant": "withheld", "text": "Could you tell me the amount?", "thinking": False, "truncated": False}
    verdict = dict.fromkeys(Judgement.__dataclass_fields__, False)
    rows = pd.DataFrame([{"decision_point_id": name, **said, **verdict} for name in points])
    found = judged_again(rows, points)
    assert found["decision_point_id"].tolist() == ["made/1#1"]
    assert found["turn_success"].tolist() == [True]
