"""Names and categories of the telephone company."""

from __future__ import annotations

COMPANIES = (
    "Lumen Mobile", "Telvia", "Norrland Telecom", "Orbit Connect", "Palisade Mobile", "Quanta Tel", "Redstart Mobile",
    "Signal House", "Tandem Telecom", "Vento Mobile", "Wavecrest", "Zephyr Connect",
)  # fmt: skip
PLANS = (
    "Mini", "Light", "Basic", "Comfort", "Family", "Plus", "Max", "Flex", "Student", "Traveller", "Home", "Giga",
)  # fmt: skip
AREAS = ("north", "south", "east", "west", "harbour", "old town", "hillside")
ZONES = {
    "Europe": (6, 15), "North America": (12, 30), "South America": (15, 35), "Asia": (12, 32), "Africa": (14, 36),
    "Oceania": (16, 40),
}  # fmt: skip
#: What a line test may find, and whether a technician has to come for it.
FAULTS = {
    "no fault": False, "weak signal": False, "router outdated": True, "damaged cable": True, "faulty socket": True,
}  # fmt: skip
