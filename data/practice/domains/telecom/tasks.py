"""What customers come to the telephone company for: its slots and tasks, which come together, and the policy."""

from __future__ import annotations

from data.practice.declarations import Lookup, Policy, Rule, Slice, Slot, Task
from data.practice.domains.sql import row
from data.practice.domains.telecom import goals, tools

_GB = ("GB", "GB")

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("phone_number", cues=("phone", "mobile number", "line is it", "which line"), spoken="phone number"),
        Slot("pin", cues=("pin", "code", "password"), spoken="PIN"),
        Slot("min_gb", "count", unit=_GB, cues=("how much data", "how many gb", "gigabyte", "data"), spoken="data"),
        Slot("date", "date", cues=("day", "date", "when"), spoken="day"),
        Slot("start_date", "date", cues=("start", "begin", "from when", "when", "travel"), spoken="start"),
        Slot("zone", cues=("where", "zone", "region", "continent", "destination"), spoken="zone"),
        Slot("time", "time"),
        Slot("data_gb", "count", unit=_GB, spoken="included data"),
        Slot("used_gb", "count", unit=_GB, spoken="data I used"),
        Slot("pack_gb", "count", unit=_GB, spoken="size of the pack"),
        *(Slot(name) for name in ("plan", "price", "fault", "reference", "name", "area")),
    )
}

_WHO = (("phone_number",), ("pin",))
_IDENTIFY = Lookup("identify_line", ("phone_number", "pin"), keeps=("line_id", "area"), revise=("phone_number", "pin"))
_TEST = Lookup("check_line", ("line_id",), keeps=("fault",))

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "ask_usage",
            tools.TELECOM,
            goals.ask_usage,
            needs=_WHO,
            before=(_IDENTIFY,),
            read="get_usage",
            read_slots=("line_id",),
            outcome="tell",
            told=("plan", "used_gb", "data_gb"),
        ),
        Task(
            "check_line",
            tools.TELECOM,
            goals.ask_usage,
            needs=_WHO,
            before=(_IDENTIFY,),
            read="check_line",
            read_slots=("line_id",),
            outcome="tell",
            told=("fault",),
        ),
        Task(
            "change_plan",
            tools.TELECOM,
            goals.change_plan,
            needs=(*_WHO, ("min_gb",)),
            before=(_IDENTIFY,),
            read="list_plans",
            read_slots=("min_gb",),
            outcome="choose",
            told=("plan", "data_gb", "price"),
            write="change_plan",
            carry=("line_id", "plan_id"),
            confirm=("phone_number", "plan", "data_gb", "price"),
            report=("plan", "price"),
        ),
        Task(
            "book_technician",
            tools.TELECOM,
            goals.book_technician,
            needs=(*_WHO, ("date",)),
            before=(_IDENTIFY, _TEST),
            read="technician_times",
            read_slots=("area", "date"),
            outcome="choose",
            told=("time",),
            write="book_technician",
            carry=("line_id", "slot_id"),
            write_slots=("date",),
            confirm=("fault", "date", "time"),
            report=("reference", "time"),
        ),
        Task(
            "roaming_add",
            tools.ROAMING,
            goals.roaming_add,
            needs=(*_WHO, ("zone",)),
            before=(_IDENTIFY,),
            read="roaming_packs",
            read_slots=("zone",),
            outcome="choose",
            told=("pack_gb", "price"),
            then=(("start_date",),),
            write="roaming_add",
            carry=("line_id", "pack_id"),
            write_slots=("start_date",),
            confirm=("pack_gb", "zone", "start_date", "price"),
            report=("reference", "price"),
        ),
    )
}

ERRANDS: dict[Slice, tuple[tuple[str, ...], ...]] = {
    "seen": (
        *[("ask_usage",)] * 2,
        ("check_line",),
        *[("change_plan",)] * 7,
        *[("book_technician",)] * 7,
        *[("ask_usage", "change_plan")] * 4,
        *[("check_line", "book_technician")] * 2,
        *[("change_plan", "book_technician")] * 2,
        ("check_line", "change_plan"),
        ("book_technician", "ask_usage"),
    ),
    "unseen_in_validation": (("roaming_add",),),
}

POLICY = Policy(
    text=(
        "Identify the line by phone number and PIN before anything else. Test a line before sending a technician. "
        "Confirm the change of a plan, a visit or a pack with its price before you make it."
    ),
    verify="identify_line",
    protected=("get_usage", "change_plan", "check_line", "book_technician", "roaming_add"),
    owners={"line_id": "SELECT line_id FROM lines WHERE line_id = ?"},
    first={"book_technician": ("check_line", "line_id")},
    rules=(
        Rule(
            "technician_without_need",
            ("book_technician",),
            lambda connection, call: bool(
                row(connection, "SELECT 1 FROM lines WHERE line_id = :line_id AND fault = 'no fault'", call)
            ),
        ),
    ),
)
