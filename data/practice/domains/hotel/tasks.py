"""What guests come for: the hotel's slots and tasks, and which tasks come together."""

from __future__ import annotations

from data.practice.declarations import Slice, Slot, Task
from data.practice.domains.hotel import goals, tools
from data.practice.domains.hotel.vocabulary import TREATMENTS

_PEOPLE = {
    1: ("1 person", "one person", "just me", "myself only", "1 guest"),
    **{n: (f"{n} people", f"{word} people", f"{n} guests", f"{word} of us", f"{n} adults") for n, word in
       ((2, "two"), (3, "three"), (4, "four"), (5, "five"))},
}  # fmt: skip

SLOTS: dict[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("check_in", "date", cues=("arriv", "check-in"), spoken="arrival"),
        Slot("date", "date"),
        Slot("time", "time"),
        Slot("departs", "time"),
        Slot("nights", "count", unit=("night", "nights")),
        Slot("guests", "count", unit=("guest", "guests"), synonyms=_PEOPLE),
        Slot("passengers", "count", unit=("passenger", "passengers"), synonyms=_PEOPLE),
        Slot("breakfast", "boolean"),
        Slot(
            "service",
            synonyms={
                "dinner table": ("a dinner table", "a table for dinner"),
                "wake-up call": ("a wake-up call", "a wake up call"),
                "breakfast in room": ("breakfast in my room", "breakfast in the room"),
                "luggage pickup": ("a luggage pickup", "someone to pick up our luggage"),
                "laundry pickup": ("a laundry pickup", "someone to collect my laundry"),
            },
        ),
        Slot(
            "facility",
            synonyms={
                "pool": ("the pool", "the swimming pool"),
                "gym": ("the gym", "the fitness room"),
                "breakfast": ("breakfast", "the breakfast"),
                "restaurant": ("the restaurant", "the dining room"),
                "bar": ("the bar", "the cocktail bar"),
                "parking": ("parking", "the car park"),
            },
        ),
        Slot("treatment", synonyms={name: (f"a {name}",) for name in TREATMENTS}),
        *(
            Slot(name)
            for name in (
                *("room_type", "guest_name", "booking_code", "direction", "view", "price", "total_price", "fee"),
                *("place", "opens", "closes", "order_code", "confirmation"),
            )
        ),
    )
}


