"""What patients come to the clinic for: its slots and tasks, which come together, and the policy.

The whole domain is held out: it is first met in validation.
"""

from __future__ import annotations

from data.practice.declarations import Lookup, Policy, Rule, Slice, Slot, Task
from data.practice.domains.clinic import goals, tools
from data.practice.domains.sql import row

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("name", cues=("name", "who"), spoken="name"),
        Slot("birth_date", "birth_date", cues=("birth", "born"), spoken="date of birth"),
        Slot("date", "date", cues=("day", "date", "when"), spoken="day"),
        Slot(
            "speciality", cues=("speciality", "specialty", "specialist", "department", "kind of doctor", "which doctor")
        ),
        Slot(
            "visit",
            cues=("kind of visit", "type of visit", "visit", "what is it for", "reason"),
            spoken="kind of visit",
            synonyms={
                "first visit": ("first visit", "it's my first visit"),
                "check-up": ("check-up", "a check-up", "just a check-up"),
                "follow-up": ("follow-up", "a follow-up", "it's a follow-up"),
                "vaccination": ("vaccination", "a vaccination"),
            },
        ),
        Slot("medicine", cues=("medicine", "medication", "prescription", "drug")),
        Slot("pharmacy", cues=("pharmacy", "where", "collect", "pick it up")),
        Slot("time", "time"),
        Slot("repeats_left", "count", unit=("repeat", "repeats"), spoken="number of repeats left"),
        *(Slot(name) for name in ("doctor", "room", "appointment_id", "reference")),
    )
}

_WHO = (("name",), ("birth_date",))
_PATIENT = Lookup("find_patient", ("name", "birth_date"), keeps=("patient_id",), revise=("name", "birth_date"))

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "ask_appointment",
            tools.CLINIC,
            goals.ask_appointment,
            needs=_WHO,
            before=(_PATIENT,),
            read="list_appointments",
            read_slots=("patient_id",),
            outcome="tell",
            told=("doctor", "date", "time"),
        ),
        Task(
            "book_appointment",
            tools.CLINIC,
            goals.book_appointment,
            needs=(*_WHO, ("speciality",), ("date",)),
            before=(_PATIENT, Lookup("find_doctors", ("speciality",), keeps=("doctor_id", "doctor"))),
            read="free_times",
            read_slots=("doctor_id", "date"),
            outcome="choose",
            told=("time",),
            then=(("visit",),),
            write="book_appointment",
            carry=("patient_id", "slot_id"),
            write_slots=("date", "visit"),
            confirm=("visit", "doctor", "date", "time"),
            report=("appointment_id", "room"),
        ),
        Task(
            "move_appointment",
            tools.CLINIC,
            goals.move_appointment,
            needs=(*_WHO, ("date",)),
            before=(
                _PATIENT,
                Lookup("list_appointments", ("patient_id",), keeps=("appointment_id", "doctor_id", "doctor")),
            ),
            read="free_times",
            read_slots=("doctor_id", "date"),
            outcome="choose",
            told=("time",),
            write="move_appointment",
            carry=("appointment_id", "slot_id"),
            write_slots=("date",),
            confirm=("doctor", "date", "time"),
            report=("appointment_id", "room"),
        ),
        Task(
            "renew_prescription",
            tools.CLINIC,
            goals.renew_prescription,
            needs=(*_WHO, ("medicine",)),
            before=(_PATIENT,),
            read="list_prescriptions",
            read_slots=("patient_id", "medicine"),
            then=(("pharmacy",),),
            write="renew_prescription",
            carry=("prescription_id",),
            write_slots=("pharmacy",),
            confirm=("medicine", "pharmacy"),
            report=("reference", "repeats_left"),
        ),
    )
}

ERRANDS: dict[Slice, tuple[tuple[str, ...], ...]] = {
    "unseen_in_validation": (
        *[("ask_appointment",)] * 2,
        *[("book_appointment",)] * 6,
        *[("move_appointment",)] * 5,
        *[("renew_prescription",)] * 5,
        *[("renew_prescription", "book_appointment")] * 2,
        *[("ask_appointment", "move_appointment")] * 2,
        ("book_appointment", "renew_prescription"),
        ("ask_appointment", "renew_prescription"),
    ),
}

POLICY = Policy(
    text=(
        "Identify the patient by full name and date of birth before anything that concerns them, and speak of their "
        "own data only. Confirm every booking, move and renewal first. A prescription without repeats cannot be "
        "renewed here: the doctor has to see the patient."
    ),
    verify="find_patient",
    protected=("list_appointments", "book_appointment", "move_appointment", "list_prescriptions", "renew_prescription"),
    owners={
        "patient_id": "SELECT patient_id FROM patients WHERE patient_id = ?",
        "appointment_id": "SELECT patient_id FROM appointments WHERE appointment_id = ?",
        "prescription_id": "SELECT patient_id FROM prescriptions WHERE prescription_id = ?",
    },
    rules=(
        Rule(
            "another_doctor",
            ("move_appointment",),
            lambda connection, call: bool(
                row(
                    connection,
                    """SELECT 1 FROM appointments JOIN hours old USING (slot_id) JOIN hours new
                    ON new.slot_id = :slot_id AND new.doctor_id != old.doctor_id
                    WHERE appointment_id = :appointment_id""",
                    call,
                )
            ),
        ),
    ),
)
