"""Which values of an answer are backed up by what the agent has seen, by hand-written cases and on real answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Conversation, Message, ToolCall, ToolSpec
from models.mentions import mentions
from models.rewards.grounding import ungrounded_arguments, ungrounded_values

RESULT = {
    "results": [
        {"name": "Blue Moon Diner", "city": "Oakland", "price": "12.50", "rating": "4.46", "phone": "415-495-2900"},
        {"name": "Casa Azul", "city": "Berkeley", "date": "2019-03-08", "time": "17:30", "ref": "AB-77X"},
    ],
    "total": 10,
}
HISTORY = (
    Message(role="system", content="Today is Friday, 2019-03-01."),
    Message(
        role="user", content="A table for two next Wednesday at half past six in the evening, my budget is $1,200."
    ),
    Message(role="tool", tool_call_id="call_1", content=json.dumps(RESULT)),
)
GROUNDED = [
    "I found 10 places. How about Blue Moon Diner in Oakland?",
    "The Blue Moon diner's rating is 4.5 and it costs $12.50.",
    "A table for 2 people on March 6th at 6:30 pm, right?",
    "That is for two people at 18:30, next Wednesday.",
    "It starts at 5:30 pm on Friday, the 8th of March.",
    "Call +1 415 495 2900 or (415) 495-2900.",
    "Your reference is AB77X. Enjoy!",
    "Your budget is 1200 dollars.",
    "These are the two results.",
    "Sure! Which city? For example Paris, Rome or somewhere else?",
]
UNGROUNDED = [
    ("Your reference is APPT1234.", ("appt1234",)),
    ("It costs $13.50.", ("13.5",)),
    ("A table for five people.", ("5",)),
    ("Booked for March 9th at 6:30 pm.", ("03-09",)),
    ("Booked for 6:30 am.", ("06:30",)),
    ("See you there at 7:15.", ("07:15",)),
    ("It is next to Taco Palace in Oakland.", ("taco palace",)),
    ("Call 415-495-2901.", ("4154952901",)),
    ("I found thirteen, and it costs one hundred twenty five dollars.", ("13", "125")),
]


@pytest.mark.parametrize("answer", GROUNDED)
def test_what_was_seen_is_grounded_in_any_spelling(answer: str) -> None:
    assert ungrounded_values(HISTORY, answer) == ()


@pytest.mark.parametrize(("answer", "values"), UNGROUNDED)
def test_what_was_never_seen_is_named(answer: str, values: tuple[str, ...]) -> None:
    assert ungrounded_values(HISTORY, answer) == values


def test_values_that_the_tools_themselves_list_are_grounded() -> None:
    seating = {"type": "string", "enum": ["Economy", "Business"], "default": "Economy"}
    tool = ToolSpec(name="Fly", parameters={"type": "object", "properties": {"seat": seating}})
    assert ungrounded_values(HISTORY, "Do you want Economy or Business?") == ("economy", "business")
    assert ungrounded_values(HISTORY, "Do you want Economy or Business?", (tool,)) == ()


def test_arguments_of_a_call_are_checked_by_value_not_by_name() -> None:
    arguments = {"city": "Oakland", "guests": 2, "time": "18:30", "name": "Taco Palace", "vegan": True, "ids": [10, 99]}
    call = ToolCall(id="call_1", name="Book", arguments=arguments, arguments_raw=json.dumps(arguments))
    assert ungrounded_arguments(HISTORY, call) == ("name", "ids")


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("half past five", "05:30"),
        ("a quarter to 6 in the evening", "17:45"),
        ("evening 5:30", "17:30"),
        ("5 o'clock in the afternoon", "17:00"),
        ("one thousand one hundred and ninety", "1190"),
        ("the 8th of march", "03-08"),
        ("2019-3-8", "03-08"),
        ("noon", "12:00"),
        ("midnight", "00:00"),
        ("12:15 am", "00:15"),
    ],
)
def test_each_value_has_one_spelling(text: str, spelling: str) -> None:
    assert [one.spelling for one in mentions(text)] == [spelling]


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    assert all(isinstance(value, str) for value in ungrounded_values(HISTORY, text))
    ungrounded_values((Message(role="user", content=text), Message(role="tool", content=text)), text)


@given(st.text(max_size=200))
def test_a_text_grounds_itself(text: str) -> None:
    assert ungrounded_values((Message(role="user", content=text),), text) == ()


@pytest.mark.parametrize("piece", ["such as Paris other ", "Aa ", "12:", "one hundred ", "(1) ", "1-2", "half past "])
def test_endless_answers_are_read_in_time(piece: str) -> None:
    started = time.perf_counter()
    ungrounded_values(HISTORY, piece * 20_000)
    assert time.perf_counter() - started < 5


@pytest.mark.real
def test_recorded_answers_are_seldom_accused(shared_data: Callable[[str], Path]) -> None:
    from data.decision_points import decision_points
    from data.reporting import Silent
    from data.settings import DataSettings
    from data.sources import get_source

    settings = DataSettings(source="sgd", path=shared_data("sgd"), conversations=60)
    found = (one for one in get_source("sgd").read(settings, Silent()) if isinstance(one, Conversation))
    answers = [point for one in islice(found, 60) for point in decision_points(one) if point.kind == "answer"]
    started = time.perf_counter()
    accused = [
        point for point in answers if ungrounded_values(point.history, point.expected.content or "", point.tools)
    ]
    seconds = time.perf_counter() - started
    assert len(answers) > 400
    assert len(accused) / len(answers) < 0.02
    assert len(answers) / seconds * 60 > 10_000  # 59,000 measured; a busy machine may be slow
