"""The hotel desk: one practice domain, declared for the machinery of ``data.practice``."""

from __future__ import annotations

from data.practice.declarations import Domain
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
)
