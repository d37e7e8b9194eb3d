"""The telephone company's entities: lines with their holders and plans, technicians' times and roaming packs."""

from __future__ import annotations

import sqlite3
from datetime import date
from random import Random

from data.practice.domains.people import full_names, numbers
from data.practice.domains.telecom.vocabulary import AREAS, COMPANIES, FAULTS, PLANS, ZONES

LINES = 8
_TABLES = """
CREATE TABLE plans (plan_id TEXT PRIMARY KEY, plan TEXT, data_gb INTEGER, price INTEGER);
CREATE TABLE lines (line_id TEXT PRIMARY KEY, phone_number TEXT, pin TEXT, name TEXT, plan_id TEXT, used_gb INTEGER,
                    area TEXT, fault TEXT);
CREATE TABLE visit_times (slot_id TEXT PRIMARY KEY, area TEXT, time TEXT);
CREATE TABLE visits (slot_id TEXT, date TEXT, line_id TEXT, reference TEXT, PRIMARY KEY (slot_id, date));
CREATE TABLE packs (pack_id TEXT PRIMARY KEY, zone TEXT, pack_gb INTEGER, price INTEGER);
CREATE TABLE booked_packs (line_id TEXT, pack_id TEXT, start_date TEXT, reference TEXT,
                           PRIMARY KEY (line_id, pack_id, start_date));
"""


def build(connection: sqlite3.Connection, rng: Random, today: date) -> str:
    """Fill an empty database with one company's lines and return its name."""
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    _lines(connection, rng, _plans(connection, rng))
    _visit_times(connection, rng)
    _packs(connection, rng)
    connection.execute("COMMIT")
    return rng.choice(COMPANIES)


def _plans(connection: sqlite3.Connection, rng: Random) -> list[tuple[str, int]]:
    """Six plans, the more data the dearer; returns their ids and gigabytes."""
    names = rng.sample(PLANS, k=6)
    sizes = sorted(rng.sample((1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 60, 100), k=6))
    prices = sorted(rng.sample(range(8, 60), k=6))
    ids = [f"PL{number}" for number in numbers(rng, 6, 2)]
    connection.executemany("INSERT INTO plans VALUES (?, ?, ?, ?)", zip(ids, names, sizes, prices, strict=True))
    return list(zip(ids, sizes, strict=True))


def _lines(connection: sqlite3.Connection, rng: Random, plans: list[tuple[str, int]]) -> None:
    phones = [f"07{number}" for number in numbers(rng, LINES, 6)]
    pins, ids = numbers(rng, LINES, 4), [f"L{number}" for number in numbers(rng, LINES, 3)]
    faults = rng.choices(list(FAULTS), weights=(2, 1, 2, 2, 2), k=LINES)
    held = [rng.choice(plans[:5]) for _ in ids]
    rows = [
        (line, phone, pin, name, plan, rng.randrange(size + 1), rng.choice(AREAS), fault)
        for (plan, size), line, phone, pin, name, fault in zip(
            held, ids, phones, pins, full_names(rng, LINES), faults, strict=True
        )
    ]
    connection.executemany("INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _visit_times(connection: sqlite3.Connection, rng: Random) -> None:
    offered = [
        (area, f"{hour:02d}:00") for area in AREAS for hour in sorted(rng.sample(range(8, 18), k=rng.choice((2, 3))))
    ]
    rows = [(f"V{code}", *one) for code, one in zip(numbers(rng, len(offered), 3), offered, strict=True)]
    connection.executemany("INSERT INTO visit_times VALUES (?, ?, ?)", rows)


def _packs(connection: sqlite3.Connection, rng: Random) -> None:
    rows = []
    codes = iter(numbers(rng, 3 * len(ZONES), 3))
    for zone, (low, high) in ZONES.items():
        sizes = sorted(rng.sample((1, 2, 3, 5, 10), k=2))
        prices = sorted(rng.sample(range(low, high), k=2))
        rows += [(f"R{next(codes)}", zone, size, price) for size, price in zip(sizes, prices, strict=True)]
    connection.executemany("INSERT INTO packs VALUES (?, ?, ?, ?)", rows)
