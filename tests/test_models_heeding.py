"""Whether actions follow from what the thought before them announces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd
import pytest

from data.reporting import Silent
from data.schema import Conversation, Message
from data.settings import DataSettings
from data.sources.sgd.source import SOURCE as SGD
from data.sources.simulated import SOURCE as SIMULATED
from models.evaluation.document import ArmRows
from models.evaluation.heeding import Heeding, announced, heeding, same_arguments
from tasks.comparison_pages import ledger_section


@pytest.mark.parametrize(
    ("thought", "expected"),
    [
        ("FindBus needs day=Friday. Nothing is missing, so I call it.", "call"),
        ("FindBus needs day=?. day is missing, so I ask for it.", "question"),
        ("Nothing is missing, but it changes something, so I first ask to confirm all of it.", "question"),
        ("Book changes the records, so I first confirm day=Friday.", "question"),
        ("I ask whether they want that. They do, so I call it.", "call"),
        ("No tool covers this, so I call nothing, say so, and return to what was open.", None),
        ("FindBus returned 3 results. I offer price=4.", None),
        ("What the user asks for is a call to a taxi.", None),
        ("", None),
        (None, None),
        (math.nan, None),
    ],
)
def test_what_a_thought_announces_is_read_from_its_last_words_that_say_so(thought: Any, expected: str | None) -> None:
    assert announced(thought) == expected


@pytest.mark.parametrize(
    ("thought", "calls", "expected"),
    [
        ("FindBus takes day=Friday, to=Oslo. So I call it.", [{"to": "Oslo", "day": "Friday"}], True),
        ("FindBus takes day=Friday. So I call it.", [{"day": "Friday", "class": "first"}], False),
        ("FindBus takes day=Friday, to=Oslo. So I call it.", [{"day": "Friday"}], False),
        ("FindBus takes day=Friday, to=?. So I call it.", [{"day": "Friday"}], True),
        ("FindBus takes day=Friday. FindTaxi takes to=Oslo.", [{"day": "Friday"}, {"to": "Oslo"}], True),
        ("FindBus takes nothing. So I call it.", [{"day": "Friday"}], None),
        ("FindBus takes day=Friday.", [], None),
        (None, [{"day": "Friday"}], None),
    ],
)
def test_a_call_has_the_arguments_that_its_thought_names_or_others(
    thought: Any, calls: list[dict[str, str]], expected: bool | None
) -> None:
    action = json.dumps([{"name": "FindBus", "arguments": one} for one in calls])
    assert same_arguments(thought, action) is expected


def test_what_is_no_call_has_no_arguments_to_compare() -> None:
    assert same_arguments("FindBus takes day=Friday.", "[On Friday?") is None
    assert same_arguments("FindBus takes day=Friday.", "On which day?") is None
    assert same_arguments("FindBus takes day=Friday.", None) is None


def against_their_thoughts(conversations: Iterable[Conversation]) -> tuple[list[Message], dict[str, int]]:
    """Messages whose annotated thought announces another kind of action, and how many announce which."""
    counts = {"call": 0, "question": 0}
    wrong = []
    for conversation in conversations:
        for message in conversation.messages:
            if kind := announced(message.rationale):
                counts[kind] += 1
                calls = json.dumps([{"arguments": call.arguments} for call in message.tool_calls])
                if bool(message.tool_calls) != (kind == "call") or same_arguments(message.rationale, calls) is False:
                    wrong.append(message)
    return wrong, counts


def test_recorded_actions_heed_their_thoughts_in_simulated_conversations() -> None:
    made = SIMULATED.read(DataSettings(source="simulated", conversations=60), Silent())
    wrong, counts = against_their_thoughts(one for one in made if isinstance(one, Conversation))
    assert wrong == []
    assert min(counts.values()) > 20


@pytest.mark.real
def test_recorded_actions_heed_their_thoughts_in_sgd(shared_data: Callable[[str], Any]) -> None:
    read = SGD.read(DataSettings(source="sgd", path=shared_data("sgd"), conversations=20), Silent())
    wrong, counts = against_their_thoughts(one for one in read if isinstance(one, Conversation))
    assert wrong == []
    assert min(counts.values()) > 20


def turns(*rows: tuple[str | None, bool, bool]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["announced", "called", "turn_success"])
    # Of the calls the first names other arguments than its thought, the rest the same.
    same = pd.Series([None if not called else number > 0 for number, called in enumerate(made["called"])], dtype=object)
    return made.assign(
        same_arguments=same,
        split="validation_unseen",
        values=0,
        values_thought_first=0,
        run_id="r",
        decision_point_id="made/1#1",
    )


def test_followed_are_calls_after_call_and_none_after_question() -> None:
    first = turns(("question", False, True), ("question", False, False), ("question", True, False), (None, True, True))
    second = turns(("question", True, True), ("call", True, True))
    found = heeding([first, second, turns((None, False, True))])
    assert found["question"] == Heeding(thoughts=4, followed=2, right=0.5, right_against=0.5)
    assert (found["call"].same, found["call"].named) == (1, 1)
    assert heeding([turns(("call", True, False), ("call", True, True))])["call"].same == 1
    assert (found["call"].thoughts, found["call"].followed, found["call"].right) == (1, 1, 1.0)
    assert math.isnan(found["call"].right_against)
    assert heeding([turns((None, False, True))]) == heeding([]) == {}


def test_turns_on_mixed_tools_have_rows_of_their_own() -> None:
    """Only test splits have them."""
    rows = turns(("question", True, False), ("question", False, True), ("call", True, True))
    mixed = rows.head(1).assign(split="test_mixed")
    page = ledger_section([ArmRows(6, "primed", "primed to think", {0: pd.concat([rows, mixed])})])
    assert "| mixed | question | 0 of 1 |" in page
    assert "| unseen | question | 1 of 2 |" in page
    assert "| mixed | call |" not in page


def test_the_page_has_a_row_for_each_arm_that_thinks() -> None:
    thinker = ArmRows(6, "primed", "primed to think", {0: turns(("question", True, False), ("question", False, True))})
    plain = ArmRows(3, "sft", "SFT", {0: turns((None, True, True))})
    page = ledger_section([plain, thinker])
    assert "| primed to think | 0 | unseen | question | 1 of 2 | 100 % | 0 % | – |" in page
    assert "neither a call nor a question: 0 of 2 (primed to think)." in page
    assert "| SFT |" not in page
    assert ledger_section([plain]) == ""
