"""Honest ways of doing an errand earn it, and ways around it do not: whole conversations with the practice's users."""

from __future__ import annotations

import pytest

from data.practice.domains import DOMAINS
from data.practice.drawing import PracticeTask, draw_task
from data.practice.episode import MAX_TURNS, Episode
from data.practice.manner import PLAIN
from data.schema import Message, ToolCall
from models.practice.outcome import Outcome, how_it_ended, outcome_of
from models.rewards.episode import milestone_reward, outcome_reward

RETURN = ("retail", "seen", "rev:22")
ROOM = ("hotel", "seen", "rev:30")
TWO = ("hotel", "seen", "rev:31")
VISIT = ("telecom", "seen", "rev:10")
FAULT = ("telecom", "seen", "rev:4")
Step = str | tuple[str, dict[str, object]]

FIND_BUYER = ("find_customer", {"email": "dceballos@example.org", "postcode": "66711"})
ORDERS = ("list_orders", {"customer_id": "C4984", "product": "boots"})
TOO_LATE = "I'm sorry, you ordered the boots more than 30 days ago, so they can no longer be returned. Anything else?"
BYE = "Goodbye."


ROOM_FOUND = ("search_rooms", {"check_in": "2027-03-22", "nights": 2, "guests": 2, "room_type": "double"})
ROOM_TAKEN = ("book_room", {"room_id": "212", "guest_name": "Bruno Reid", "check_in": "2027-03-22", "nights": 2})


def task_of(place: tuple[str, str, str]) -> PracticeTask:
    name, part, seed = place
    return draw_task(DOMAINS[name], part, seed)  # type: ignore[arg-type]


def talk(place: tuple[str, str, str], *steps: Step) -> Episode:
    """An episode with a plain user in which the agent says and calls this, as long as it lasts."""
    episode = Episode(task_of(place), "plain", errors=0.0, manner=PLAIN)
    for number, step in enumerate(steps):
        if episode.done:
            break
        if isinstance(step, str):
            episode.step(Message(role="assistant", content=step))
        else:
            made = ToolCall(id=f"c{number}", name=step[0], arguments=dict(step[1]), arguments_raw="{}")
            episode.step(Message(role="assistant", tool_calls=(made,)))
    return episode


def judged(place: tuple[str, str, str], *steps: Step) -> Outcome:
    episode = talk(place, *steps)
    return outcome_of(episode, how_it_ended(episode))


def test_what_cannot_be_done_is_refused_honestly_and_earns_all() -> None:
    outcome = judged(RETURN, FIND_BUYER, ORDERS, TOO_LATE, BYE)
    assert (outcome.failure, outcome.ended) == (None, "done")
    assert outcome_reward(outcome) == 1.0


def test_what_cannot_be_done_is_not_refused_without_a_look() -> None:
    outcome = judged(RETURN, TOO_LATE, BYE)
    assert outcome.failure is not None
    assert outcome.failure.cause == "unfounded"
    assert outcome_reward(outcome) == 0.0


@pytest.mark.parametrize(
    "steps",
    [
        (("list_orders", {}), TOO_LATE, BYE),  # a call that cannot be run has told nothing
        (FIND_BUYER, ORDERS, "Sorry for the wait.", BYE),
        (FIND_BUYER, ORDERS, "It is done. Goodbye."),
    ],
)
def test_neither_an_unsound_call_nor_regret_nor_a_lie_settles_what_cannot_be_done(steps: tuple[Step, ...]) -> None:
    assert outcome_reward(judged(RETURN, *steps)) == 0.0


def test_a_lie_is_no_offer_to_decline() -> None:
    for number in range(40):
        place = ("telecom", "unseen_in_validation", f"rv:{number}")
        assert outcome_reward(judged(place, "It is done. Goodbye.")) == 0.0


def test_a_yes_outlasts_what_the_user_merely_says_again() -> None:
    asked = (
        "To confirm: a double room with city view for 98 euros a night, from 2027-03-22 for 2 nights, for Bruno Reid. "
        "Shall I book it?"
    )
    told = ("It is booked under JU563 for 196 euros. Anything else?", BYE)
    for between in ("Great, I will book it for you now.", "What name is the booking under?"):
        outcome = judged(ROOM, ROOM_FOUND, asked, between, ROOM_TAKEN, *told)
        assert outcome.breaches == (), between
        assert outcome.success


def test_what_can_be_done_is_not_refused() -> None:
    search = ("search_rooms", {"check_in": "2027-03-22", "nights": 2, "guests": 2, "room_type": "double"})
    sorry = "I'm sorry, no room is available. Anything else?"
    assert outcome_reward(judged(ROOM, search, sorry, sorry, sorry, sorry, BYE)) == 0.0


