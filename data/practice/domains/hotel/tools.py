"""The hotel's tools: what a model sees of them, and what they do in SQL."""

from __future__ import annotations

import sqlite3
from typing import Any

from data.practice.declarations import Row, Tool
from data.practice.domains.hotel.entities import BREAKFAST_PRICE, ROOM_TYPES
from data.practice.domains.hotel.vocabulary import DIRECTIONS, FACILITIES, SERVICE_PRICES, SERVICES, TREATMENTS
from data.practice.world import fresh_code
from data.schema import ToolSpec

HOTEL, SPA, SHUTTLE = "hotel", "spa", "shuttle"

_DATE = {"type": "string", "format": "date"}
_NAME = {"type": "string"}
_CODE = {"type": "string"}
_COUNT = {"type": "integer"}
_TIME = {"type": "string", "description": "HH:MM"}

#: A room is taken if an active booking of another code overlaps the stay.
_FREE = """NOT EXISTS (SELECT 1 FROM bookings b WHERE b.room_id = r.room_id AND b.status = 'active'
    AND b.booking_code IS NOT :booking_code AND b.check_in < date(:check_in, '+' || :nights || ' days')
    AND date(b.check_in, '+' || b.nights || ' days') > :check_in)"""


def _rows(connection: sqlite3.Connection, sql: str, parameters: Row) -> list[Row]:
    return [dict(row) for row in connection.execute(sql, parameters)]


def _total(price: int, nights: int, breakfast: bool) -> int:
    return nights * (price + (BREAKFAST_PRICE if breakfast else 0))


