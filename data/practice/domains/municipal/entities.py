"""The office's entities: residents, documents with fees, counter times, parking zones and days of bulky waste."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.domains.municipal.vocabulary import DISTRICTS, DOCUMENTS, OFFICES, STREETS, TO_BRING, TOWNS
from data.practice.domains.people import birth_date, full_names, numbers

RESIDENTS = 7
_TABLES = """
CREATE TABLE residents (resident_id TEXT PRIMARY KEY, resident_number TEXT, name TEXT, birth_date TEXT, street TEXT,
                        district TEXT);
CREATE TABLE documents (document TEXT PRIMARY KEY, fee INTEGER, bring TEXT, days INTEGER);
CREATE TABLE counter_times (slot_id TEXT PRIMARY KEY, office TEXT, document TEXT, time TEXT);
CREATE TABLE visits (slot_id TEXT, date TEXT, resident_id TEXT, reference TEXT, PRIMARY KEY (slot_id, date));
CREATE TABLE zones (zone TEXT PRIMARY KEY, yearly_fee INTEGER);
CREATE TABLE streets (street TEXT PRIMARY KEY, zone TEXT, district TEXT);
CREATE TABLE permits (plate TEXT, zone TEXT, resident_id TEXT, permit_number TEXT, PRIMARY KEY (plate, zone));
CREATE TABLE waste_days (waste_day_id TEXT PRIMARY KEY, district TEXT, date TEXT, places INTEGER);
CREATE TABLE pickups (waste_day_id TEXT, resident_id TEXT, item TEXT, reference TEXT,
                      PRIMARY KEY (waste_day_id, resident_id, item));
"""


def build(connection: sqlite3.Connection, rng: Random, today: date) -> str:
    """Fill an empty database with one town and return its name."""
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    streets = _streets(connection, rng)
    ids, codes = [f"R{number}" for number in numbers(rng, RESIDENTS, 4)], numbers(rng, RESIDENTS, 7)
    rows = []
    for resident, code, name in zip(ids, codes, full_names(rng, RESIDENTS), strict=True):
        street, district = rng.choice(streets)
        rows.append((resident, code, name, birth_date(rng), street, district))
    connection.executemany("INSERT INTO residents VALUES (?, ?, ?, ?, ?, ?)", rows)
    _documents(connection, rng)
    _waste_days(connection, rng, today)
    connection.execute("COMMIT")
    return rng.choice(TOWNS)


def _streets(connection: sqlite3.Connection, rng: Random) -> list[tuple[str, str]]:
    zones = [(zone, rng.randrange(30, 160)) for zone in "ABCDE"]
    connection.executemany("INSERT INTO zones VALUES (?, ?)", zones)
    rows = [(street, rng.choice("ABCDE"), rng.choice(DISTRICTS)) for street in rng.sample(STREETS, k=9)]
    connection.executemany("INSERT INTO streets VALUES (?, ?, ?)", rows)
    return [(street, district) for street, _, district in rows]


def _documents(connection: sqlite3.Connection, rng: Random) -> None:
    rows = [
        (document, rng.randrange(*fees), rng.choice(TO_BRING), rng.randrange(2, 30))
        for document, fees in DOCUMENTS.items()
    ]
    connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?)", rows)
    times = [f"{hour:02d}:{minute}" for hour in range(8, 17) for minute in ("00", "15", "30", "45")]
    offered = [
        (rng.choice(OFFICES), document, time)
        for document in DOCUMENTS
        for time in sorted(rng.sample(times, k=rng.choice((2, 3, 4))))
    ]
    rows_of_times = [(f"N{code}", *one) for code, one in zip(numbers(rng, len(offered), 3), offered, strict=True)]
    connection.executemany("INSERT INTO counter_times VALUES (?, ?, ?, ?)", rows_of_times)


def _waste_days(connection: sqlite3.Connection, rng: Random, today: date) -> None:
    days = [
        (district, (today + timedelta(days=ahead)).isoformat())
        for district in DISTRICTS
        for ahead in sorted(rng.sample(range(2, 25), k=3))
    ]
    rows = [(f"W{code}", *one, rng.randrange(1, 6)) for code, one in zip(numbers(rng, len(days), 3), days, strict=True)]
    connection.executemany("INSERT INTO waste_days VALUES (?, ?, ?, ?)", rows)
