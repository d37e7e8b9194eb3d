"""How goals of patients are drawn: values the world can satisfy, and at times a value said wrongly at first.

Each function takes the random generator, the built database, today's date and what earlier goals of the same patient
fix.
"""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.declarations import Row
from data.practice.domains.clinic.vocabulary import PHARMACIES, SPECIALITIES, VISITS
from data.practice.domains.sql import rows

Drawn = tuple[Row, Row] | None


def _patient(rng: Random, connection: sqlite3.Connection, lasting: Row) -> tuple[Row, Row]:
    """Who is calling, and perhaps a birth date with a slip of the tongue at first."""
    everybody = rows(connection, "SELECT name, birth_date FROM patients ORDER BY patient_id", {})
    if "name" in lasting:
        return next(one for one in everybody if one["name"] == lasting["name"]), {}
    patient = rng.choice(everybody)
    born = date.fromisoformat(patient["birth_date"])
    slip = (born + timedelta(days=rng.choice((1, -1, 10)))).isoformat()
    return patient, {"birth_date": slip} if rng.random() < 0.15 else {}


def _day(rng: Random, today: date) -> str:
    return (today + timedelta(days=rng.choice((rng.randrange(1, 7), rng.randrange(1, 18))))).isoformat()


def _other_day(rng: Random, today: date, values: Row, first: Row) -> Row:
    """What is said at first, at times another day."""
    other = _day(rng, today)
    return {"date": other} if not first and other != values["date"] and rng.random() < 0.12 else first


def ask_appointment(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """When the next appointment is."""
    return _patient(rng, connection, lasting)


def book_appointment(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A time with a doctor of a speciality; sometimes another day at first."""
    values, first = _patient(rng, connection, lasting)
    values |= {"speciality": rng.choice(SPECIALITIES), "date": _day(rng, today), "visit": rng.choice(VISITS)}
    return values, _other_day(rng, today, values, first)


def move_appointment(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """Another day for an appointment."""
    values, first = _patient(rng, connection, lasting)
    values |= {"date": _day(rng, today)}
    return values, _other_day(rng, today, values, first)


def renew_prescription(rng: Random, connection: sqlite3.Connection, today: date, lasting: Row) -> Drawn:
    """A repeat of a medicine, of which sometimes none is left; at times another pharmacy at first."""
    values, first = _patient(rng, connection, lasting)
    sql = "SELECT medicine FROM prescriptions JOIN patients USING (patient_id) WHERE name = :name ORDER BY medicine"
    medicine = rng.choice(rows(connection, sql, values))["medicine"]
    pharmacy, other = rng.sample(PHARMACIES, k=2)
    if not first and rng.random() < 0.12:
        first = {"pharmacy": other}
    return values | {"medicine": medicine, "pharmacy": pharmacy}, first