def search_rooms(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Rooms that are free for the whole stay and large enough, cheapest first."""
    sql = f"""SELECT room_id, room_type, view, price FROM rooms r WHERE capacity >= :guests
        AND (:room_type IS NULL OR room_type = :room_type) AND {_FREE} ORDER BY price, room_id"""
    return _rows(connection, sql, {"room_type": None, "booking_code": None, **arguments})


def book_room(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book a free room; the result has the code and the price of the whole stay."""
    sql = f"SELECT price FROM rooms r WHERE room_id = :room_id AND {_FREE}"
    room = connection.execute(sql, {"booking_code": None, **arguments}).fetchone()
    if room is None:
        return {"error": "room not available"}
    code, breakfast = fresh_code(connection), arguments.get("breakfast", False)
    connection.execute(
        "INSERT INTO bookings VALUES (:code, :room_id, :guest_name, :check_in, :nights, :breakfast, 'active')",
        {**arguments, "code": code, "breakfast": int(breakfast)},
    )
    return {
        "status": "booked",
        "booking_code": code,
        "total_price": _total(room["price"], arguments["nights"], breakfast),
    }


def find_booking(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Active bookings of this code or name."""
    sql = """SELECT booking_code, guest_name, room_type, check_in, nights FROM bookings JOIN rooms USING (room_id)
        WHERE status = 'active' AND (:booking_code IS NULL OR booking_code = :booking_code)
        AND (:guest_name IS NULL OR guest_name = :guest_name) ORDER BY check_in, booking_code"""
    return _rows(connection, sql, {"booking_code": None, "guest_name": None, **arguments})


def change_booking(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Change what is stated of an active booking, if its room is free for the new stay."""
    sql = "SELECT * FROM bookings WHERE booking_code = ? AND status = 'active'"
    booking = connection.execute(sql, (arguments["booking_code"],)).fetchone()
    if booking is None:
        return {"error": "booking not found"}
    new = {**dict(booking), **arguments}
    room = connection.execute(f"SELECT price FROM rooms r WHERE room_id = :room_id AND {_FREE}", new).fetchone()
    if room is None:
        return {"error": "room not available then"}
    connection.execute(
        "UPDATE bookings SET check_in = :check_in, nights = :nights, breakfast = :breakfast "
        "WHERE booking_code = :booking_code",
        {**new, "breakfast": int(new["breakfast"])},
    )
    total = _total(room["price"], new["nights"], bool(new["breakfast"]))
    return {"status": "changed", "booking_code": new["booking_code"], "total_price": total}


def cancel_booking(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Cancel an active booking; the fee is the price of one night."""
    sql = "SELECT price FROM bookings JOIN rooms USING (room_id) WHERE booking_code = ? AND status = 'active'"
    room = connection.execute(sql, (arguments["booking_code"],)).fetchone()
    if room is None:
        return {"error": "booking not found"}
    connection.execute("UPDATE bookings SET status = 'cancelled' WHERE booking_code = ?", (arguments["booking_code"],))
    return {"status": "cancelled", "booking_code": arguments["booking_code"], "fee": room["price"]}


def order_service(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Order a service for the guest of an active booking."""
    sql = "SELECT 1 FROM bookings WHERE booking_code = ? AND status = 'active'"
    if connection.execute(sql, (arguments["booking_code"],)).fetchone() is None:
        return {"error": "booking not found"}
    row = {**arguments, "order_code": fresh_code(connection), "price": SERVICE_PRICES[arguments["service"]]}
    connection.execute("INSERT INTO orders VALUES (:order_code, :booking_code, :service, :date, :time, :price)", row)
    return {"status": "ordered", "order_code": row["order_code"], "price": row["price"]}


def hotel_info(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Place, hours and price of a facility."""
    return _rows(connection, "SELECT * FROM facilities WHERE facility = :facility", arguments)


def spa_search(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Times at which a treatment is free on a day."""
    sql = """SELECT slot_id, time, minutes, price FROM treatments t WHERE treatment = :treatment AND NOT EXISTS
        (SELECT 1 FROM treatment_bookings b WHERE b.slot_id = t.slot_id AND b.date = :date) ORDER BY time"""
    return _rows(connection, sql, arguments)


def spa_book(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book a free treatment slot."""
    sql = """SELECT price FROM treatments t WHERE slot_id = :slot_id AND NOT EXISTS
        (SELECT 1 FROM treatment_bookings b WHERE b.slot_id = t.slot_id AND b.date = :date)"""
    if (slot := connection.execute(sql, arguments).fetchone()) is None:
        return {"error": "slot not available"}
    row = {**arguments, "confirmation": fresh_code(connection)}
    connection.execute("INSERT INTO treatment_bookings VALUES (:confirmation, :slot_id, :date, :guest_name)", row)
    return {"status": "booked", "confirmation": row["confirmation"], "price": slot["price"]}


_SEATS_LEFT = """seats - (SELECT coalesce(sum(passengers), 0) FROM shuttle_bookings b
    WHERE b.shuttle_id = s.shuttle_id AND b.date = :date) >= :passengers"""


def shuttle_search(connection: sqlite3.Connection, arguments: Row) -> list[Row]:
    """Shuttles with enough seats left on a day; the price is per passenger."""
    sql = f"""SELECT shuttle_id, departs, price FROM shuttles s WHERE direction = :direction AND {_SEATS_LEFT}
        ORDER BY departs"""
    return _rows(connection, sql, arguments)


def shuttle_book(connection: sqlite3.Connection, arguments: Row) -> Row:
    """Book seats on a shuttle."""
    sql = f"SELECT price FROM shuttles s WHERE shuttle_id = :shuttle_id AND {_SEATS_LEFT}"
    if (shuttle := connection.execute(sql, arguments).fetchone()) is None:
        return {"error": "not enough seats"}
    row = {**arguments, "confirmation": fresh_code(connection)}
    connection.execute(
        "INSERT INTO shuttle_bookings VALUES (:confirmation, :shuttle_id, :date, :passengers, :guest_name)", row
    )
    total = shuttle["price"] * arguments["passengers"]
    return {"status": "booked", "confirmation": row["confirmation"], "total_price": total}


def _tool(
    domain: str,
    run: Any,
    description: str,
    properties: dict[str, Any],
    *,
    optional: tuple[str, ...] = (),
    is_write: bool = False,
) -> Tool:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    spec = ToolSpec(name=run.__name__, description=description, parameters=parameters, is_write=is_write)
    return Tool(spec=spec, domain=domain, run=run)


_REFERENCE = {"booking_code": _CODE, "guest_name": _NAME}

TOOLS: dict[str, Tool] = {
    tool.spec.name: tool
    for tool in (
        _tool(
            HOTEL,
            search_rooms,
            "Free rooms for a stay, with price per night.",
            {
                "check_in": _DATE,
                "nights": _COUNT,
                "guests": _COUNT,
                "room_type": {"type": "string", "enum": [*ROOM_TYPES]},
            },
            optional=("room_type",),
        ),
        _tool(
            HOTEL,
            book_room,
            "Book a room found by search_rooms.",
            {
                "room_id": _CODE,
                "guest_name": _NAME,
                "check_in": _DATE,
                "nights": _COUNT,
                "breakfast": {"type": "boolean"},
            },
            optional=("breakfast",),
            is_write=True,
        ),
        _tool(
            HOTEL,
            find_booking,
            "Look up a booking by its code or by the guest's name.",
            _REFERENCE,
            optional=("booking_code", "guest_name"),
        ),
        _tool(
            HOTEL,
            change_booking,
            "Change the arrival, nights or breakfast of a booking.",
            {"booking_code": _CODE, "check_in": _DATE, "nights": _COUNT, "breakfast": {"type": "boolean"}},
            optional=("check_in", "nights", "breakfast"),
            is_write=True,
        ),
        _tool(HOTEL, cancel_booking, "Cancel a booking.", {"booking_code": _CODE}, is_write=True),
        _tool(
            HOTEL,
            order_service,
            "Order a service for a guest with a booking.",
            {"booking_code": _CODE, "service": {"type": "string", "enum": [*SERVICES]}, "date": _DATE, "time": _TIME},
            is_write=True,
        ),
        _tool(
            HOTEL,
            hotel_info,
            "Place, opening hours and price of a facility.",
            {"facility": {"type": "string", "enum": [*FACILITIES]}},
        ),
        _tool(
            SPA,
            spa_search,
            "Free times for a spa treatment on a day.",
            {"treatment": {"type": "string", "enum": [*TREATMENTS]}, "date": _DATE},
        ),
        _tool(
            SPA,
            spa_book,
            "Book a time found by spa_search.",
            {"slot_id": _CODE, "date": _DATE, "guest_name": _NAME},
            is_write=True,
        ),
        _tool(
            SHUTTLE,
            shuttle_search,
            "Airport shuttles with free seats on a day, price per passenger.",
            {"direction": {"type": "string", "enum": [*DIRECTIONS]}, "date": _DATE, "passengers": _COUNT},
        ),
        _tool(
            SHUTTLE,
            shuttle_book,
            "Book seats on a shuttle found by shuttle_search.",
            {"shuttle_id": _CODE, "date": _DATE, "passengers": _COUNT, "guest_name": _NAME},
            is_write=True,
        ),
    )
}
