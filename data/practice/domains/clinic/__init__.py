"""The clinic: appointments and prescriptions of patients who have to be identified first. Held out for validation."""

from __future__ import annotations

from data.practice.declarations import Domain
from data.practice.domains.clinic.agent_phrases import AGENT_PHRASES
from data.practice.domains.clinic.entities import build
from data.practice.domains.clinic.tasks import ERRANDS, POLICY, SLOTS, TASKS
from data.practice.domains.clinic.tools import TOOLS
from data.practice.domains.clinic.user_phrases import USER_PHRASES

CLINIC = Domain(
    name="clinic",
    build=build,
    tools=TOOLS,
    slots=SLOTS,
    tasks=TASKS,
    errands=ERRANDS,
    phrases={**USER_PHRASES, **AGENT_PHRASES},
    lasting=("name", "birth_date"),
    outside={
        "test results": None,
        "sick note": None,
        "insurance cover": None,
        "visiting hours": None,
        "bus to the clinic": None,
        "side effects": None,
        "home visit": None,
        "nearest hospital": None,
        "canteen menu": None,
        "vaccination passport": None,
    },
    policy=POLICY,
    person="patient",
)
