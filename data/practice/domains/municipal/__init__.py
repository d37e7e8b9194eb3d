"""The municipal office: counter times, parking permits and bulky waste. Held out for the test."""

from __future__ import annotations

from data.practice.declarations import Domain
from data.practice.domains.municipal.agent_phrases import AGENT_PHRASES
from data.practice.domains.municipal.entities import build
from data.practice.domains.municipal.tasks import ERRANDS, POLICY, SLOTS, TASKS
from data.practice.domains.municipal.tools import TOOLS
from data.practice.domains.municipal.user_phrases import USER_PHRASES

MUNICIPAL = Domain(
    name="municipal",
    build=build,
    tools=TOOLS,
    slots=SLOTS,
    tasks=TASKS,
    errands=ERRANDS,
    phrases={**USER_PHRASES, **AGENT_PHRASES},
    lasting=("resident_number", "birth_date"),
    outside={
        "mayor's speech": None,
        "swimming pool hours": None,
        "school holidays": None,
        "tax return": None,
        "fireworks": None,
        "bus timetable": None,
        "noise complaint": None,
        "dog licence": None,
        "street market": None,
        "building permit": None,
    },
    policy=POLICY,
    person="citizen",
)
