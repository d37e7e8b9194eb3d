"""How the hotel desk speaks. What a phrase names in braces is a fact the answer conveys."""

from __future__ import annotations

_TO_CONFIRM = "[To confirm|Just to confirm|So that is]: {details}. "

AGENT_PHRASES: dict[str, tuple[str, ...]] = {
    "system": (
        "You work at the front desk of {place}. Today is {weekday}, {today}. Confirm with the guest before any change.",
        "You are the desk assistant of {place}. Today is {weekday}, {today}. Get the guest's yes before any change.",
        "Front desk of {place}. Today is {weekday}, {today}. Always confirm before booking, changing or cancelling.",
    ),
    "agent.start": (
        "",
        "",
        "[Sure|Certainly|Of course|Gladly|With pleasure].",
        "[Happy to help|No problem|All right].",
    ),
    "agent.ask.check_in": ("[When|What day|On which day] [would you like to|will you|do you want to] arrive?",),
    "agent.ask.nights": ("[How many nights|For how many nights] [will you|would you like to|do you want to] stay?",),
    "agent.ask.guests": ("[How many guests|How many people] [will there be|is it for|are coming]?",),
    "agent.ask.passengers": ("[How many passengers|How many people] [will there be|is it for|are travelling]?",),
    "agent.ask.guest_name": (
        "[What name|Which name] [shall I put it under|should I use|is it for]?",
        "[May I have|What is] your [full |]name?",
    ),
    "agent.ask.date": ("[For which day|What day|On which date] [would you like it|should it be|do you need it]?",),
    "agent.ask.time": ("[At what time|What time|For when] [would you like it|should it be|do you need it]?",),
    "agent.ask.booking_code|guest_name": (
        "[What is|Could you give me|May I have] your booking code or [the name on the booking|your name]?",
        "[Which booking is it|Which booking do you mean], by code or name?",
    ),
    "agent.ask.check_in|nights|breakfast": (
        "[What|What exactly] would you like to change: arrival, nights or breakfast?",
        "[What should|What shall] I change, the arrival, the nights or the breakfast?",
    ),
    "agent.more": (
        "[Can I help with|Is there|Do you need] anything else?",
        "[What else can I do for you|Anything else I can do for you|Is there anything more]?",
    ),
    "agent.goodbye": (
        "[You're welcome|My pleasure|Thank you], [have a lovely day|goodbye|see you soon|enjoy your stay].",
        "[Goodbye|Take care|All the best] and [have a nice day|thank you|see you soon].",
    ),
    "agent.refused": (
        "[All right|No problem|Understood|Of course], [I won't do anything|I'll leave it|nothing has been changed].",
        "[That's fine|Very well], [I have left everything as it was|I will not go ahead].",
    ),
    "agent.outside": (
        "[I'm sorry|I'm afraid|Unfortunately], I [can't look up|have no information on|can't help with] the {matter}.",
        "[The {matter} is something|I'm afraid the {matter} is something] I [can't look up|can't check] from here.",
    ),
    "agent.nothing.search_rooms": (
        "[I'm sorry|Unfortunately|I'm afraid], "
        "[there is no {room_type} room free|every {room_type} room is taken] for that stay. "
        "[Would another room type do|Which other room type would you like|Shall I try another type]?",
    ),
    "agent.nothing.find_booking": (
        "[I'm sorry|Unfortunately|I'm afraid], [I can't find|there is no|I see no] booking {booking_code}. "
        "[Could you check the code|Is there another code or name|What is the right code or the name]?",
    ),
    "agent.nothing.spa_search": (
        "[I'm sorry|Unfortunately|I'm afraid], [nothing is free|there is no time left] on {date}. "
        "[Would another day do|Which other day would you like]?",
    ),
    "agent.nothing.shuttle_search": (
        "[I'm sorry|Unfortunately|I'm afraid], [the shuttles are full|there are no seats left] on {date}. "
        "[Would another day do|Which other day would you like]?",
    ),
    "agent.option.search_rooms": (
        "a {room_type} room with {view} view [for|at] {price} euros[| a night]",
        "a {view} view {room_type} room [for|at] {price} euros[| per night]",
    ),
    "agent.option.spa_search": ("{time} for {price} euros", "one at {time} for {price} euros"),
    "agent.option.shuttle_search": (
        "{departs} for {price} euros[| each]",
        "one at {departs} for {price} euros[| a seat]",
    ),
    "agent.offer.one": (
        "[I have|There is|I can offer] {a}. [Would you like it|Does that suit you|Shall we take it]?",
        "[Good news|Yes]: [I have|there is] {a}. [Is that all right|Would that do]?",
    ),
    "agent.offer.two": (
        "[I have|There is|I can offer] {a} and {b}. "
        "[Which one would you like|Which do you prefer|Which one suits you]?",
        "[You could have|We have|Available:] {a}, or {b}. [Which would you like|Which one shall it be]?",
    ),
    # What a confirmation lists
    "agent.detail.room_type": ("a {room_type} room",),
    "agent.detail.check_in": ("[from|arriving] {check_in}",),
    "agent.detail.nights": ("[for |]{nights}",),
    "agent.detail.guest_name": ("[for|in the name of] {guest_name}",),
    "agent.detail.breakfast.True": ("breakfast included", "with breakfast"),
    "agent.detail.breakfast.False": ("without breakfast", "no breakfast"),
    "agent.detail.booking_code": ("booking {booking_code}",),
    "agent.detail.service": ("{service}",),
    "agent.detail.date": ("on {date}", "{date}"),
    "agent.detail.time": ("at {time}",),
    "agent.detail.departs": ("at {departs}",),
    "agent.detail.treatment": ("{treatment}",),
    "agent.detail.direction": ("shuttle {direction}",),
    "agent.detail.passengers": ("[for |]{passengers}",),
    "agent.confirm.book_room": (_TO_CONFIRM + "[Shall I book it|May I book that|Is that right]?",),
    "agent.confirm.change_booking": (_TO_CONFIRM + "[Shall I change it|May I make that change|Is that right]?",),
    "agent.confirm.cancel_booking": (
        "[To confirm|Just to confirm|This would cancel]: {details}. "
        "[Shall I cancel it|May I cancel it|Do you want me to cancel]?",
    ),
    "agent.confirm.order_service": (_TO_CONFIRM + "[Shall I order it|May I arrange that|Is that right]?",),
    "agent.confirm.spa_book": (_TO_CONFIRM + "[Shall I book it|May I book that|Is that right]?",),
    "agent.confirm.shuttle_book": (_TO_CONFIRM + "[Shall I book it|May I book that|Is that right]?",),
    # After a change
    "agent.report.book_room": (
        "[Done|It's booked|All set]: your [booking code|code] is {booking_code}, "
        "[the total is|in total] {total_price} euros.",
        "[Your room is booked|I have booked it] under {booking_code} for {total_price} euros[| in total].",
    ),
    "agent.report.change_booking": (
        "[Done|All set]: booking {booking_code} is changed, the [new |]total is {total_price} euros.",
        "[I have changed|I updated] booking {booking_code}; it now costs {total_price} euros.",
    ),
    "agent.report.cancel_booking": (
        "[Done|All right]: booking {booking_code} is cancelled, [the fee is|with a fee of] {fee} euros.",
        "[I have cancelled|I cancelled] booking {booking_code}; the fee is {fee} euros.",
    ),
    "agent.report.order_service": (
        "[Done|Ordered|All set]: the order code is {order_code}, [the price is|it costs] {price} euros.",
        "[I have ordered it|It's arranged] under {order_code} for {price} euros.",
    ),
    "agent.report.spa_book": (
        "[Done|Booked|All set]: your confirmation is {confirmation}, [the price is|it costs] {price} euros.",
        "[I have booked it|It's booked] under {confirmation} for {price} euros.",
    ),
    "agent.report.shuttle_book": (
        "[Done|Booked|All set]: your confirmation is {confirmation}, [the total is|in total] {total_price} euros.",
        "[I have booked it|Your seats are booked] under {confirmation} for {total_price} euros.",
    ),
    "agent.failed.change_booking": (
        "[I'm sorry|Unfortunately|I'm afraid], the room is not [free|available] for those dates, "
        "so [nothing was changed|I left it]. [Would another arrival or number of nights do|"
        "Which other arrival or number of nights would suit you]?",
    ),
    # Answers
    "agent.tell.find_booking": (
        "[I see|You have|I found] a {room_type} room [from|arriving] {check_in}, {nights}.",
        "[Your booking is|It is] a {room_type} room, [from|starting] {check_in} for {nights}.",
    ),
    "agent.tell.ask_facility": (
        "The {facility} is {place}, open from {opens} to {closes}, and costs {price} euros.",
        "You find the {facility} {place}; it is open {opens} to {closes} for {price} euros.",
    ),
    "agent.tell.ask_facility.breakfast": (
        "Breakfast is served {place} from {opens} to {closes} and costs {price} euros.",
        "We serve breakfast {place}, {opens} to {closes}, for {price} euros.",
    ),
    "agent.tell.ask_facility.parking": (
        "Parking is {place}, open from {opens} to {closes}, and costs {price} euros.",
        "You find parking {place}; it is open {opens} to {closes} for {price} euros.",
    ),
    "agent.tell.ask_facility.bar": (
        "The bar is {place}, open from {opens} to {closes}; a drink costs {price} euros.",
        "You find the bar {place}, {opens} to {closes}; drinks are {price} euros.",
    ),
    "agent.tell.spa_ask": (
        "The [first|earliest] time is {time}, [for|at] {price} euros.",
        "[It's free|There is a slot] at {time}; it costs {price} euros.",
    ),
    "agent.tell.shuttle_ask": (
        "The [first|earliest] one leaves at {departs}, [for|at] {price} euros a seat.",
        "[It leaves|The first shuttle leaves] at {departs} and costs {price} euros a seat.",
    ),
}
