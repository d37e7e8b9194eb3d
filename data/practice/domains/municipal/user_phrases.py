"""How citizens speak: ``user.open`` begins a task, ``inline`` continues its sentence, ``tell`` is one of its own."""

from __future__ import annotations

USER_PHRASES: dict[str, tuple[str, ...]] = {
    # Openings
    "user.open.ask_document": (
        "[what do I need|what must I bring] for {document}",
        "[how long does it take|what does it cost] to get {document}",
        "[can you|could you] [tell me|explain] [how to get|what I need for] {document}",
        "[I have a question about|I'd like to know about] getting {document}",
    ),
    "user.open.book_counter": (
        "[I need|I'd like|I want] [an appointment|a time at the counter] for {document}",
        "[can I|could I] [get|book|have] [an appointment|a time] for {document}",
        "[I have to|I'd like to|I need to] apply for {document}",
        "[I lost my old one|mine has expired], so [I need to apply for|I need an appointment for] {document}",
    ),
    "user.open.get_permit": (
        "[I need|I'd like|I want] a parking permit",
        "[can I|could I|how do I] get a [resident's |]parking permit",
        "[I've bought a car|I have a new car|we've just moved here] and [need|would like] a parking permit",
        "[I'd like to|I have to|I want to] [apply for|register for] a [residents' |]parking permit",
    ),
    "user.open.book_pickup": (
        "[I have|there is] something [bulky|big] [to get rid of|to be picked up]",
        "[can you|could you|can somebody] [fetch|pick up|collect] [some bulky waste|something bulky]",
        "[I'd like to|I need to|I want to] [book|arrange] a [bulky waste|waste] pick-up",
        "[I'm clearing out my flat|we got new furniture], [can you pick something up|I need a pick-up]",
    ),
    # Slots that continue the opening
    "user.inline.date": ("[on|for] {date}", ", {date} [would be good|if possible],"),
    "user.inline.plate": ("for [the car|my car|plate] {plate}", ", [plate|the plate is] {plate},"),
    "user.inline.item": (", [it's|that's] {item},", ", {item},"),
    # Slots in sentences of their own
    "user.tell.resident_number": (
        "[my resident number is|the number is|it's] {resident_number}",
        "[resident number|number|resident] {resident_number}",
    ),
    "user.tell.birth_date": (
        "[I was born on|born|my date of birth is|my birthday is] {birth_date}",
        "[date of birth|birth date] {birth_date}",
    ),
    "user.tell.date": ("[on|best on|let's say|it should be] {date}", "{date} [would be fine|suits me|please]"),
    "user.tell.plate": ("[the plate is|it's|my plate is] {plate}", "[plate|registration] {plate}"),
    "user.tell.item": ("[it's|that would be|I have] {item}", "{item}[|, that's all| is what it is]"),
    # Choosing an offer
    "user.choose.time": ("[I'll take|I'd like|] the one at {time}", "{time} [is fine|works|suits me]"),
    "user.choose.office": ("[I'll take|I'd like|] the one at the {office}", "the {office} [is nearer|suits me]"),
}
