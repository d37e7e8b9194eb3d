"""The practice domain: its world really executes, its declarations fit, its oracle does what the user wants."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from random import Random

import pytest

from data.practice import language
from data.practice.domains.hotel import HOTEL
from data.practice.domains.hotel.vocabulary import FACILITIES
from data.practice.drawing import draw_task
from data.practice.episode import MAX_TURNS, Episode
from data.practice.gold import play_oracle
from data.practice.world import World

TODAY = date(2026, 3, 6)
STAY = {"check_in": "2026-05-20", "nights": 2}
TABLES = {"book_room": "bookings", "spa_book": "treatment_bookings", "shuttle_book": "shuttle_bookings"}
PARTS = ("seen", "unseen_in_validation", "unseen_in_test", "mixed")


def world(seed: int = 1) -> World:
    return World(HOTEL, Random(seed), TODAY)


@pytest.fixture(scope="module")
def played() -> list[Episode]:
    return [
        play_oracle(draw_task(HOTEL, part, f"test:{number}"), number, errors=0.0)
        for part in PARTS
        for number in range(80)
    ]


def calls_with_results(episode: Episode) -> list[tuple[str, dict, dict]]:
    results = {m.tool_call_id: json.loads(m.content or "") for m in episode.messages if m.role == "tool"}
    return [(c.name, c.arguments, results[c.id]) for m in episode.messages for c in m.tool_calls]


def test_equal_seeds_build_equal_worlds_and_others_differ():
    assert world(1).digest() == world(1).digest() != world(2).digest()


def test_look_ups_leave_the_world_as_it_was():
    hotel = world()
    before = hotel.digest()
    arguments = {
        "search_rooms": {**STAY, "guests": 2},
        "find_booking": {"guest_name": "Nobody"},
        "hotel_info": {"facility": "pool"},
        "spa_search": {"treatment": "massage", "date": "2026-03-07"},
        "shuttle_search": {"direction": "to the airport", "date": "2026-03-07", "passengers": 1},
    }
    assert set(arguments) == {name for name, tool in HOTEL.tools.items() if not tool.spec.is_write}
    for name, given in arguments.items():
        result = hotel.execute(name, given, 2)
        assert len(result["results"]) <= 2
        assert result["total"] >= len(result["results"])
    assert hotel.digest() == before


def test_a_booked_room_is_taken_changed_and_freed_again():
    hotel = world()
    room = hotel.execute("search_rooms", {**STAY, "guests": 1}, 50)["results"][0]
    booking = {"room_id": room["room_id"], "guest_name": "Ana Silva", **STAY, "breakfast": True}
    booked = hotel.execute("book_room", booking, 3)
    assert booked["status"] == "booked"
    assert booked["total_price"] == 2 * (room["price"] + 15)
    assert hotel.execute("book_room", booking, 3) == {"error": "room not available"}
    assert room not in hotel.execute("search_rooms", {**STAY, "guests": 1}, 50)["results"]

    code = {"booking_code": booked["booking_code"]}
    changed = hotel.execute("change_booking", {**code, "nights": 3}, 3)
    assert changed["total_price"] == 3 * (room["price"] + 15)
    assert hotel.execute("find_booking", code, 3)["results"][0]["nights"] == 3

    assert hotel.execute("cancel_booking", code, 3)["fee"] == room["price"]
    assert hotel.execute("find_booking", code, 3) == {"results": [], "total": 0}
    assert hotel.execute("cancel_booking", code, 3) == {"error": "booking not found"}
    assert room in hotel.execute("search_rooms", {**STAY, "guests": 1}, 50)["results"]


def test_a_change_onto_another_guests_stay_fails_and_changes_nothing():
    hotel = world()
    room = hotel.execute("search_rooms", {**STAY, "guests": 1}, 1)["results"][0]["room_id"]
    later = {"check_in": "2026-05-24", "nights": 2}
    mine, theirs = (
        hotel.execute("book_room", {"room_id": room, "guest_name": name, **stay}, 3)["booking_code"]
        for name, stay in (("Ana Silva", STAY), ("Ben Bauer", later))
    )
    before = hotel.digest()
    assert "error" in hotel.execute("change_booking", {"booking_code": mine, "nights": 5}, 3)
    assert "error" in hotel.execute("order_service", {"booking_code": "NO000", "service": "wake-up call"}, 3)
    assert hotel.digest() == before
    assert hotel.execute("change_booking", {"booking_code": theirs, "nights": 1}, 3)["status"] == "changed"


def test_spa_times_and_shuttle_seats_run_out():
    hotel = world()
    day = {"date": "2026-03-07"}
    slot = hotel.execute("spa_search", {"treatment": "massage", **day}, 3)["results"][0]["slot_id"]
    booking = {"slot_id": slot, "guest_name": "Ana Silva", **day}
    assert hotel.execute("spa_book", booking, 3)["status"] == "booked"
    assert hotel.execute("spa_book", booking, 3) == {"error": "slot not available"}

    shuttle = hotel.rows("SELECT * FROM shuttles ORDER BY shuttle_id")[0]
    seats = {"shuttle_id": shuttle["shuttle_id"], "guest_name": "Ana Silva", **day}
    assert hotel.execute("shuttle_book", {**seats, "passengers": shuttle["seats"]}, 3)["status"] == "booked"
    assert hotel.execute("shuttle_book", {**seats, "passengers": 1}, 3) == {"error": "not enough seats"}


def test_declarations_fit_together():
    tools, slots, phrases = HOTEL.tools, HOTEL.slots, HOTEL.phrases
    for task in HOTEL.tasks.values():
        assert all(tools[name].domain == task.domain for name in task.tools)
        assert not task.write or tools[task.write].spec.is_write
        assert not task.read or not tools[task.read].spec.is_write
        assert f"user.open.{task.name}" in phrases
        asked = [slot for requirement in (*task.needs, *task.then) for slot in requirement]
        for slot in asked:
            assert any(key.startswith(f"user.tell.{slot}") for key in phrases)
        for requirement in (*task.needs, *task.then):
            assert "agent.ask." + "|".join(requirement) in phrases
        assert {*asked, *task.told, *task.confirm, *task.report, *task.core} <= set(slots)
    offered = {name for errands in HOTEL.errands.values() for errand in errands for name in errand}
    assert offered == set(HOTEL.tasks)
    assert {tool.spec.name for tool in tools.values()} == set(tools)


@pytest.mark.parametrize("facility", FACILITIES)
def test_every_facility_has_all_it_tells(facility: str):
    (row,) = world().execute("hotel_info", {"facility": facility}, 3)["results"]
    assert all(row.values())


def test_what_the_oracle_wrote_is_in_the_database(played: list[Episode]):
    written = 0
    for episode in played:
        for name, arguments, result in calls_with_results(episode):
            if name not in TABLES or result.get("status") != "booked":
                continue
            stated = {key: int(value) if isinstance(value, bool) else value for key, value in arguments.items()}
            where = " AND ".join(f"{column} = :{column}" for column in stated)
            assert len(episode.world.rows(f"SELECT * FROM {TABLES[name]} WHERE {where}", **stated)) == 1
            written += 1
    assert written > 60


def test_changes_are_what_the_user_wanted_in_the_end(played: list[Episode]):
    """Whatever was said wrongly at first, the last call of each change carries the goal's true values."""
    corrected = 0
    for episode in played:
        last = {name: arguments for name, arguments, _ in calls_with_results(episode)}
        for goal in episode.task.goals:
            if arguments := last.get(goal.task.write or ""):
                wanted = {slot: goal.values[slot] for slot in goal.task.write_slots if slot in goal.values}
                assert wanted == {slot: arguments.get(slot) for slot in wanted}
                corrected += bool(goal.first)
    assert corrected > 10


