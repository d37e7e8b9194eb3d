"""How goals of hotel guests are drawn: values the world can satisfy, and at times a value said wrongly at first.

Each function takes the random generator, the built database, today's date and what earlier goals of the same guest fix.
"""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.declarations import Row
from data.practice.domains.hotel import tools
from data.practice.domains.hotel.entities import ROOM_TYPES, clock, guest_name
from data.practice.domains.hotel.vocabulary import DIRECTIONS, FACILITIES, SERVICES, TREATMENTS

Drawn = tuple[Row, Row] | None


def _day(rng: Random, today: date, furthest: int = 20) -> str:
    return (today + timedelta(days=rng.choice((rng.randrange(1, 8), rng.randrange(0, furthest))))).isoformat()


def _guest(rng: Random, connection: sqlite3.Connection, lasting: Row) -> str:
    """The name the user goes by: as said before, as their booking has it, or a new one."""
    if "booking_code" in lasting:
        return str(_booking(rng, connection, lasting)["guest_name"])
    return lasting.get("guest_name") or guest_name(rng)


def _booking(rng: Random, connection: sqlite3.Connection, lasting: Row) -> Row:
    """A booking of this user's."""
    reference: Row = {slot: lasting[slot] for slot in ("booking_code", "guest_name") if slot in lasting}
    return rng.choice(tools.find_booking(connection, reference))


def _reference(rng: Random, connection: sqlite3.Connection, booking: Row, lasting: Row) -> tuple[Row, Row]:
    """How the user refers to their booking, and perhaps a mistyped code they give first."""
    for slot in ("booking_code", "guest_name"):
        if slot in lasting:
            return {slot: booking[slot]}, {}
    if rng.random() < 0.35:
        return {"guest_name": booking["guest_name"]}, {}
    code = booking["booking_code"]
    wrong = code[:-1] + rng.choice([digit for digit in "0123456789" if digit != code[-1]])
    mistyped = rng.random() < 0.12 and not tools.find_booking(connection, {"booking_code": wrong})
    return {"booking_code": code}, {"booking_code": wrong} if mistyped else {}


def book_room(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A stay; sometimes a sold-out room type, other nights or another arrival first."""
    stay: Row = {
        "check_in": _day(rng, today),
        "nights": rng.randrange(1, 6),
        "guests": rng.choice((1, 1, 2, 2, 2, 3, 4)),
    }
    values: Row = stay | {"guest_name": _guest(rng, connection, lasting)}
    if rng.random() < 0.5:
        values["room_type"] = rng.choice(list(ROOM_TYPES))
    if rng.random() < 0.3:
        values["breakfast"] = rng.random() < 0.7
    asked = {slot: value for slot, value in values.items() if slot in (*stay, "room_type")}
    if not tools.search_rooms(connection, asked):
        return None
    first: Row = {}
    twist = rng.random()
    if twist < 0.15:
        first = _sold_out(rng, connection, asked)
    elif twist < 0.25:
        first = rng.choice(({"nights": stay["nights"] + 1}, {"check_in": _day(rng, today)}))
        if not tools.search_rooms(connection, asked | first) or first.items() <= values.items():
            return None
    return values, first if "room_type" in values or "room_type" not in first else {}


def _sold_out(rng: Random, connection: sqlite3.Connection, asked: Row) -> Row:
    gone = [kind for kind in ROOM_TYPES if not tools.search_rooms(connection, {**asked, "room_type": kind})]
    return {"room_type": rng.choice(gone)} if gone else {}


def find_booking(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A booking to look up, by code or name."""
    return _reference(rng, connection, _booking(rng, connection, lasting), lasting)


def change_booking(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A booking and one change of it."""
    booking = _booking(rng, connection, lasting)
    values, first = _reference(rng, connection, booking, lasting)
    later = date.fromisoformat(booking["check_in"]) + timedelta(days=rng.randrange(1, 6))
    nights = rng.choice([number for number in range(1, 8) if number != booking["nights"]])
    sql = "SELECT breakfast FROM bookings WHERE booking_code = ?"
    has_breakfast = bool(connection.execute(sql, (booking["booking_code"],)).fetchone()["breakfast"])
    change = rng.choice(({"check_in": later.isoformat()}, {"nights": nights}, {"breakfast": not has_breakfast}))
    if not _can_change(connection, booking, change):
        return None
    if not first and "nights" in change:  # what the guest would rather have, were the room free
        taken = [number for number in range(nights + 1, 9) if not _can_change(connection, booking, {"nights": number})]
        first = {"nights": taken[0]} if taken else {}
    return values | change, first


def _can_change(connection: sqlite3.Connection, booking: Row, change: Row) -> bool:
    """Whether the room is free for the changed stay; nothing is changed."""
    connection.execute("SAVEPOINT trial")
    outcome = tools.change_booking(connection, {"booking_code": booking["booking_code"], **change})
    connection.execute("ROLLBACK TO trial")
    connection.execute("RELEASE trial")
    return "error" not in outcome


def order_service(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A service during a booked stay."""
    booking = _booking(rng, connection, lasting)
    values, first = _reference(rng, connection, booking, lasting)
    day = date.fromisoformat(booking["check_in"]) + timedelta(days=rng.randrange(booking["nights"]))
    service = rng.choice(SERVICES)
    hours = {
        "dinner table": (18 * 60, 22 * 60),
        "wake-up call": (5 * 60, 9 * 60),
        "breakfast in room": (7 * 60, 10 * 60),
    }
    times = range(*hours.get(service, (8 * 60, 18 * 60)), 30)
    values |= {"service": service, "date": day.isoformat(), "time": clock(rng.choice(times))}
    if not first and rng.random() < 0.12:
        first = {"time": clock(rng.choice([time for time in times if clock(time) != values["time"]]))}
    return values, first


def ask_facility(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A facility to ask about."""
    return {"facility": rng.choice(list(FACILITIES))}, {}


def spa_ask(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A treatment and a day."""
    return {"treatment": rng.choice(TREATMENTS), "date": _day(rng, today, 14)}, {}


def shuttle_ask(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A direction, a day and a number of passengers."""
    values = {"direction": rng.choice(DIRECTIONS), "date": _day(rng, today, 14), "passengers": rng.randrange(1, 5)}
    return (values, {}) if tools.shuttle_search(connection, values) else None


def spa_book(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A treatment for a named guest; sometimes another day first."""
    values = {
        "treatment": rng.choice(TREATMENTS),
        "date": _day(rng, today, 14),
        "guest_name": _guest(rng, connection, lasting),
    }
    first = {"date": _day(rng, today, 14)} if rng.random() < 0.12 else {}
    return values, first if first.get("date") != values["date"] else {}


def shuttle_book(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """Seats for a named guest; sometimes one more at first."""
    if (drawn := shuttle_ask(rng, connection, today, lasting)) is None:
        return None
    first = {"passengers": drawn[0]["passengers"] + 1} if rng.random() < 0.12 else {}
    if first and not tools.shuttle_search(connection, drawn[0] | first):
        return None
    return drawn[0] | {"guest_name": _guest(rng, connection, lasting)}, first
