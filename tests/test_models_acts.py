"""The kind of act that a text's wording shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Act
from models.rewards.acts import acts_of

CASES = [
    ("What time would you like to leave?", {Act.REQUEST}),
    ("Number of seats?", {Act.REQUEST}),
    ("How about Casa Azul in Berkeley?", {Act.OFFER}),
    ("There is a nice place called Casa Azul.", {Act.OFFER}),
    ("Please confirm: a table for 2 at 7 pm.", {Act.CONFIRM}),
    ("You want 2 tickets for March 3rd. Is that correct?", {Act.CONFIRM}),
    ("Would you like me to book a table there?", {Act.OFFER_INTENT}),
    ("Your table has been booked.", {Act.REPORT_SUCCESS}),
    ("Done, your table is reserved. Anything else I can help you with?", {Act.REPORT_SUCCESS, Act.REQUEST_MORE}),
    ("Sorry, I could not book that. Can I help you with anything else?", {Act.REPORT_FAILURE, Act.REQUEST_MORE}),
    ("Is there anything else you need?", {Act.REQUEST_MORE}),
    ("Have a great day!", {Act.GOODBYE}),
    ("The rent is 950 dollars a month.", {Act.INFORM}),
    ("", set()),
]


@pytest.mark.parametrize(("text", "acts"), CASES)
def test_each_act_is_told_by_its_wording(text: str, acts: set[Act]) -> None:
    assert acts_of(text) == acts


@given(st.text(max_size=300))
def test_any_text_has_a_set_of_acts(text: str) -> None:
    assert acts_of(text) <= set(Act)


def test_long_texts_are_read_in_time_that_grows_with_their_length() -> None:
    import time

    started = time.perf_counter()
    acts_of("would you like more of that and " * 3_000)
    acts_of("a" * 100_000 + " is " * 10_000)
    assert time.perf_counter() - started < 5
