"""A bare number tells a fact only where it counts what the fact is about."""

from __future__ import annotations

import pytest

from data.schema import DecisionPoint, Fact, Message, ToolSpec
from data.settings import RewardWeights
from models.evaluation.metrics import judge
from models.rewards.variants import load_reward
from models.speech.parsing import parse_completion
from models.telling import tells

FLIGHTS = ToolSpec(
    name="SearchFlights",
    parameters={
        "type": "object",
        "properties": {
            "passengers": {"type": "integer"},
            "number_checked_bags": {"type": "integer"},
            "seating_class": {"type": "string"},
        },
    },
)
STOPS = Fact(name="number_stops", kind="value", forms=("1",))


def point(*facts: Fact, derived: bool = False) -> DecisionPoint:
    return DecisionPoint(
        id="made/1#1",
        conversation_id="made/1",
        message_index=1,
        source="made",
        split="train",
        domain="Flights",
        kind="answer",
        tool=None,
        tools=(FLIGHTS,),
        history=(
            Message(role="user", content="A flight to Oslo for one passenger"),
            Message(role="tool", content='{"number_stops": 1, "price": 45, "passengers": 1}', tool_call_id="x"),
        ),
        expected=Message(role="assistant", content="It has 1 layover.", facts=facts, derived=derived),
    )


@pytest.mark.parametrize(
    "text",
    [
        "It has 1 layover.",
        "One stop, one passenger.",
        "It makes one stop.",
        "There is 1.",
        "It has 1 economy stop.",
        "It has 1 passenger stop.",
        "With 1 passenger it makes 1 stop.",
    ],
)
def test_it_is_told_by_its_own_number(text):
    assert tells(point(STOPS), STOPS, text)


@pytest.mark.parametrize(
    "text",
    [
        "It has 1 passenger.",
        "It is for one passenger.",
        "It takes 1 checked bag.",
        "One is a flight of Delta.",
        "I found a nice one.",
        "I found this one for you.",
        "It has 2 stops and 1 seat.",
        "No stops.",
    ],
)
def test_it_is_not_told_by_a_number_of_something_else(text):
    assert not tells(point(STOPS), STOPS, text)


def test_its_own_noun_may_be_another_arguments_too():
    seats = Fact(name="passengers", kind="value", forms=("1",))
    for text in ("It is for 1 passenger.", "1 seat is free.", "1 ticket."):
        assert tells(point(seats), seats, text)


@pytest.mark.parametrize(
    "fact",
    [
        Fact(name="count", kind="value", forms=("1",)),  # results are counted in whatever they are
        Fact(name="price", kind="value", forms=("$1", "1")),
    ],
)
def test_counts_of_results_and_prices_have_any_noun(fact):
    assert tells(point(fact), fact, "I found 1 passenger flight for $1.")


def test_facts_that_nobody_named_have_any_noun():
    assert tells(point(STOPS, derived=True), STOPS, "It is for 1 passenger.")


def test_judge_and_reward_read_it_alike():
    at, graded = point(STOPS), load_reward("graded", RewardWeights())
    paid = {}
    for text in ("It has 1 stop on the way.", "It has 1 passenger on board."):
        parsed = parse_completion(text, thinking=False, tools=at.tools)
        score = graded.score(at, text, thinking=False).parts.answer_correctness
        paid[text] = (judge(at, parsed).turn_success, score)
    assert [right for right, _ in paid.values()] == [True, False]
    assert [share for _, share in paid.values()] == [1.0, 0.0]


def test_an_afternoon_in_the_morning_is_no_time():
    leaves = Fact(name="departure_time", kind="value", forms=("6:40 pm", "18:40"))
    for text in ("It leaves at 18:40.", "It leaves at 6:40 pm.", "It leaves at 18:40 pm."):
        assert tells(point(leaves), leaves, text)
    for text in ("It leaves at 18:40 am.", "It leaves at 18:40 a.m."):
        assert not tells(point(leaves), leaves, text)
