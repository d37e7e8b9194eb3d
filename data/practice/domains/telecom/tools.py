"""The telephone company's tools: what a model sees of them, and what they do in SQL."""

from __future__ import annotations

import sqlite3

from data.practice.declarations import Row, Tool
from data.practice.domains.sql import DATE, TEXT, count, one_of, reference, row, rows, tool
from data.practice.domains.telecom.vocabulary import ZONES

TELECOM, ROAMING = "telecom", "roaming"


def identify_line(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """The line whose number and PIN match."""
    sql = "SELECT line_id, name, area FROM lines WHERE phone_number = :phone_number AND pin = :pin"
    return rows(connection, sql, arguments)


def get_usage(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Plan of a line and the data it used this month."""
    sql = """SELECT plan, used_gb, data_gb, price FROM lines JOIN plans USING (plan_id) WHERE line_id = :line_id"""
    return rows(connection, sql, arguments)


def list_plans(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Plans with at least that much data, cheapest first."""
    return rows(connection, "SELECT * FROM plans WHERE data_gb >= :min_gb ORDER BY price", arguments)


def change_plan(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Put a line on another plan."""
    plan = row(connection, "SELECT plan, price FROM plans WHERE plan_id = :plan_id", arguments)
    line = row(connection, "SELECT plan_id FROM lines WHERE line_id = :line_id", arguments)
    if plan is None or line is None:
        return {"error": "plan not found" if plan is None else "line not found"}
    if line["plan_id"] == arguments["plan_id"]:
        return {"error": "the line is on this plan already"}
    connection.execute("UPDATE lines SET plan_id = :plan_id WHERE line_id = :line_id", arguments)
    return {"status": "changed", "plan": plan["plan"], "price": plan["price"]}


def check_line(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """What a test of the line finds."""
    return rows(connection, "SELECT fault FROM lines WHERE line_id = :line_id", arguments)


def technician_times(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Free times of technicians in an area on a day."""
    sql = """SELECT slot_id, time FROM visit_times t WHERE area = :area AND NOT EXISTS
        (SELECT 1 FROM visits v WHERE v.slot_id = t.slot_id AND v.date = :date) ORDER BY time"""
    return rows(connection, sql, arguments)


def book_technician(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book a technician's free time for a line of the same area."""
    sql = """SELECT time FROM visit_times JOIN lines USING (area) WHERE slot_id = :slot_id AND line_id = :line_id"""
    if (slot := row(connection, sql, arguments)) is None:
        return {"error": "no such time in the area of this line"}
    if row(connection, "SELECT 1 FROM visits WHERE slot_id = :slot_id AND date = :date", arguments):
        return {"error": "time is taken"}
    new = {**arguments, "reference": reference("visit", arguments["slot_id"], arguments["date"])}
    connection.execute("INSERT INTO visits VALUES (:slot_id, :date, :line_id, :reference)", new)
    return {"status": "booked", "reference": new["reference"], "time": slot["time"]}


def roaming_packs(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Roaming packs of a zone, cheapest first."""
    return rows(connection, "SELECT pack_id, pack_gb, price FROM packs WHERE zone = :zone ORDER BY price", arguments)


def roaming_add(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Add a roaming pack to a line from a day on."""
    pack = row(connection, "SELECT price FROM packs WHERE pack_id = :pack_id", arguments)
    if pack is None or row(connection, "SELECT 1 FROM lines WHERE line_id = :line_id", arguments) is None:
        return {"error": "pack not found" if pack is None else "line not found"}
    key = "line_id = :line_id AND pack_id = :pack_id AND start_date = :start_date"
    if row(connection, f"SELECT 1 FROM booked_packs WHERE {key}", arguments):
        return {"error": "the line has this pack already"}
    parts = (arguments[name] for name in ("line_id", "pack_id", "start_date"))
    new = {**arguments, "reference": reference("roaming", *parts)}
    connection.execute("INSERT INTO booked_packs VALUES (:line_id, :pack_id, :start_date, :reference)", new)
    return {"status": "added", "reference": new["reference"], "price": pack["price"]}


TOOLS: dict[str, Tool] = {
    one.spec.name: one
    for one in (
        tool(
            TELECOM,
            identify_line,
            "Identify the holder of a line by phone number and PIN. Empty if they do not match.",
            {"phone_number": TEXT, "pin": TEXT},
        ),
        tool(TELECOM, get_usage, "Plan and data used this month of a line.", {"line_id": TEXT}),
        tool(TELECOM, list_plans, "Plans with at least min_gb of data, cheapest first.", {"min_gb": count(1000)}),
        tool(TELECOM, change_plan, "Change the plan of a line.", {"line_id": TEXT, "plan_id": TEXT}, is_write=True),
        tool(TELECOM, check_line, "Test a line for faults.", {"line_id": TEXT}),
        tool(
            TELECOM,
            technician_times,
            "Free times of a technician in an area on a day.",
            {"area": TEXT, "date": DATE},
        ),
        tool(
            TELECOM,
            book_technician,
            "Book a time found by technician_times.",
            {"line_id": TEXT, "slot_id": TEXT, "date": DATE},
            is_write=True,
        ),
        tool(ROAMING, roaming_packs, "Roaming packs for a zone, cheapest first.", {"zone": one_of(*ZONES)}),
        tool(
            ROAMING,
            roaming_add,
            "Add a roaming pack found by roaming_packs to a line.",
            {"line_id": TEXT, "pack_id": TEXT, "start_date": DATE},
            is_write=True,
        ),
    )
}
