"""The clinic's tools: what a model sees of them, and what they do in SQL."""

from __future__ import annotations

import sqlite3

from data.practice.declarations import Row, Tool
from data.practice.domains.clinic.vocabulary import MEDICINES, PHARMACIES, SPECIALITIES, VISITS
from data.practice.domains.sql import DATE, TEXT, one_of, reference, row, rows, tool

CLINIC = "clinic"

_TAKEN = "SELECT 1 FROM appointments WHERE slot_id = :slot_id AND date = :date"


def find_patient(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """The patient whose name and birth date match."""
    sql = "SELECT patient_id, name FROM patients WHERE name = :name AND birth_date = :birth_date"
    return rows(connection, sql, arguments)


def find_doctors(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Doctors of a speciality."""
    sql = "SELECT doctor_id, doctor, room FROM doctors WHERE speciality = :speciality ORDER BY doctor_id"
    return rows(connection, sql, arguments)


def free_times(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Free times of a doctor on a day."""
    sql = """SELECT slot_id, time FROM hours h WHERE doctor_id = :doctor_id AND NOT EXISTS
        (SELECT 1 FROM appointments a WHERE a.slot_id = h.slot_id AND a.date = :date) ORDER BY time"""
    return rows(connection, sql, arguments)


def list_appointments(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Coming appointments of a patient."""
    sql = """SELECT appointment_id, doctor_id, doctor, date, time FROM appointments JOIN hours USING (slot_id)
        JOIN doctors USING (doctor_id) WHERE patient_id = :patient_id ORDER BY date, time"""
    return rows(connection, sql, arguments)


def book_appointment(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book a free time for a patient."""
    slot = row(connection, "SELECT room FROM hours JOIN doctors USING (doctor_id) WHERE slot_id = :slot_id", arguments)
    patient = row(connection, "SELECT 1 FROM patients WHERE patient_id = :patient_id", arguments)
    if slot is None or patient is None:
        return {"error": "no such time" if slot is None else "patient not found"}
    if row(connection, _TAKEN, arguments):
        return {"error": "time is taken"}
    new = {**arguments, "appointment_id": reference("appointment", arguments["slot_id"], arguments["date"])}
    sql = "INSERT OR FAIL INTO appointments VALUES (:appointment_id, :patient_id, :slot_id, :date, :visit)"
    connection.execute(sql, new)
    return {"status": "booked", "appointment_id": new["appointment_id"], "room": slot["room"]}


def move_appointment(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Move an appointment to a free time of the same doctor."""
    sql = """SELECT room FROM appointments JOIN hours old USING (slot_id) JOIN doctors USING (doctor_id)
        JOIN hours new ON new.doctor_id = old.doctor_id AND new.slot_id = :slot_id
        WHERE appointment_id = :appointment_id"""
    if (found := row(connection, sql, arguments)) is None:
        return {"error": "no such appointment with the doctor of this time"}
    if row(connection, _TAKEN, arguments):
        return {"error": "time is taken"}
    change = "UPDATE appointments SET slot_id = :slot_id, date = :date WHERE appointment_id = :appointment_id"
    connection.execute(change, arguments)
    return {"status": "moved", "appointment_id": arguments["appointment_id"], "room": found["room"]}


def list_prescriptions(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Prescriptions of a patient, of one medicine if asked for."""
    sql = """SELECT prescription_id, medicine, repeats_left FROM prescriptions WHERE patient_id = :patient_id
        AND (:medicine IS NULL OR medicine = :medicine) ORDER BY medicine"""
    return rows(connection, sql, {"medicine": None, **arguments})


def renew_prescription(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Send one more repeat of a prescription to a pharmacy."""
    sql = "SELECT repeats_left FROM prescriptions WHERE prescription_id = :prescription_id"
    if (found := row(connection, sql, arguments)) is None:
        return {"error": "prescription not found"}
    if found["repeats_left"] < 1:
        return {"error": "no repeats left: the doctor has to see the patient"}
    new = {**arguments, "number": found["repeats_left"]}
    new["reference"] = reference("renewal", arguments["prescription_id"], new["number"])
    connection.execute("INSERT INTO renewals VALUES (:prescription_id, :number, :pharmacy, :reference)", new)
    less = "UPDATE prescriptions SET repeats_left = repeats_left - 1 WHERE prescription_id = :prescription_id"
    connection.execute(less, arguments)
    return {"status": "sent", "reference": new["reference"], "repeats_left": found["repeats_left"] - 1}


TOOLS: dict[str, Tool] = {
    one.spec.name: one
    for one in (
        tool(
            CLINIC,
            find_patient,
            "Identify a patient by name and date of birth. Empty if they do not match.",
            {"name": TEXT, "birth_date": DATE},
        ),
        tool(CLINIC, find_doctors, "Doctors of a speciality.", {"speciality": one_of(*SPECIALITIES)}),
        tool(CLINIC, free_times, "Free times of a doctor on a day.", {"doctor_id": TEXT, "date": DATE}),
        tool(CLINIC, list_appointments, "Coming appointments of a patient.", {"patient_id": TEXT}),
        tool(
            CLINIC,
            book_appointment,
            "Book a time found by free_times.",
            {"patient_id": TEXT, "slot_id": TEXT, "date": DATE, "visit": one_of(*VISITS)},
            is_write=True,
        ),
        tool(
            CLINIC,
            move_appointment,
            "Move an appointment to a time found by free_times with the same doctor.",
            {"appointment_id": TEXT, "slot_id": TEXT, "date": DATE},
            is_write=True,
        ),
        tool(
            CLINIC,
            list_prescriptions,
            "Prescriptions of a patient and how many repeats are left.",
            {"patient_id": TEXT, "medicine": one_of(*MEDICINES)},
            optional=("medicine",),
        ),
        tool(
            CLINIC,
            renew_prescription,
            "Send a repeat of a prescription to a pharmacy.",
            {"prescription_id": TEXT, "pharmacy": one_of(*PHARMACIES)},
            is_write=True,
        ),
    )
}
