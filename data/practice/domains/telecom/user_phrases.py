"""How telephone customers speak: ``user.open`` begins a task, ``inline`` continues its sentence, ``tell`` follows."""

from __future__ import annotations

USER_PHRASES: dict[str, tuple[str, ...]] = {
    # Openings
    "user.open.ask_usage": (
        "[how much data|how many gigabytes] [have I used|did I use|are gone][| so far| this month]",
        "[can you|could you] [tell me|check] [my data usage|how much data I've used|what's left of my data]",
        "[I'd like to|I want to|I need to] [know|check|see] my [data usage|usage|data]",
        "[my phone got slow|I got a warning], [is my data used up|have I used all my data]",
    ),
    "user.open.check_line": (
        "[can you|could you] [test|check] my line[| for faults]",
        "[is there|do you see] [a fault|something wrong] on my line",
        "[my connection|my line] [keeps dropping|is so slow|is acting up], [can you test it|could you check it]",
        "[I'd like|I want] [my line tested|a test of my line]",
    ),
    "user.open.change_plan": (
        "[I'd like to|I want to|I need to] [change|switch] [my plan|plans|to another plan]",
        "[can I|could I] [switch|move|change] to [another|a different|a bigger] plan",
        "[I'm looking for|I need|I'd like] a [new|different|better] plan",
        "[my plan doesn't fit any more|I stream a lot now], [so I'd like another one|what other plans are there]",
    ),
    "user.open.book_technician": (
        "[I need|I'd like|please send] a technician",
        "[can you|could you] [send|book] [a technician|someone|an engineer][| to fix my line]",
        "[my internet is down|nothing works at home|my line is dead], [I need someone to come|please send a "
        "technician]",
        "[I'd like to|I want to|I have to] [book|arrange] a [visit|technician]",
    ),
    "user.open.roaming_add": (
        "[I'd like to|I want to|I need to] [add|book|get] [roaming|a roaming pack|data for abroad]",
        "[I'm travelling|we're going abroad|I'll be abroad][| soon] and [need|would like] a [roaming|data] pack",
        "[can I|could I] [get|add|have] a [roaming|travel] pack",
        "[I need|I want] [internet|data] [abroad|for my trip]",
    ),
    # Slots that continue the opening
    "user.inline.min_gb": (
        "with [at least|no less than|a minimum of] {min_gb}",
        ", [at least|something from] {min_gb} [up|or more],",
    ),
    "user.inline.date": ("[on|for] {date}", ", {date} [would be good|if possible],"),
    "user.inline.zone": ("for {zone}", ", [it's|we go to|the trip is to] {zone},"),
    "user.inline.start_date": ("from {start_date}", "starting {start_date}"),
    "user.inline.phone_number": ("for {phone_number}", ", [it's|the line is] {phone_number},"),
    # Slots in sentences of their own
    "user.tell.phone_number": (
        "[my number is|the number is|it's|that's] {phone_number}",
        "[phone number|number|line] {phone_number}",
    ),
    "user.tell.pin": ("[the PIN is|my PIN is|PIN] {pin}", "{pin} [is the PIN|is my PIN|it should be]"),
    "user.tell.min_gb": (
        "[I need|I'd want|I'd like] [at least|no less than] {min_gb}",
        "{min_gb} [or more|at least|would be the minimum]",
    ),
    "user.tell.date": ("[on|best on|let's say|it should be] {date}", "{date} [would be fine|suits me|please]"),
    "user.tell.start_date": (
        "[from|starting|it starts|I leave] {start_date}",
        "{start_date} [is when we leave|is the start|is when it begins]",
    ),
    "user.tell.zone": ("[we go to|I'm going to|it's for|it's] {zone}", "{zone}[| this time|, that's where we go]"),
    # Choosing an offer
    "user.choose.plan": (
        "[I'll take|I'd like|Let's take|] the {plan}[| plan| one]",
        "{plan} [is fine|sounds good|it is]",
    ),
    "user.choose.data_gb": ("[I'll take|I'd like|] the one with {data_gb} GB", "the {data_gb} GB one"),
    "user.choose.pack_gb": ("[I'll take|I'd like|] the one with {pack_gb} GB", "the {pack_gb} GB [pack|one]"),
    "user.choose.price": ("[I'll take|I'd like|] the one for {price} euros", "the {price} euro one"),
    "user.choose.time": ("[I'll take|I'd like|] the one at {time}", "{time} [is fine|works|suits me]"),
}
