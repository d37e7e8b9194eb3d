"""Whether a text conveys a fact, in whatever words."""

from __future__ import annotations

import pytest

from data.schema import Fact
from models.facts import conveys
from models.mentions import mentions, value_of


def value(*forms: str) -> Fact:
    return Fact(name="slot", kind="value", forms=forms)


def yes_or_no(right: bool, name: str = "dogs_allowed") -> Fact:
    return Fact(name=name, kind="boolean", forms=(str(right),))


@pytest.mark.parametrize(
    ("forms", "said", "otherwise"),
    [
        (
            ("7:30 pm", "19:30"),
            ["half past seven in the evening", "7.30 pm", "7:30 in the evening", "19:30h"],
            ["7:30 am", "quarter past seven in the evening", "19:31h"],
        ),
        (("$25",), ["twenty-five dollars", "$25.0", "25USD", "25 usd"], ["$25.5", "2500", "five dollars"]),
        (("12 pm", "12:00"), ["noon on March 8th", "12 pm on March 8"], ["midnight"]),
        (("March 8th", "2019-03-08"), ["the 8th of March", "3/8", "2019-03-08"], ["March 9th", "2020-03-08"]),
        (("13",), ["thirteen"], ["thirty", "3"]),
        (("4",), ["4.0 stars", "four"], ["4:30", "forty", "14"]),
        (("4.0",), ["4", "four stars"], ["4.5"]),
        (("415-555-0100",), ["415.555.0100", "4155550100", "(415) 555-0100"], ["4155550101"]),
        (("15%",), ["15 percent"], ["15 dollars"]),
        (("Hotel 7",), ["at Hotel seven"], ["7", "at seven"]),
        (("B-12",), ["code B-12"], ["12"]),
    ],
)
def test_a_value_is_told_in_any_spelling_and_by_no_other_value(forms, said, otherwise):
    for words in said:
        assert conveys(value(*forms), f"It is {words}, as you asked."), words
    for words in otherwise:
        assert not conveys(value(*forms), f"It is {words}, as you asked."), words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Dogs are allowed.", True),
        ("Dogs are allowed at no extra charge.", True),
        ("Dogs are not only allowed but welcome.", True),
        ("Dogs are not allowed.", False),
        ("Dogs are banned there.", False),
        ("Dogs are prohibited, but it is free.", False),
        ("I do not know whether dogs are allowed.", None),
        ("I am not sure about dogs.", None),
        ("Shall I ask about dogs?", None),
        ("I have no information on dogs.", None),
    ],
)
def test_what_is_not_known_says_neither_yes_nor_no(text, says):
    assert [conveys(yes_or_no(right), text) for right in (True, False)] == [says is True, says is False]


@pytest.mark.parametrize("text", ["It lacks wifi.", "Wifi is missing.", "There is no wifi."])
def test_what_is_lacking_is_denied(text):
    assert conveys(yes_or_no(False, "has_wifi"), text)


def test_of_a_charge_no_charge_denies():
    assert conveys(yes_or_no(False, "extra_charge"), "There is no extra charge.")


def test_a_number_with_its_currency_is_no_code():
    assert [(one.kind, one.spelling) for one in mentions("It costs 25USD, code X25")] == [
        ("number", "25"),
        ("code", "x25"),
    ]


@pytest.mark.parametrize(("text", "kind"), [("$25", "number"), ("8th of march", "date"), ("7:30 pm", "time")])
def test_a_form_may_be_one_value(text, kind):
    found = value_of(text)
    assert found is not None
    assert found.kind == kind


@pytest.mark.parametrize("text", ["", "7 or 8", "hotel 7", "seven dwarfs"])
def test_or_none(text):
    assert value_of(text) is None