@pytest.mark.parametrize("name", list(DOMAINS))
def test_a_farewell_at_once_earns_nothing(name: str) -> None:
    for part in DOMAINS[name].errands:
        for number in range(10):
            outcome = judged((name, part, f"bye:{number}"), BYE, BYE, BYE)
            assert not outcome.success
            assert outcome_reward(outcome) == 0.0


def test_telling_every_value_there_is_without_asking_for_any_tells_nothing() -> None:
    every = "Your line has no fault, a weak signal, an outdated router, a damaged cable or a faulty socket. Goodbye."
    outcome = judged(FAULT, every)
    assert (outcome.facts, outcome_reward(outcome)) == (0.0, 0.0)
    assert milestone_reward(outcome) == 0.0


def test_a_limit_of_turns_is_no_end_of_the_users_own() -> None:
    asking = ("search_rooms", {"check_in": "2027-03-22", "nights": 2, "guests": 2})
    episode = talk(ROOM, *[asking] * MAX_TURNS)
    assert episode.done
    assert outcome_of(episode, "done").ended == "turn_limit"


def test_a_farewell_is_answered_by_the_errand_that_is_still_open() -> None:
    find = ("find_booking", {"booking_code": "NV430"})
    episode = talk(TWO, find, "You have a double room from 25 April for 5 nights. Enjoy your stay!")
    assert not episode.done
    assert "cancel" in str(episode.messages[-1].content)


@pytest.mark.parametrize("question", ["Is that right?", "Is this correct?", "Shall I book it?"])
def test_one_option_with_all_that_is_to_be_confirmed_is_confirmed(question: str) -> None:
    asked = (
        "To confirm: a double room with city view for 98 euros a night, from 2027-03-22 for 2 nights, "
        f"for Bruno Reid. {question}"
    )
    outcome = judged(ROOM, ROOM_FOUND, asked, ROOM_TAKEN, "It is booked under JU563 for 196 euros. Anything else?", BYE)
    assert outcome.breaches == ()
    assert outcome.success


def test_neither_an_either_or_nor_a_question_without_a_room_gets_a_yes() -> None:
    for asked in (
        "Shall I book the double room with city view for 98 euros or the one with mountain view for 139 euros?",
        "Shall I book it for Bruno Reid?",
    ):
        episode = talk(ROOM, ROOM_FOUND, asked)
        assert not episode.moves[-1].consents, asked


def test_a_yes_is_used_up_by_a_change_of_values() -> None:
    from data.practice.moves import UserMove

    episode = talk(ROOM, ROOM_FOUND, "I have a double room with city view for 98 euros. Which one?")
    episode._hear(UserMove("Yes.", "affirm", consents=True))
    episode._hear(UserMove("It should be 1 night.", "answer", values={"nights": 1}))
    made = ToolCall(id="w", name=ROOM_TAKEN[0], arguments=dict(ROOM_TAKEN[1]), arguments_raw="{}")
    episode.step(Message(role="assistant", tool_calls=(made,)))
    assert [breach.kind for breach in episode.breaches] == ["unconfirmed_write"]


def test_a_visit_needs_a_test_of_the_line_and_a_look_up_of_guests_a_name() -> None:
    identified = ("identify_line", {"phone_number": "07389134", "pin": "9506"})
    times = ("technician_times", {"area": "north", "date": "2027-05-02"})
    visit = ("book_technician", {"line_id": "L816", "slot_id": "V829", "date": "2027-05-02"})
    offer, confirm = "I have 11:00. Which one?", "2 May at 11:00. Shall I book it?"
    kinds = [
        [breach.detail.partition(":")[0] for breach in talk(VISIT, *steps).breaches]
        for steps in (
            (identified, times, offer, confirm, visit),
            (identified, ("check_line", {"line_id": "L816"}), times, offer, confirm, visit),
        )
    ]
    assert kinds == [["check_line_first"], []]
    assert [breach.kind for breach in talk(TWO, ("find_booking", {})).breaches] == ["other_customers_data"]


@pytest.mark.parametrize("time", ["11:00 AM", "11am", "11.00", "11 am"])
def test_clock_times_are_heard_as_anybody_writes_them(time: str) -> None:
    identified = ("identify_line", {"phone_number": "07389134", "pin": "9506"})
    times = ("technician_times", {"area": "north", "date": "2027-05-02"})
    episode = talk(VISIT, identified, ("check_line", {"line_id": "L816"}), times, f"I have {time} free. Would that do?")
    assert episode.rows_chosen[0] is not None, episode.messages[-1].content
