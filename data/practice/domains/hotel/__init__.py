"""The hotel desk: one practice domain, declared for the machinery of ``data.practice``."""

from __future__ import annotations

from data.practice.declarations import Domain, Policy
from data.practice.domains.hotel.agent_phrases import AGENT_PHRASES
from data.practice.domains.hotel.entities import build
from data.practice.domains.hotel.tasks import ERRANDS, SLOTS, TASKS
from data.practice.domains.hotel.tools import TOOLS
from data.practice.domains.hotel.user_phrases import USER_PHRASES

HOTEL = Domain(
    name="hotel",
    build=build,
    tools=TOOLS,
    slots=SLOTS,
    tasks=TASKS,
    errands=ERRANDS,
    phrases={**USER_PHRASES, **AGENT_PHRASES},
    lasting=("guest_name", "booking_code"),
    outside={
        "weather": None,
        "train times": None,
        "museum tickets": None,
        "football score": None,
        "car rental": None,
        "exchange rate": None,
        "nearest pharmacy": None,
        "flight status": None,
        "swimming pool": "hotel_info",
        "parking fee": "hotel_info",
        "restaurant menu": None,
        "gym hours": "hotel_info",
    },
    person="guest",
    policy=Policy(
        text="Ask for what is missing, two things at most at a time. Offer only what a look-up found. Never touch the "
        "booking of another guest.",
        personal=("find_booking",),
        owners={
            "booking_code": "SELECT guest_name FROM bookings WHERE booking_code = ?",
            "guest_name": "SELECT guest_name FROM bookings WHERE guest_name = ?",
        },
    ),
)
