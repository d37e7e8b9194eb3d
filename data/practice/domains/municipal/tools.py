"""The office's tools: what a model sees of them, and what they do in SQL."""

from __future__ import annotations

import sqlite3

from data.practice.declarations import Row, Tool
from data.practice.domains.municipal.vocabulary import DOCUMENTS, WASTE
from data.practice.domains.sql import DATE, TEXT, one_of, reference, row, rows, tool

MUNICIPAL = "municipal"
_RESIDENT = "SELECT district FROM residents WHERE resident_id = :resident_id"


def find_resident(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """The resident whose number and birth date match."""
    sql = """SELECT resident_id, name, street, district FROM residents
        WHERE resident_number = :resident_number AND birth_date = :birth_date"""
    return rows(connection, sql, arguments)


def document_info(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Fee, what to bring and how long a document takes."""
    return rows(connection, "SELECT * FROM documents WHERE document = :document", arguments)


def counter_times(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Free counter times for a document on a day."""
    sql = """SELECT slot_id, office, time FROM counter_times t WHERE document = :document AND NOT EXISTS
        (SELECT 1 FROM visits v WHERE v.slot_id = t.slot_id AND v.date = :date) ORDER BY time"""
    return rows(connection, sql, arguments)


def book_counter(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book a free counter time for a resident."""
    slot = row(connection, "SELECT office, time FROM counter_times WHERE slot_id = :slot_id", arguments)
    if slot is None or row(connection, _RESIDENT, arguments) is None:
        return {"error": "no such time" if slot is None else "resident not found"}
    if row(connection, "SELECT 1 FROM visits WHERE slot_id = :slot_id AND date = :date", arguments):
        return {"error": "time is taken"}
    new = {**arguments, "reference": reference("counter", arguments["slot_id"], arguments["date"])}
    connection.execute("INSERT INTO visits VALUES (:slot_id, :date, :resident_id, :reference)", new)
    return {"status": "booked", "reference": new["reference"], "office": slot["office"]}


def parking_zone(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Parking zone of a street and the yearly fee of a permit."""
    sql = "SELECT zone, yearly_fee FROM streets JOIN zones USING (zone) WHERE street = :street"
    return rows(connection, sql, arguments)


def issue_permit(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Issue a parking permit for the zone a resident lives in."""
    sql = """SELECT yearly_fee FROM residents JOIN streets USING (street) JOIN zones USING (zone)
        WHERE resident_id = :resident_id AND zone = :zone"""
    if (zone := row(connection, sql, arguments)) is None:
        return {"error": "this resident does not live in that zone"}
    if row(connection, "SELECT 1 FROM permits WHERE plate = :plate AND zone = :zone", arguments):
        return {"error": "this plate has a permit already"}
    new = {**arguments, "permit_number": reference("permit", arguments["plate"], arguments["zone"])}
    connection.execute("INSERT INTO permits VALUES (:plate, :zone, :resident_id, :permit_number)", new)
    return {"status": "issued", "permit_number": new["permit_number"], "yearly_fee": zone["yearly_fee"]}


_PLACES_LEFT = "places - (SELECT count(*) FROM pickups p WHERE p.waste_day_id = w.waste_day_id) > 0"


def waste_days(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Days of bulky waste in a district that have places left."""
    sql = f"SELECT waste_day_id, date FROM waste_days w WHERE district = :district AND {_PLACES_LEFT} ORDER BY date"
    return rows(connection, sql, arguments)


def book_pickup(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book the pick-up of one thing at a resident's on a day of their district."""
    sql = f"""SELECT date FROM waste_days w JOIN residents USING (district)
        WHERE waste_day_id = :waste_day_id AND resident_id = :resident_id AND {_PLACES_LEFT}"""
    if (day := row(connection, sql, arguments)) is None:
        return {"error": "no place left on such a day in the district of this resident"}
    key = "waste_day_id = :waste_day_id AND resident_id = :resident_id AND item = :item"
    if row(connection, f"SELECT 1 FROM pickups WHERE {key}", arguments):
        return {"error": "this is booked already"}
    new = {**arguments, "reference": reference("pickup", *(arguments[name] for name in sorted(arguments)))}
    connection.execute("INSERT INTO pickups VALUES (:waste_day_id, :resident_id, :item, :reference)", new)
    return {"status": "booked", "reference": new["reference"], "date": day["date"]}


TOOLS: dict[str, Tool] = {
    one.spec.name: one
    for one in (
        tool(
            MUNICIPAL,
            find_resident,
            "Identify a resident by number and date of birth. Empty if they do not match.",
            {"resident_number": TEXT, "birth_date": DATE},
        ),
        tool(
            MUNICIPAL,
            document_info,
            "Fee, what to bring and days of waiting for a document.",
            {"document": one_of(*DOCUMENTS)},
        ),
        tool(
            MUNICIPAL,
            counter_times,
            "Free counter times for a document on a day.",
            {"document": one_of(*DOCUMENTS), "date": DATE},
        ),
        tool(
            MUNICIPAL,
            book_counter,
            "Book a time found by counter_times.",
            {"resident_id": TEXT, "slot_id": TEXT, "date": DATE},
            is_write=True,
        ),
        tool(MUNICIPAL, parking_zone, "Parking zone of a street and the yearly fee of a permit.", {"street": TEXT}),
        tool(
            MUNICIPAL,
            issue_permit,
            "Issue a parking permit for the zone a resident lives in.",
            {"resident_id": TEXT, "zone": TEXT, "plate": TEXT},
            is_write=True,
        ),
        tool(MUNICIPAL, waste_days, "Coming days of bulky waste in a district.", {"district": TEXT}),
        tool(
            MUNICIPAL,
            book_pickup,
            "Book the pick-up of something bulky on a day found by waste_days.",
            {"resident_id": TEXT, "waste_day_id": TEXT, "item": one_of(*WASTE)},
            is_write=True,
        ),
    )
}
