"""How guests speak: ``user.open`` begins a task, ``inline`` continues its sentence, ``tell`` is one of its own."""

from __future__ import annotations

USER_PHRASES: dict[str, tuple[str, ...]] = {
    "user.greet": (
        "",
        "",
        "[Hi|Hello|Hey][| there],",
        "[Good morning|Good afternoon|Good evening],",
        "[Excuse me|Hello again],",
    ),
    "user.next": (
        "[Also|And|Then|One more thing:]",
        "[Yes|Yes please|Actually yes],",
        "[Great|Perfect|Good], [and|also]",
    ),
    "user.chat": (
        "[We are|I'm] [so|really] looking forward to this [trip|holiday|visit].",
        "It has been a [long|tiring|busy] [day|week|month].",
        "[My sister|A friend|A colleague] [recommended you|told me about you].",
        "It's our [anniversary|first visit|honeymoon], [by the way|actually].",
    ),
    "user.fill": ("", "", "", "[Sure|Of course|Right|OK],", "[Let me see|Well|Hmm],"),
    "user.affirm": (
        "[Yes|Yep|Yeah|Sure|OK][|, please|, that's right|, go ahead|, thank you].",
        "[That's correct|Correct|Perfect|Exactly|All good][|, go ahead|, please do|, thanks].",
        "[Please do|Please go ahead|Go ahead|Do that|Sounds good][|, thanks|, thank you].",
    ),
    "user.refuse": (
        "[No|Hmm, no|Actually no], [leave it|don't do that|forget it][|, please|, thanks].",
        "[I changed my mind|On second thoughts, no|I'd rather not], [leave everything as it is|don't go ahead].",
        "[Stop|Wait], [I need to ask my partner first|I'm not sure any more].",
    ),
    "user.decline": (
        "[No|Neither|Not for me], [thanks|thank you], [that's too expensive|not what I hoped for|I'll keep looking].",
        "[Hmm|Oh], [none of that suits me|I'll have to think about it][|, thanks].",
    ),
    "user.accept": (
        "[Yes|Sure|OK|Great], [that works|I'll take it|that one is fine][|, please].",
        "[That sounds good|Sounds fine|Perfect][|, let's take it|, please].",
    ),
    "user.correct": (
        "[No|Wait|Hold on|Sorry], [make it|it should be|I meant] {right}.",
        "[Actually|Oh, sorry], [make that|I'd rather have|change that to] {right}[|, please].",
        "[Almost|Not quite]: [it's|it has to be] {right}[| instead].",
    ),
    "user.outside": (
        "[Before that|By the way|Quick question], "
        "[can you tell me about|do you know anything about|what about] the {matter}?",
        "[Could you|Can you] [check|look up] the {matter} for me[|, too|, by the way]?",
        "[Oh, and|And] [do you have|have you got] [any news|information|details] on the {matter}?",
    ),
    "user.leave": (
        "[No|Nope], [that's all|that's everything|nothing else][|, thanks|, thank you].",
        "[That's it|That was all][| for today], [thanks|thank you|cheers|bye].",
        "[Thanks|Thank you][| so much| a lot], [bye|goodbye|see you|have a nice day].",
    ),
    "user.choose.first": ("the first [one|option]", "[I'll take|I'd like|Let's take] the first[| one]", "number one"),
    "user.choose.second": (
        "the second [one|option]",
        "[I'll take|I'd like|Let's take] the second[| one]",
        "number two",
    ),
    "user.choose.view": (
        "[I'll take|I'd like|Let's take|] the one with the {view} view",
        "the {view} view[| sounds nice]",
    ),
    "user.choose.room_type": ("[I'll take|I'd like|Let's take|] the {room_type}", "the {room_type} [room|one]"),
    "user.choose.price": ("[I'll take|I'd like|] the one for {price} euros", "the {price} euro one"),
    "user.choose.time": ("[I'll take|I'd like|] the one at {time}", "{time} [is fine|works|suits me]"),
    "user.choose.departs": ("[I'll take|I'd like|] the one at {departs}", "{departs} [is fine|works|suits us]"),
    # Openings
    "user.open.book_room": (
        "[I'd like to|I want to|I need to|we'd like to|I was hoping to] [book|reserve] a room",
        "[can I|could I|can we] [book|get|reserve] a room",
        "[I'm looking for|I need|we need|I'm after] a [room|place to stay]",
        "[do you have|have you got] [a room free|a free room|any rooms|a room available]",
    ),
    "user.open.find_booking": (
        "[can you|could you] [check|look up|find|pull up] my [booking|reservation]",
        "[I'd like to|I want to|I need to] [check|see|review] my [booking|reservation][| details]",
        "[what are the details of|what do you have on] my [booking|reservation]",
    ),
    "user.open.change_booking": (
        "[I'd like to|I need to|I have to|I want to] [change|modify|update] my [booking|reservation|stay]",
        "[can you|could you] [change|amend|update] my [booking|reservation]",
        "[my plans have changed|something came up], so [I need to change|please change] my [booking|reservation]",
    ),
    "user.open.cancel_booking": (
        "[I'd like to|I need to|I have to|I want to|I must] [cancel|call off] my [booking|reservation|stay]",
        "[can you|could you] cancel my [booking|reservation]",
        "[we can't come after all|I got sick|my trip is off], so [cancel|please cancel] my [booking|reservation]",
    ),
    "user.open.order_service": (
        "[I'd like to|I want to|I need to] [order|arrange|book] {service}",
        "[can I|could I|can we] [get|have|order|arrange] {service}",
        "[I need|we need|I'd like|we'd like] {service}",
    ),
    "user.open.ask_facility": (
        "[what can you tell me about|what about|what are the details for] {facility}",
        "[can you tell me|could you tell me] [the hours and price of|more about|where I find] {facility}",
        "[I have a question about|I'd like to know more about|tell me about] {facility}",
        "[how does it work with|how much is|where is] {facility}",
    ),
    "user.open.spa_book": (
        "[I'd like to|I want to|we'd like to] [book|reserve|have] {treatment}",
        "[can I|could I] [book|get|have] {treatment}",
        "[I need|I'm in the mood for|I'd love] {treatment}",
    ),
    "user.open.spa_ask": (
        "[when is|what is] the [first|earliest] time for {treatment}",
        "[can you tell me|could you tell me] when {treatment} is free",
    ),
    "user.open.shuttle_book": (
        "[I'd like to|we'd like to|I need to] [book|reserve] [seats on the|the|a] shuttle {direction}",
        "[can I|can we|could we] [get|book|take] [the|a] shuttle {direction}",
        "[I need|we need] [a ride|the shuttle|a transfer] {direction}",
    ),
    "user.open.shuttle_ask": (
        "[when is|what is] the [first|earliest] shuttle {direction}",
        "[can you tell me|could you tell me] when the first shuttle {direction} leaves",
    ),
    # Slots that continue the opening
    "user.inline.check_in": (
        "[from|starting|arriving|beginning] {check_in}",
        "[with arrival on|with check-in] {check_in}",
    ),
    "user.inline.nights": ("for {nights}", "[staying|to stay] {nights}"),
    "user.inline.guests": ("for {guests}", "[, it's|, that's] {guests},"),
    "user.inline.passengers": ("for {passengers}", "[, it's|, that's] {passengers},"),
    "user.inline.date": ("[for|on] {date}", ", {date},"),
    "user.inline.time": ("at {time}", "for {time}"),
    "user.inline.booking_code": (
        ", [code|number|reference] {booking_code},",
        "with [code|the code|number] {booking_code}",
    ),
    "user.inline.nights.change_booking": ("to {nights}", "so that it is {nights}"),
    "user.inline.check_in.change_booking": ("to start [on|] {check_in}", "to arrive [on|] {check_in} instead"),
    # Slots in sentences of their own
    "user.tell.check_in": (
        "[I'd arrive|we arrive|we'd arrive|I'm coming] [on|] {check_in}",
        "[arrival is|check-in is|from] {check_in}",
    ),
    "user.tell.check_in.change_booking": (
        "[I'd arrive|we'd arrive|move it to] {check_in}",
        "the new [arrival|check-in] is {check_in}",
    ),
    "user.tell.nights": ("[we'd stay|I'd stay|I'm staying|we stay] {nights}", "[it's|that's|for] {nights}"),
    "user.tell.nights.change_booking": (
        "[make it|I'd like] {nights}[| instead]",
        "[it should be|we'd rather stay] {nights}",
    ),
    "user.tell.guests": ("[it's|that's|there will be|for] {guests}", "{guests}[| in total| altogether]"),
    "user.tell.passengers": ("[it's|that's|there will be|for] {passengers}", "{passengers}[| in total| altogether]"),
    "user.tell.room_type": (
        "[I'd prefer|I'd like|we'd like|preferably] a {room_type}[| room]",
        "a {room_type}[| room] [would be best|if possible|would be nice]",
    ),
    "user.tell.breakfast.True": (
        "[with|including|please add] breakfast",
        "[we'd like|I want|I'd like] breakfast[| included]",
    ),
    "user.tell.breakfast.False": ("[without|no] breakfast", "[I don't need|we don't want|I won't need] breakfast"),
    "user.tell.guest_name": (
        "[the name is|my name is|I'm|it's] {guest_name}",
        "[under|in the name of|for] {guest_name}",
        "{guest_name} [is my name|is the name]",
    ),
    "user.tell.booking_code": (
        "[the code is|my code is|it's|the booking code is] {booking_code}",
        "[booking|code|reference|number] {booking_code}",
    ),
    "user.tell.date": ("[it's for|for|on] {date}", "[I was thinking of|it should be|let's say] {date}"),
    "user.tell.time": ("[at|around|for] {time}", "[I'd like|let's say|it should be at] {time}"),
}