def test_every_change_is_confirmed_by_the_message_before(played: list[Episode]):
    writes = {name for name, tool in HOTEL.tools.items() if tool.spec.is_write}
    for episode in played:
        for before, message in zip(episode.messages[1:], episode.messages[3:], strict=False):
            if any(call.name in writes for call in message.tool_calls):
                assert "confirm" in before.acts


def test_users_behave_in_many_ways(played: list[Episode]):
    acts = [tuple(message.acts) for episode in played for message in episode.messages if message.acts]
    texts = [message.content for episode in played for message in episode.messages if message.role == "assistant"]
    assert sum("report_failure" in act and "request" in act for act in acts) >= 5  # wrong code, sold out
    assert (
        sum(bool(text and re.search(r"look up|information on|help with the|can't check", text)) for text in texts) >= 10
    )
    assert sum("goodbye" in act for act in acts) >= 30
    assert sum(len(episode.task.goals) > 1 for episode in played) >= 50
    assert all(4 <= len(episode.messages) <= 40 and episode.turns < MAX_TURNS for episode in played)


def test_relative_dates_mean_one_day_only():
    for offset in range(7):
        today = TODAY + timedelta(days=offset)
        said = [language.relative_date(today + timedelta(days=ahead), today) for ahead in range(20)]
        named = [words for words in said if words]
        assert len(named) == len(set(named))
        assert said[:2] == ["today", "tomorrow"]
    assert language.relative_date(date(2026, 3, 9), TODAY) == "Monday"
    assert language.relative_date(date(2026, 3, 13), TODAY) == "Friday next week"


def test_spoken_forms():
    assert language.date_forms("2026-03-02")[:3] == ("2 March", "March 2", "2nd of March")
    assert [language.spoken_time(clock) for clock in ("19:00", "07:30", "12:00", "00:15")] == [
        "7 pm",
        "7:30 am",
        "12 pm",
        "12:15 am",
    ]
    assert language.tidy("hi ,  i'd like two,, please . thanks ,") == "Hi, i'd like two, please. Thanks"
    with pytest.raises(KeyError):
        language.say(HOTEL.phrases, "user.open.nonsense", Random(0))
