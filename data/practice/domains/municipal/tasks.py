"""What citizens come to the office for: its slots and tasks, which come together, and the policy.

The whole domain is held out: it is first met in the test.
"""

from __future__ import annotations

from data.practice.declarations import Lookup, Policy, Rule, Slice, Slot, Task
from data.practice.domains.municipal import goals, tools
from data.practice.domains.municipal.vocabulary import DOCUMENTS, WASTE
from data.practice.domains.sql import row

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("resident_number", cues=("resident n", "resident id", "citizen n"), spoken="resident number"),
        Slot("birth_date", "birth_date", cues=("birth", "born"), spoken="date of birth"),
        Slot(
            "document",
            cues=("document", "which paper", "what do you need"),
            synonyms={name: (f"{'an' if name[0] in 'aeiou' else 'a'} {name}", f"a new {name}") for name in DOCUMENTS},
        ),
        Slot("date", "date", cues=("day", "date", "when"), spoken="day"),
        Slot("plate", cues=("plate", "registration", "licence number"), spoken="plate"),
        Slot(
            "item",
            cues=("what shall we", "what is to be", "what item", "item", "picked up", "fetch"),
            synonyms={name: (f"a {name}", f"an old {name}") for name in WASTE},
        ),
        Slot("days", "count", unit=("day", "days"), spoken="waiting time"),
        Slot("time", "time"),
        Slot("bring", spoken="list of what to bring"),
        *(Slot(name) for name in ("office", "fee", "zone", "yearly_fee", "street", "permit_number", "reference")),
    )
}

_WHO = (("resident_number",), ("birth_date",))
_REVISE = ("resident_number", "birth_date")

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "ask_document",
            tools.MUNICIPAL,
            goals.ask_document,
            read="document_info",
            read_slots=("document",),
            outcome="tell",
            told=("fee", "bring", "days"),
            core=("document",),
        ),
        Task(
            "book_counter",
            tools.MUNICIPAL,
            goals.book_counter,
            needs=(*_WHO, ("date",)),
            before=(Lookup("find_resident", _REVISE, keeps=("resident_id",), revise=_REVISE),),
            read="counter_times",
            read_slots=("document", "date"),
            outcome="choose",
            told=("office", "time"),
            after=(Lookup("document_info", ("document",), keeps=("fee", "bring")),),
            write="book_counter",
            carry=("resident_id", "slot_id"),
            write_slots=("date",),
            confirm=("document", "office", "date", "time", "fee", "bring"),
            report=("reference", "office"),
            core=("document",),
        ),
        Task(
            "get_permit",
            tools.MUNICIPAL,
            goals.get_permit,
            needs=_WHO,
            before=(Lookup("find_resident", _REVISE, keeps=("resident_id", "street"), revise=_REVISE),),
            read="parking_zone",
            read_slots=("street",),
            told=("zone", "yearly_fee"),
            then=(("plate",),),
            write="issue_permit",
            carry=("resident_id", "zone"),
            write_slots=("plate",),
            confirm=("zone", "plate", "yearly_fee"),
            report=("permit_number", "yearly_fee"),
        ),
        Task(
            "book_pickup",
            tools.MUNICIPAL,
            goals.book_pickup,
            needs=_WHO,
            before=(Lookup("find_resident", _REVISE, keeps=("resident_id", "district"), revise=_REVISE),),
            read="waste_days",
            read_slots=("district",),
            outcome="choose",
            told=("date",),
            then=(("item",),),
            write="book_pickup",
            carry=("resident_id", "waste_day_id"),
            write_slots=("item",),
            confirm=("item", "date"),
            report=("reference", "date"),
        ),
    )
}

ERRANDS: dict[Slice, tuple[tuple[str, ...], ...]] = {
    "unseen_in_test": (
        *[("ask_document",)] * 2,
        *[("book_counter",)] * 6,
        *[("get_permit",)] * 5,
        *[("book_pickup",)] * 5,
        *[("ask_document", "book_counter")] * 2,
        *[("book_counter", "get_permit")] * 2,
        ("get_permit", "book_pickup"),
        ("book_pickup", "ask_document"),
    ),
}

POLICY = Policy(
    text=(
        "Identify the citizen by resident number and date of birth before any booking or permit; anybody may ask about "
        "documents. Permits are for the zone of the citizen's own street, pick-ups for their own district. Confirm "
        "every booking and permit first, with its fee if there is one."
    ),
    verify="find_resident",
    protected=tuple(name for name, tool in tools.TOOLS.items() if tool.spec.is_write),
    owners={"resident_id": "SELECT resident_id FROM residents WHERE resident_id = ?"},
    rules=(
        Rule(
            "another_zone",
            ("issue_permit",),
            lambda connection, call: (
                not row(
                    connection,
                    """SELECT 1 FROM residents JOIN streets USING (street)
                WHERE resident_id = :resident_id AND zone = :zone""",
                    call,
                )
            ),
        ),
    ),
)
