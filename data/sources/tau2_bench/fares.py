"""What the airline's tools find out about flights, and how they check and take payments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data.sources.tau2_bench.common import found, payment_method
from data.sources.tau2_bench.database import Database, Row
from data.sources.tau2_bench.toolbox import Refused


def on_day(database: Database, flight_number: str, date: str) -> Row:
    """How a flight stands on a day.

    Raises:
        Refused: There is no such flight, or not on that day.
    """
    flight = found(database, "flights", flight_number, "flight")
    if date not in flight["dates"]:
        raise Refused(f"flight {flight_number} does not leave on {date}")
    return dict(flight["dates"][date])


def bookable(database: Database, date: str, origin: str) -> Iterator[Row]:
    """The flights from an airport on a day that can be booked, with their seats and prices."""
    for flight in database.rows("flights"):
        day = flight["dates"].get(date)
        if flight["origin"] == origin and day and day["status"] == "available":
            yield {name: value for name, value in flight.items() if name != "dates"} | day


def new_leg(database: Database, wanted: Row, cabin: str, heads: int) -> Row:
    """A flight as a reservation stores it, at the day's price.

    Raises:
        Refused: It cannot be booked, or has too few seats.
    """
    number, date = wanted["flight_number"], wanted["date"]
    day = on_day(database, number, date)
    if day["status"] != "available":
        raise Refused(f"flight {number} on {date} is {day['status']} and cannot be booked")
    if day["available_seats"][cabin] < heads:
        raise Refused(f"flight {number} on {date} has not {heads} seats left in {cabin}")
    flight = found(database, "flights", number, "flight")
    route = {name: flight[name] for name in ("origin", "destination", "flight_number")}
    return {**route, "date": date, "price": day["prices"][cabin]}


def kept_leg(reservation: Row, wanted: Row, cabin: str) -> Row | None:
    """The flight if it is in the reservation in this class already."""
    same = (wanted["flight_number"], wanted["date"], cabin)
    for stored in reservation["flights"]:
        if (stored["flight_number"], stored["date"], reservation["cabin"]) == same:
            return dict(stored)
    return None


def seats_price(legs: Sequence[Row], heads: int) -> int:
    """What the flights cost for so many passengers, without fees."""
    return sum(leg["price"] * heads for leg in legs)


def check_payments(database: Database, user_id: str, payments: Sequence[Row], price: int) -> None:
    """See that payments can be made and add up to the price.

    Raises:
        Refused: A method is unknown or holds too little, or the sum is another.
    """
    used_up: set[str] = set()
    for payment in payments:
        method = payment_method(database, user_id, payment["payment_id"])
        if method["source"] != "credit_card" and method["amount"] < payment["amount"]:
            raise Refused(f"{payment['payment_id']} holds less than {payment['amount']}")
        if payment["payment_id"] in used_up:
            raise Refused("a certificate pays once")
        if method["source"] == "certificate":
            used_up.add(payment["payment_id"])
    if (paid := sum(payment["amount"] for payment in payments)) != price:
        raise Refused(f"the price is {price} in all, the payments add up to {paid}")


def charge(database: Database, user_id: str, payment_id: str, amount: int) -> None:
    """Take an amount off a gift card; a certificate is used up whole, a credit card shows nothing here."""
    methods = database.edit("users", user_id)["payment_methods"]
    if methods[payment_id]["source"] == "gift_card":
        methods[payment_id]["amount"] -= amount
    elif methods[payment_id]["source"] == "certificate":
        del methods[payment_id]


def pay_for_change(database: Database, reservation: Row, payment_id: str, price: int) -> None:
    """Take, or give back, the difference a change makes, and note it in the reservation.

    Raises:
        Refused: The method is unknown, a certificate, or a gift card that holds too little.
    """
    user_id, code = reservation["user_id"], reservation["reservation_id"]
    method = payment_method(database, user_id, payment_id)
    if method["source"] == "certificate":
        raise Refused("certificates do not pay for changes")
    if method["source"] == "gift_card" and method["amount"] < price:
        raise Refused(f"gift card {payment_id} holds less than {price}")
    charge(database, user_id, payment_id, price)
    if price:
        database.edit("reservations", code)["payment_history"].append({"payment_id": payment_id, "amount": price})
