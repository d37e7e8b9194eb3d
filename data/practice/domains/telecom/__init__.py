"""The telephone company: plans, line tests, technicians' visits and roaming, for holders who know their PIN."""

from __future__ import annotations

from data.practice.declarations import Domain
from data.practice.domains.telecom.agent_phrases import AGENT_PHRASES
from data.practice.domains.telecom.entities import build
from data.practice.domains.telecom.tasks import ERRANDS, POLICY, SLOTS, TASKS
from data.practice.domains.telecom.tools import TOOLS
from data.practice.domains.telecom.user_phrases import USER_PHRASES

TELECOM = Domain(
    name="telecom",
    build=build,
    tools=TOOLS,
    slots=SLOTS,
    tasks=TASKS,
    errands=ERRANDS,
    phrases={**USER_PHRASES, **AGENT_PHRASES},
    lasting=("phone_number", "pin"),
    outside={
        "new handset": None,
        "coverage map": None,
        "television package": None,
        "number of another person": None,
        "repair shop": None,
        "unlocking code": None,
        "Wi-Fi password": None,
        "opening hours of your shop": None,
        "refund of the last invoice": None,
        "election results": None,
    },
    policy=POLICY,
)
