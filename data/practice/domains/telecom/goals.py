"""How goals of telephone customers are drawn: values the world can satisfy, and at times one said wrongly at first.

Each function takes the random generator, the built database, today's date and what earlier goals of the same customer
fix.
"""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.declarations import Row
from data.practice.domains.people import mistyped
from data.practice.domains.sql import rows
from data.practice.domains.telecom import tools
from data.practice.domains.telecom.vocabulary import FAULTS, ZONES

Drawn = tuple[Row, Row] | None


def _line(rng: Random, connection: sqlite3.Connection, lasting: Row, fitting: str = "1") -> Row | None:
    """A line for which the SQL condition ``fitting`` holds: the one spoken of before, or any."""
    sql = f"""SELECT * FROM lines WHERE {fitting} AND (:phone_number IS NULL OR phone_number = :phone_number)
        ORDER BY line_id"""
    found = rows(connection, sql, {"phone_number": None, **lasting})
    return rng.choice(found) if found else None


def _caller(rng: Random, line: Row, lasting: Row) -> tuple[Row, Row]:
    """Number and PIN of a line, and perhaps one of them mistyped at first."""
    values = {"phone_number": line["phone_number"], "pin": line["pin"]}
    wrong = rng.choice(("pin", "phone_number"))
    mistakes = "phone_number" not in lasting and rng.random() < 0.15
    return values, {wrong: mistyped(rng, values[wrong])} if mistakes else {}


def _day(rng: Random, today: date) -> str:
    return (today + timedelta(days=rng.choice((rng.randrange(1, 7), rng.randrange(1, 18))))).isoformat()


def ask_usage(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """How much data a line has used, or what is wrong with it."""
    line = _line(rng, connection, lasting)
    return _caller(rng, line, lasting) if line else None


def change_plan(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A plan with enough data that is not the line's own; sometimes less data is asked for at first."""
    if (line := _line(rng, connection, lasting)) is None:
        return None
    values, first = _caller(rng, line, lasting)
    sizes = [one["data_gb"] for one in tools.list_plans(connection, {"min_gb": 1})]
    least = rng.choice(sizes[1:])
    offers = tools.list_plans(connection, {"min_gb": least})[:2]
    if any(one["plan_id"] == line["plan_id"] for one in offers):
        return None
    if not first and rng.random() < 0.12:
        first = {"min_gb": rng.choice([size for size in sizes if size != least])}
    return values | {"min_gb": least}, first


def book_technician(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A visit for a line with a fault that a technician has to mend; sometimes another day at first."""
    mended = ", ".join(f"'{fault}'" for fault, visit in FAULTS.items() if visit)
    if (line := _line(rng, connection, lasting, f"fault IN ({mended})")) is None:
        return None
    values, first = _caller(rng, line, lasting)
    day, other = _day(rng, today), _day(rng, today)
    if not first and other != day and rng.random() < 0.12:
        first = {"date": other}
    return values | {"date": day}, first


def roaming_add(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A pack for a journey; sometimes another start at first."""
    if (line := _line(rng, connection, lasting)) is None:
        return None
    values, first = _caller(rng, line, lasting)
    day, other = _day(rng, today), _day(rng, today)
    if not first and other != day and rng.random() < 0.12:
        first = {"start_date": other}
    return values | {"zone": rng.choice(list(ZONES)), "start_date": day}, first
