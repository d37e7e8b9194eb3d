"""The mail-order shop: parcels, returns, exchanges and cancellations of seeded orders."""

from __future__ import annotations

from data.practice.declarations import Domain
from data.practice.domains.retail.agent_phrases import AGENT_PHRASES
from data.practice.domains.retail.entities import build
from data.practice.domains.retail.tasks import ERRANDS, POLICY, SLOTS, TASKS
from data.practice.domains.retail.tools import TOOLS
from data.practice.domains.retail.user_phrases import USER_PHRASES

RETAIL = Domain(
    name="retail",
    build=build,
    tools=TOOLS,
    slots=SLOTS,
    tasks=TASKS,
    errands=ERRANDS,
    phrases={**USER_PHRASES, **AGENT_PHRASES},
    lasting=("email", "postcode"),
    outside={
        "student discount": None,
        "opening hours": None,
        "size chart": None,
        "next sale": None,
        "gift wrapping": None,
        "shop in my town": None,
        "repair service": None,
        "loyalty points": None,
        "job openings": None,
        "washing instructions": None,
    },
    policy=POLICY,
)
