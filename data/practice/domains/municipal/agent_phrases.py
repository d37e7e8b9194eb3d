"""How the municipal office's desk speaks. What a phrase names in braces is a fact the answer conveys."""

from __future__ import annotations

_TO_CONFIRM = "[To confirm|Just to confirm|So that is|Let me repeat]: {details}. "

AGENT_PHRASES: dict[str, tuple[str, ...]] = {
    "system": (
        "You work at the citizens' office of {place}. Today is {weekday}, {today}.",
        "You are the assistant of the municipality of {place}. Today is {weekday}, {today}.",
        "Citizens' service of {place}. Today is {weekday}, {today}.",
    ),
    "agent.ask.resident_number": (
        "[I need|For that I need|First I need|I will need] your resident number[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[Would you|Can you|Could you] [tell|give] me your resident number[|, please| first]?",
        "[What is|May I have|Could you give me] your resident number?",
        "[Which resident number|What resident number] do you have?",
    ),
    "agent.ask.birth_date": (
        "[I need|For that I need|First I need|I will need] your date of birth[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[To identify you|To be sure], [what is|may I have] your date of birth?",
        "[What is|May I have|Could you tell me] your date of birth?",
        "When were you born?",
    ),
    "agent.ask.date": (
        "[When|Which day|On what day] [would you like to|can you|could you] come?",
        "[Could you tell me|May I ask] [which day suits you|what day would be good]?",
        "[For which day|What day|On which date] [would you like it|should it be|suits you]?",
    ),
    "agent.ask.plate": (
        "[Could you tell me|May I ask] [the plate|which plate it is]?",
        "[What is|May I have|Could you give me] the plate of the car?",
        "[Which|What] plate does the car have?",
    ),
    "agent.ask.item": (
        "[Could you tell me|May I ask] [which item|what item] [it is|we should fetch]?",
        "[What item|Which item] [is it|shall we fetch|is to be picked up]?",
    ),
    "agent.nothing.find_resident": (
        "[I'm sorry|Unfortunately|I'm afraid], [these do not match|I can't find a resident with these]. "
        "[Could you check|Can you repeat] your resident number and date of birth?",
    ),
    "agent.nothing.counter_times": (
        "[I'm sorry|Unfortunately|I'm afraid], there is nothing free on {date}. [Which other day|What other day] "
        "would do?",
    ),
    "agent.option.counter_times": ("the {office} at {time}", "{time} at the {office}"),
    "agent.option.waste_days": ("{date}", "the pick-up on {date}"),
    "agent.detail.document": ("{document}",),
    "agent.detail.office": ("at the {office}",),
    "agent.detail.date": ("on {date}", "{date}"),
    "agent.detail.time": ("at {time}",),
    "agent.detail.fee": ("the fee is {fee} euros", "fee {fee} euros"),
    "agent.detail.bring": ("please bring {bring}", "to bring: {bring}"),
    "agent.detail.zone": ("a permit for zone {zone}", "zone {zone}"),
    "agent.detail.plate": ("plate {plate}",),
    "agent.detail.yearly_fee": ("{yearly_fee} euros a year",),
    "agent.detail.item": ("pick-up of a {item}", "a {item} to be fetched"),
    "agent.confirm.book_counter": (_TO_CONFIRM + "[Shall I book it|May I book that|Is that right]?",),
    "agent.confirm.get_permit": (_TO_CONFIRM + "[Shall I issue it|May I issue the permit|Is that right]?",),
    "agent.confirm.book_pickup": (_TO_CONFIRM + "[Shall I book it|May I book that|Is that right]?",),
    "agent.report.book_counter": (
        "[Done|Booked|All set]: [come to|it is at] the {office}, [reference|under reference] {reference}.",
        "[I have booked it|It's booked] at the {office}; [your reference is|the reference is] {reference}.",
    ),
    "agent.report.get_permit": (
        "[Done|Issued|All set]: permit {permit_number}, {yearly_fee} euros a year.",
        "[I have issued it|Your permit is issued] under {permit_number} for {yearly_fee} euros a year.",
    ),
    "agent.report.book_pickup": (
        "[Done|Booked|All set]: the pick-up is on {date}, [reference|under reference] {reference}.",
        "[I have booked it|It's booked] for {date}; [your reference is|the reference is] {reference}.",
    ),
    "agent.failed.book_counter": (
        "[I'm sorry|Unfortunately|I'm afraid], [that time is taken|the time has just gone], so [nothing was "
        "booked|I left it].",
    ),
    "agent.failed.get_permit": (
        "[As it happens|I'm afraid|I see], [this plate has a permit already|there is a permit for it already], "
        "so [nothing was changed|I left it].",
    ),
    "agent.failed.book_pickup": (
        "[I'm sorry|Unfortunately|I'm afraid], [there is no place left|this cannot be booked], "
        "so [nothing was booked|I left it].",
    ),
    "agent.tell.ask_document": (
        "[It costs|The fee is] {fee} euros and [takes|you wait] {days}; [please bring|you need] {bring}.",
        "[Bring|You need] {bring}; [it's|the fee is] {fee} euros and [it takes|takes] {days}.",
    ),
}