_BY_REFERENCE = (("booking_code", "guest_name"),)
_REFERENCE = ("booking_code", "guest_name")

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "book_room",
            tools.HOTEL,
            goals.book_room,
            needs=(("check_in",), ("nights",), ("guests",)),
            read="search_rooms",
            read_slots=("check_in", "nights", "guests", "room_type"),
            outcome="choose",
            told=("room_type", "view", "price"),
            revise=("room_type",),
            then=(("guest_name",),),
            write="book_room",
            carry=("room_id",),
            write_slots=("guest_name", "check_in", "nights", "breakfast"),
            confirm=("room_type", "check_in", "nights", "guest_name", "breakfast"),
            report=("booking_code", "total_price"),
        ),
        Task(
            "find_booking",
            tools.HOTEL,
            goals.find_booking,
            needs=_BY_REFERENCE,
            read="find_booking",
            read_slots=_REFERENCE,
            told=("room_type", "check_in", "nights"),
            revise=_REFERENCE,
        ),
        Task(
            "change_booking",
            tools.HOTEL,
            goals.change_booking,
            needs=_BY_REFERENCE,
            read="find_booking",
            read_slots=_REFERENCE,
            revise=_REFERENCE,
            then=(("check_in", "nights", "breakfast"),),
            write="change_booking",
            carry=("booking_code",),
            write_slots=("check_in", "nights", "breakfast"),
            confirm=("booking_code", "check_in", "nights", "breakfast"),
            report=("booking_code", "total_price"),
            amend=("check_in", "nights"),
        ),
        Task(
            "cancel_booking",
            tools.HOTEL,
            goals.find_booking,
            needs=_BY_REFERENCE,
            read="find_booking",
            read_slots=_REFERENCE,
            told=("check_in", "nights"),
            revise=_REFERENCE,
            write="cancel_booking",
            carry=("booking_code",),
            confirm=("booking_code", "check_in", "nights"),
            report=("booking_code", "fee"),
        ),
        Task(
            "order_service",
            tools.HOTEL,
            goals.order_service,
            needs=_BY_REFERENCE,
            read="find_booking",
            read_slots=_REFERENCE,
            revise=_REFERENCE,
            then=(("date",), ("time",)),
            write="order_service",
            carry=("booking_code",),
            write_slots=("service", "date", "time"),
            confirm=("service", "booking_code", "date", "time"),
            report=("order_code", "price"),
            core=("service",),
        ),
        Task(
            "ask_facility",
            tools.HOTEL,
            goals.ask_facility,
            read="hotel_info",
            read_slots=("facility",),
            outcome="tell",
            told=("facility", "place", "opens", "closes", "price"),
            core=("facility",),
        ),
        Task(
            "spa_book",
            tools.SPA,
            goals.spa_book,
            needs=(("date",),),
            read="spa_search",
            read_slots=("treatment", "date"),
            outcome="choose",
            told=("time", "price"),
            revise=("date",),
            then=(("guest_name",),),
            write="spa_book",
            carry=("slot_id",),
            write_slots=("date", "guest_name"),
            confirm=("treatment", "date", "time", "guest_name"),
            report=("confirmation", "price"),
            core=("treatment",),
        ),
        Task(
            "spa_ask",
            tools.SPA,
            goals.spa_ask,
            needs=(("date",),),
            read="spa_search",
            read_slots=("treatment", "date"),
            outcome="tell",
            told=("time", "price"),
            core=("treatment",),
        ),
        Task(
            "shuttle_book",
            tools.SHUTTLE,
            goals.shuttle_book,
            needs=(("date",), ("passengers",)),
            read="shuttle_search",
            read_slots=("direction", "date", "passengers"),
            outcome="choose",
            told=("departs", "price"),
            revise=("date",),
            then=(("guest_name",),),
            write="shuttle_book",
            carry=("shuttle_id",),
            write_slots=("date", "passengers", "guest_name"),
            confirm=("direction", "date", "departs", "passengers", "guest_name"),
            report=("confirmation", "total_price"),
            core=("direction",),
        ),
        Task(
            "shuttle_ask",
            tools.SHUTTLE,
            goals.shuttle_ask,
            needs=(("date",), ("passengers",)),
            read="shuttle_search",
            read_slots=("direction", "date", "passengers"),
            outcome="tell",
            told=("departs", "price"),
            core=("direction",),
        ),
    )
}

ERRANDS: dict[Slice, tuple[tuple[str, ...], ...]] = {
    "seen": (
        *[("book_room",)] * 9,
        *[("find_booking",)] * 2,
        *[("change_booking",)] * 3,
        *[("cancel_booking",)] * 3,
        *[("order_service",)] * 4,
        ("ask_facility",),
        *[("ask_facility", "book_room")] * 2,
        ("ask_facility", "order_service"),
        ("ask_facility", "change_booking"),
        *[("find_booking", "order_service")] * 2,
        ("find_booking", "cancel_booking"),
        ("find_booking", "change_booking"),
        ("find_booking", "ask_facility"),
        *[("book_room", "ask_facility")] * 2,
        ("cancel_booking", "ask_facility"),
        ("order_service", "ask_facility"),
    ),
    "unseen_in_validation": (*[("spa_book",)] * 4, ("spa_ask",), ("spa_ask", "spa_ask")),
    "unseen_in_test": (*[("shuttle_book",)] * 4, ("shuttle_ask",), ("shuttle_ask", "shuttle_ask")),
    "mixed": (
        *[("ask_facility", "shuttle_book")] * 2,
        *[("find_booking", "shuttle_book")] * 2,
        ("find_booking", "shuttle_ask"),
        ("order_service", "shuttle_ask"),
        ("cancel_booking", "shuttle_ask"),
        ("change_booking", "shuttle_ask"),
    ),
}
