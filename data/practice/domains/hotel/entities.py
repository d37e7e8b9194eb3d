"""The hotel's entities: rooms, bookings, facilities, spa treatments and airport shuttles in seeded tables."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.domains.hotel.vocabulary import (
    DIRECTIONS,
    FACILITIES,
    FIRST_NAMES,
    HOTELS,
    LAST_NAMES,
    PLACES,
    TREATMENTS,
    VIEWS,
)

ROOM_TYPES = {
    "single": (1, 60, 95),
    "double": (2, 95, 160),
    "twin": (2, 90, 150),
    "family": (4, 140, 220),
    "deluxe": (3, 200, 340),
}
"""Capacity, lowest and highest price of a night by type."""
BREAKFAST_PRICE = 15

_TABLES = """
CREATE TABLE rooms (room_id TEXT PRIMARY KEY, room_type TEXT, view TEXT, capacity INTEGER, price INTEGER);
CREATE TABLE bookings (booking_code TEXT PRIMARY KEY, room_id TEXT, guest_name TEXT, check_in TEXT, nights INTEGER,
                       breakfast INTEGER, status TEXT);
CREATE TABLE facilities (facility TEXT PRIMARY KEY, place TEXT, opens TEXT, closes TEXT, price INTEGER);
CREATE TABLE orders (order_code TEXT PRIMARY KEY, booking_code TEXT, service TEXT, date TEXT, time TEXT, price INTEGER);
CREATE TABLE treatments (slot_id TEXT PRIMARY KEY, treatment TEXT, time TEXT, minutes INTEGER, price INTEGER);
CREATE TABLE treatment_bookings (confirmation TEXT PRIMARY KEY, slot_id TEXT, date TEXT, guest_name TEXT);
CREATE TABLE shuttles (shuttle_id TEXT PRIMARY KEY, direction TEXT, departs TEXT, seats INTEGER, price INTEGER);
CREATE TABLE shuttle_bookings (confirmation TEXT PRIMARY KEY, shuttle_id TEXT, date TEXT, passengers INTEGER,
                               guest_name TEXT);
CREATE TABLE fresh_codes (code TEXT PRIMARY KEY);
"""


def build(connection: sqlite3.Connection, rng: Random, today: date) -> str:
    """Fill an empty database with one hotel and return its name."""
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    _rooms(connection, rng)
    codes = _codes(rng, 24)
    _bookings(connection, rng, today, codes[:10], codes[10:18])
    connection.executemany("INSERT INTO fresh_codes VALUES (?)", [(code,) for code in codes[18:]])
    _facilities(connection, rng)
    _treatments(connection, rng)
    _shuttles(connection, rng)
    connection.execute("COMMIT")
    return rng.choice(HOTELS)


def guest_name(rng: Random) -> str:
    """First and last name of a guest."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def clock(minutes: int) -> str:
    """Minutes after midnight as ``HH:MM``."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _codes(rng: Random, number: int) -> list[str]:
    codes: dict[str, None] = {}
    while len(codes) < number:
        codes["".join(rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2)) + str(rng.randrange(100, 1000))] = None
    return list(codes)


def _rooms(connection: sqlite3.Connection, rng: Random) -> None:
    kinds = [*ROOM_TYPES, *rng.choices(list(ROOM_TYPES), weights=(2, 4, 3, 2, 1), k=8)]
    numbers = rng.sample([str(floor * 100 + door) for floor in range(1, 5) for door in range(1, 13)], k=len(kinds))
    rows = []
    for room_id, kind in zip(numbers, kinds, strict=True):
        capacity, low, high = ROOM_TYPES[kind]
        rows.append((room_id, kind, rng.choice(VIEWS), capacity, rng.randrange(low, high)))
    connection.executemany("INSERT INTO rooms VALUES (?, ?, ?, ?, ?)", rows)


def _bookings(connection: sqlite3.Connection, rng: Random, today: date, codes: list[str], followers: list[str]) -> None:
    """One booking a room, and in most rooms another soon after it, so that not every change of a stay can be."""
    rooms = [row["room_id"] for row in connection.execute("SELECT room_id FROM rooms ORDER BY room_id")]
    names: dict[str, None] = {}
    while len(names) < len(codes) + len(followers):
        names[guest_name(rng)] = None
    rows: list[tuple[str | int, ...]] = []
    first, later = list(names)[: len(codes)], list(names)[len(codes) :]
    for code, room, name in zip(codes, rng.sample(rooms, k=len(codes)), first, strict=True):
        check_in = today + timedelta(days=rng.randrange(0, 16))
        rows.append((code, room, name, check_in.isoformat(), rng.randrange(1, 7), rng.randrange(2), "active"))
    together = list(zip(rows, followers, later, strict=False))
    rows += [_next_in_room(row, code, name, rng) for row, code, name in together]
    connection.executemany("INSERT INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _next_in_room(row: tuple[str | int, ...], code: str, name: str, rng: Random) -> tuple[str | int, ...]:
    """A stay in the same room that begins up to two days after ``row`` ends."""
    ends = date.fromisoformat(str(row[3])) + timedelta(days=int(row[4]))
    check_in = ends + timedelta(days=rng.randrange(3))
    return (code, row[1], name, check_in.isoformat(), rng.randrange(1, 4), rng.randrange(2), "active")


def _facilities(connection: sqlite3.Connection, rng: Random) -> None:
    rows = []
    for facility, (opens, closes, price) in FACILITIES.items():
        hours = (clock(rng.randrange(*opens, 30)), clock(rng.randrange(*closes, 30)))
        rows.append((facility, rng.choice(PLACES[facility]), *hours, rng.randrange(*price)))
    connection.executemany("INSERT INTO facilities VALUES (?, ?, ?, ?, ?)", rows)


def _treatments(connection: sqlite3.Connection, rng: Random) -> None:
    numbers = iter(rng.sample(range(10, 100), k=3 * len(TREATMENTS)))
    rows = []
    for treatment in TREATMENTS:
        price = rng.randrange(35, 110)
        for time in sorted(rng.sample(range(9 * 60, 19 * 60, 30), k=rng.randrange(1, 4))):
            rows.append(
                (f"T{next(numbers)}", treatment, clock(time), rng.choice((30, 45, 60, 90)), price + rng.randrange(20))
            )
    connection.executemany("INSERT INTO treatments VALUES (?, ?, ?, ?, ?)", rows)


def _shuttles(connection: sqlite3.Connection, rng: Random) -> None:
    numbers = iter(rng.sample(range(10, 100), k=8))
    rows = []
    for direction in DIRECTIONS:
        for time in sorted(rng.sample(range(5 * 60, 22 * 60, 15), k=4)):
            rows.append((f"S{next(numbers)}", direction, clock(time), rng.randrange(2, 8), rng.randrange(8, 30)))
    connection.executemany("INSERT INTO shuttles VALUES (?, ?, ?, ?, ?)", rows)
