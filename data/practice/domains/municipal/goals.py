"""How goals of citizens are drawn: values the world can satisfy, and at times a value said wrongly at first.

Each function takes the random generator, the built database, today's date and what earlier goals of the same citizen
fix.
"""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.declarations import Row
from data.practice.domains.municipal.vocabulary import DOCUMENTS, WASTE
from data.practice.domains.people import mistyped
from data.practice.domains.sql import rows

Drawn = tuple[Row, Row] | None


def _citizen(rng: Random, connection: sqlite3.Connection, lasting: Row) -> tuple[Row, Row]:
    """Who is calling, and perhaps a mistyped number they give first."""
    everybody = rows(connection, "SELECT resident_number, birth_date FROM residents ORDER BY resident_id", {})
    if "resident_number" in lasting:
        return next(one for one in everybody if one["resident_number"] == lasting["resident_number"]), {}
    citizen = rng.choice(everybody)
    return citizen, {"resident_number": mistyped(rng, citizen["resident_number"])} if rng.random() < 0.15 else {}


def _day(rng: Random, today: date) -> str:
    return (today + timedelta(days=rng.choice((rng.randrange(1, 7), rng.randrange(1, 18))))).isoformat()


def ask_document(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """What a document costs and takes."""
    return {"document": rng.choice(list(DOCUMENTS))}, {}


def book_counter(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A time at the counter for a document; sometimes another day at first."""
    citizen, first = _citizen(rng, connection, lasting)
    day, other = _day(rng, today), _day(rng, today)
    if not first and other != day and rng.random() < 0.12:
        first = {"date": other}
    return citizen | {"document": rng.choice(list(DOCUMENTS)), "date": day}, first


def get_permit(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A parking permit for a car; sometimes its plate mistyped at first."""
    citizen, first = _citizen(rng, connection, lasting)
    plate = "".join(rng.choices("ABCDEFGHKLMNPRSTUVWXYZ", k=2)) + f"-{rng.randrange(100, 10_000)}"
    if not first and rng.random() < 0.12:
        first = {"plate": mistyped(rng, plate)}
    return citizen | {"plate": plate}, first


def book_pickup(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """Something bulky to be fetched; sometimes another thing is named at first."""
    citizen, first = _citizen(rng, connection, lasting)
    item, other = rng.sample(WASTE, k=2)
    if not first and rng.random() < 0.1:
        first = {"item": other}
    return citizen | {"item": item}, first
