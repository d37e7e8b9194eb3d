"""How patients speak: ``user.open`` begins a task, ``inline`` continues its sentence, ``tell`` is one of its own."""

from __future__ import annotations

USER_PHRASES: dict[str, tuple[str, ...]] = {
    # Openings
    "user.open.ask_appointment": (
        "[when is|at what time is] my [next |]appointment",
        "[can you|could you] [tell me|check] when my [next |]appointment is",
        "[I forgot|I can't remember|I lost the note with] [when my appointment is|my appointment], [when is "
        "it|can you check]",
        "[I'd like to|I want to] check my [next |]appointment",
    ),
    "user.open.book_appointment": (
        "[I'd like to|I want to|I need to] [book|make|arrange] an appointment",
        "[can I|could I] [get|have|book] an appointment",
        "[I need|I'd like] to see [a doctor|somebody]",
        "[I'm not feeling well|it's time again], [can I see a doctor|I'd like an appointment]",
        "[do you have|is there] an appointment [free|available]",
    ),
    "user.open.move_appointment": (
        "[I'd like to|I need to|I have to] [move|reschedule|postpone] my appointment",
        "[can I|could I|can we] [move|change|reschedule] my appointment",
        "[I can't make it to|something came up with] my appointment, [can we move it|I need another day]",
    ),
    "user.open.renew_prescription": (
        "[I'd like to|I need to|I want to] [renew|refill|reorder] [my prescription|a prescription]",
        "[can you|could you] [renew|refill] [my prescription|a prescription of mine]",
        "[I'm running out of|I've nearly used up] my [medicine|pills], [I need a repeat|can I get a repeat]",
        "[I need|I'd like] a [repeat|new] prescription",
    ),
    # Slots that continue the opening
    "user.inline.speciality": ("in {speciality}", ", [it's|that's] for {speciality},"),
    "user.inline.date": ("[on|for] {date}", ", {date} [would be good|if possible],"),
    "user.inline.date.move_appointment": ("to {date}", ", {date} [would be better|would suit me],"),
    "user.inline.medicine": (", [it's|that's] {medicine},", "for {medicine}"),
    "user.inline.visit": (", {visit},",),
    # Slots in sentences of their own
    "user.tell.name": ("[my name is|I'm|it's|this is] {name}", "{name} [is my name|speaking|here]"),
    "user.tell.birth_date": (
        "[I was born on|born|my date of birth is|my birthday is] {birth_date}",
        "[date of birth|birth date] {birth_date}",
    ),
    "user.tell.speciality": ("[it's for|I need|in] {speciality}", "{speciality}[| is what I need|, I think]"),
    "user.tell.date": ("[on|best on|let's say|it should be] {date}", "{date} [would be fine|suits me|please]"),
    "user.tell.visit": ("[well|you see], {visit}", "{visit}[|, that's what it is|, I'd say]"),
    "user.tell.medicine": (
        "[it's|it's called|the medicine is] {medicine}",
        "{medicine}[|, that's the one| is what I take]",
    ),
    "user.tell.pharmacy": (
        "[please send it to|I'll collect it at|best at] {pharmacy}",
        "{pharmacy}[| is nearest|, please]",
    ),
    # Choosing an offer
    "user.choose.time": ("[I'll take|I'd like|] the one at {time}", "{time} [is fine|works|suits me]"),
}
