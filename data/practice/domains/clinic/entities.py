"""The clinic's entities: patients, doctors, hours of consultation, appointments and prescriptions."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from random import Random

from data.practice.domains.clinic.vocabulary import CLINICS, MEDICINES, SPECIALITIES, VISITS
from data.practice.domains.people import LAST_NAMES, birth_date, full_names, numbers

PATIENTS = 7
_TABLES = """
CREATE TABLE patients (patient_id TEXT PRIMARY KEY, name TEXT, birth_date TEXT);
CREATE TABLE doctors (doctor_id TEXT PRIMARY KEY, doctor TEXT, speciality TEXT, room TEXT);
CREATE TABLE hours (slot_id TEXT PRIMARY KEY, doctor_id TEXT, time TEXT);
CREATE TABLE appointments (appointment_id TEXT PRIMARY KEY, patient_id TEXT, slot_id TEXT, date TEXT, visit TEXT,
                           UNIQUE (slot_id, date));
CREATE TABLE prescriptions (prescription_id TEXT PRIMARY KEY, patient_id TEXT, medicine TEXT, repeats_left INTEGER);
CREATE TABLE renewals (prescription_id TEXT, number INTEGER, pharmacy TEXT, reference TEXT,
                       PRIMARY KEY (prescription_id, number));
"""


def build(connection: sqlite3.Connection, rng: Random, today: date) -> str:
    """Fill an empty database with one clinic and return its name."""
    connection.executescript(_TABLES)
    connection.execute("BEGIN")
    patients = [f"P{number}" for number in numbers(rng, PATIENTS, 4)]
    people = zip(patients, full_names(rng, PATIENTS), strict=True)
    connection.executemany("INSERT INTO patients VALUES (?, ?, ?)", [(*one, birth_date(rng)) for one in people])
    slots = _doctors(connection, rng)
    _appointments(connection, rng, patients, slots, today)
    _prescriptions(connection, rng, patients)
    connection.execute("COMMIT")
    return rng.choice(CLINICS)


def _doctors(connection: sqlite3.Connection, rng: Random) -> list[str]:
    """One or two doctors a speciality, each with three hours a day; returns the ids of those hours."""
    doctors = [(kind, name) for kind in SPECIALITIES for name in rng.sample(LAST_NAMES, k=rng.choice((1, 2)))]
    codes = numbers(rng, len(doctors), 3)
    rooms = numbers(rng, len(doctors), 2)
    rows = [
        (f"D{code}", f"Dr {name}", kind, room) for code, room, (kind, name) in zip(codes, rooms, doctors, strict=True)
    ]
    connection.executemany("INSERT INTO doctors VALUES (?, ?, ?, ?)", rows)
    times = [f"{hour:02d}:{minute}" for hour in range(8, 18) for minute in ("00", "20", "40")]
    hours = [(doctor, time) for doctor, *_ in rows for time in sorted(rng.sample(times, k=3))]
    ids = [f"H{code}" for code in numbers(rng, len(hours), 3)]
    slots = [(code, *one) for code, one in zip(ids, hours, strict=True)]
    connection.executemany("INSERT INTO hours VALUES (?, ?, ?)", slots)
    return ids


def _appointments(
    connection: sqlite3.Connection, rng: Random, patients: list[str], slots: list[str], today: date
) -> None:
    rows = []
    taken = rng.sample(slots, k=len(patients))
    for code, patient, slot in zip(numbers(rng, len(taken), 4), patients, taken, strict=True):
        day = today + timedelta(days=rng.randrange(1, 14))
        rows.append((f"B{code}", patient, slot, day.isoformat(), rng.choice(VISITS)))
    connection.executemany("INSERT INTO appointments VALUES (?, ?, ?, ?, ?)", rows)


def _prescriptions(connection: sqlite3.Connection, rng: Random, patients: list[str]) -> None:
    held = [(patient, medicine) for patient in patients for medicine in rng.sample(MEDICINES, k=2)]
    codes = numbers(rng, len(held), 4)
    rows = [(f"X{code}", *one, rng.choice((0, 1, 2, 3, 4))) for code, one in zip(codes, held, strict=True)]
    connection.executemany("INSERT INTO prescriptions VALUES (?, ?, ?, ?)", rows)
