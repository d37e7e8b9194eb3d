"""The order in which GRPO practises: conversations by turns, a few decision points of each, calls and answers mixed."""

from collections import Counter
from statistics import median

import pytest

from data.decision_points import decision_points
from data.reporting import Silent
from data.schema import DecisionPoint
from data.settings import DataSettings, GRPOSettings
from data.sources import get_source
from models.random_model import make_qwen3
from models.speech.template import CHAT_TEMPLATE, prompt_text
from models.training.prompts import fitting_prompts, in_order, practice


def offered():
    found = get_source("simulated").read(DataSettings(conversations=40), Silent())
    return [point for conversation in found for point in decision_points(conversation)]


def test_a_conversation_gives_a_few_points_at_a_time_and_comes_again():
    order = in_order(offered(), GRPOSettings(points_per_conversation=4), seed=0)
    runs = [order[0].conversation_id]
    lengths = [0]
    for point in order:
        if point.conversation_id != runs[-1]:
            runs.append(point.conversation_id)
            lengths.append(0)
        lengths[-1] += 1
    assert max(lengths) <= 4
    first = runs[: len(set(runs))]
    assert len(set(first)) == len(first)  # nobody twice before everybody once
    assert len({point.id for point in order}) == len(order)


def test_calls_and_answers_are_mixed_within_a_conversation():
    order = in_order(offered(), GRPOSettings(points_per_conversation=4, call_share=0.5), seed=0)
    steps = [order[start : start + 4] for start in range(0, 80, 4)]
    shares = [sum(point.kind == "call" for point in step) / 4 for step in steps]
    assert sum(shares) / len(shares) > 0.35
    assert Counter(0 < share < 1 for share in shares)[True] > 15


@pytest.mark.parametrize("share", [0.25, 0.35, 0.5, 0.6])
@pytest.mark.parametrize("in_a_row", [1, 2, 4])
def test_the_share_of_calls_holds_from_the_first_steps_on(share, in_a_row):
    """However few of a conversation come at a time, and in the short run that never sees one twice."""
    order = in_order(offered(), GRPOSettings(points_per_conversation=in_a_row, call_share=share), seed=0)
    calls = [point.kind == "call" for point in order]
    for start in range(0, 33, 8):
        assert abs(sum(calls[start : start + 8]) / 8 - share) <= 0.25
    first_round = 40 * in_a_row if in_a_row < 4 else 80
    assert sum(calls[:first_round]) / first_round == pytest.approx(share, abs=0.05)
    assert sum(calls) / len(calls) == pytest.approx(share, abs=0.05)


def test_prompts_that_are_too_long_are_left_out_before_the_share_of_calls_is_kept(tmp_path):
    """Of what is left after half of the turns, the late ones, are too long, as many are calls as was asked."""
    tokenizer = make_qwen3()[1]
    tokenizer.chat_template = CHAT_TEMPLATE
    points = offered()
    prompts = {point.id: prompt_text(tokenizer, point.history, point.tools, thinking=True) for point in points}
    lengths = {name: len(tokenizer(text)["input_ids"]) for name, text in prompts.items()}
    longest = int(median(lengths.values()))
    settings = GRPOSettings(max_length=longest + 64, max_completion_length=64, call_share=0.35)

    fitting = fitting_prompts(tokenizer, points, settings, Silent())

    assert fitting == {name: text for name, text in prompts.items() if lengths[name] <= longest}
    chosen = practice([point for point in points if point.id in fitting], settings, 0, tmp_path)
    assert {point.id for point in chosen.points} <= fitting.keys()
    assert sum(point.kind == "call" for point in chosen.points) / len(chosen.points) == pytest.approx(0.35, abs=0.05)


def test_the_seed_decides_and_the_order_of_the_offer_does_not():
    points = offered()
    settings = GRPOSettings()
    names = [point.id for point in in_order(points, settings, seed=1)]
    assert names == [point.id for point in in_order(points[::-1], settings, seed=1)]
    assert names != [point.id for point in in_order(points, settings, seed=2)]


def test_a_conversation_with_one_call_gives_its_answer_too():
    points = [point for point in offered() if point.kind == "answer"]
    calls = {point.conversation_id: point for point in offered() if point.kind == "call"}
    order = in_order([*points, *calls.values()], GRPOSettings(call_share=0.5), seed=0)
    assert Counter(point.kind for point in order) == {"call": len(calls), "answer": len(calls)}


def singles(kind: str, many: int) -> list[DecisionPoint]:
    """Conversations of one turn each."""
    points = [point for point in offered() if point.kind == kind]
    return [
        points[number % len(points)].model_copy(
            update={"id": f"{kind}{number}#1", "conversation_id": f"{kind}{number}"}
        )
        for number in range(many)
    ]


def together(calls: int, answers: int, name: str = "both") -> list[DecisionPoint]:
    """One conversation with so many turns of each kind."""
    turns = [*singles("call", calls), *singles("answer", answers)]
    return [
        point.model_copy(update={"id": f"{name}#{place}", "conversation_id": name}) for place, point in enumerate(turns)
    ]


SINGLE_CALLS, SINGLE_ANSWERS = singles("call", 200), singles("answer", 800)
FEW_OF_BOTH = [point for number in range(100) for point in together(1, 9, f"both{number}")]


@pytest.mark.parametrize(
    ("points", "kept", "calls"),
    [
        ([*SINGLE_CALLS, *SINGLE_ANSWERS], 400, 200),  # conversations of one turn each, as single-turn logs have
        ([*SINGLE_CALLS, *SINGLE_ANSWERS, *together(1, 1)], 402, 201),
        (SINGLE_CALLS, 200, 200),
        ([*SINGLE_CALLS, *together(1, 1)], 202, 201),  # the share would leave two turns
        ([*SINGLE_CALLS, *FEW_OF_BOTH], 600, 300),  # they meet the answers that others have too many of
    ],
)
def test_the_share_of_calls_is_kept_whatever_conversations_hold_unless_hardly_anything_were_left(
    points: list[DecisionPoint], kept: int, calls: int
) -> None:
    order = in_order(points, GRPOSettings(call_share=0.5, points_per_conversation=4), seed=0)
    assert len({point.id for point in order}) == len(order)
    assert (len(order), sum(point.kind == "call" for point in order)) == (pytest.approx(kept, abs=2), calls)
    if calls < 0.6 * kept:
        for start in range(0, 200, 50):
            assert sum(point.kind == "call" for point in order[start : start + 50]) == pytest.approx(25, abs=8)


def test_what_is_left_where_the_other_kind_rests_is_mixed_across_conversations():
    points = offered()
    names = sorted({point.conversation_id for point in points})
    rest = {name: ("call", "answer")[number % 2] for number, name in enumerate(names) if number >= 10}
    left = [point for point in points if point.kind != rest.get(point.conversation_id)]
    order = in_order(left, GRPOSettings(call_share=0.5), seed=0)
    assert {point.conversation_id for point in order} & rest.keys()
    share = sum(point.kind == "call" for point in order) / len(order)
    assert 0.4 < share < 0.6
    assert len({point.id for point in order}) == len(order)


def test_one_kind_alone_is_used_as_it_is():
    calls = [point for point in offered() if point.kind == "call"]
    assert {point.id for point in in_order(calls, GRPOSettings(), seed=0)} == {point.id for point in calls}
