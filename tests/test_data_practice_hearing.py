"""What users make of agents' free text: of the oracle's wording and of any other."""

from __future__ import annotations

from typing import Any

import pytest

from data.practice.domains import DOMAINS
from data.practice.hearing import hear
from data.practice.offers import mentioned_rows
from data.practice.spellings import plain

ROOMS = (
    {"room_id": "101", "room_type": "double", "view": "sea", "price": 95},
    {"room_id": "102", "room_type": "twin", "view": "city", "price": 110},
)


def test_a_price_within_an_offer_is_not_the_number_of_another_room() -> None:
    rooms = (
        {"room_id": "312", "room_type": "double", "view": "city", "price": 105},
        {"room_id": "105", "room_type": "twin", "view": "city", "price": 120},
    )
    hotel = DOMAINS["hotel"]
    task = hotel.tasks["book_room"]
    said = plain("I have a double room with city view for 105 euros.")
    assert [row["room_id"] for row in mentioned_rows(said, rooms, hotel, task)] == ["312"]


@pytest.mark.parametrize(
    ("task", "text", "heard"),
    [
        (
            "book_room",
            "I'm sorry to hear that. Shall I book the double room for 95 euros?",
            {"confirms": True, "asks": set()},
        ),
        ("cancel_booking", "I'll take care of that for you.", {"goodbye": False}),
        ("cancel_booking", "I see you would like to cancel a booking.", {"goodbye": False}),
        ("cancel_booking", "Take care, see you soon!", {"goodbye": True}),
        (
            "book_room",
            "Could you share your arrival date and how long you'll be staying?",
            {"asks": {"check_in", "nights"}},
        ),
        (
            "book_room",
            "I'll need a few details:\n- Check-in date\n- Number of guests\nCould you share those?",
            {"asks": {"check_in", "guests"}},
        ),
        ("book_room", "May I know your full name for the reservation?", {"asks": {"guest_name"}}),
        ("book_room", "Is breakfast to be included?", {"asks": {"breakfast"}}),
        (
            "book_room",
            "Option 1: a twin, city view, 110 euros. Option 2: a double, sea view, 95 euros. Which one?",
            {"options": ["102", "101"]},
        ),
        (
            "book_room",
            "I found a double room (sea view) for €95/night. Shall I book it for you?",
            {"confirms": True, "options": ["101"]},
        ),
        ("book_room", "I'll book the double room for 95 euros, okay?", {"confirms": True}),
        (
            "book_room",
            "Your reservation is confirmed! Anything else?",
            {"claims_done": True, "more": True, "confirms": False},
        ),
        (
            "book_room",
            "No rooms are available then. Would you like to try different dates?",
            {"failed": True, "asks": {"check_in"}},
        ),
        ("cancel_booking", "Are you sure you would like to cancel booking AB123?", {"confirms": True}),
        ("cancel_booking", "Please confirm that you want to cancel booking AB123.", {"confirms": True}),
        (
            "cancel_booking",
            "I couldn't find a booking under that code. Can you double-check it?",
            {"failed": True, "asks": {"booking_code"}},
        ),
        ("cancel_booking", "Thank you for calling. Have a great day!", {"goodbye": True}),
        ("order_service", "What time would you like the wake-up call?", {"asks": {"time"}}),
        ("order_service", "Let me check that for you.", {"please_wait": True, "question": False}),
    ],
)
def test_users_understand_agents_that_speak_unlike_the_oracle(task: str, text: str, heard: dict[str, Any]):
    domain = DOMAINS["hotel"]
    found = hear(text, domain, domain.tasks[task], ROOMS if task == "book_room" else ())
    for name, wanted in heard.items():
        value: Any = getattr(found, name)
        if name == "asks":
            value = set(value)
        elif name == "options":
            value = [row["room_id"] for row in value]
        assert value == wanted, (name, found)


def test_offers_are_heard_in_the_order_they_are_made():
    domain = DOMAINS["hotel"]
    task = domain.tasks["book_room"]
    rows = [
        {"room_id": "101", "room_type": "double", "view": "sea", "price": 95},
        {"room_id": "102", "room_type": "double", "view": "city", "price": 95},
        {"room_id": "103", "room_type": "twin", "view": "sea", "price": 120},
    ]
    said = plain("There is a twin with sea view for 120 euros, or a double with city view for 95.")
    assert [row["room_id"] for row in mentioned_rows(said, rows, domain, task)] == ["103", "102"]
    assert mentioned_rows(plain("How many nights?"), rows, domain, task) == []
