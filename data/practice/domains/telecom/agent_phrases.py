"""How the telephone company's desk speaks. What a phrase names in braces is a fact the answer conveys."""

from __future__ import annotations

_TO_CONFIRM = "[To confirm|Just to confirm|So that is|Let me repeat]: {details}. "

AGENT_PHRASES: dict[str, tuple[str, ...]] = {
    "system": (
        "You work at the customer desk of {place}, a telephone company. Today is {weekday}, {today}.",
        "You are the assistant of {place}, mobile and internet. Today is {weekday}, {today}.",
        "Customer care of {place}. Today is {weekday}, {today}.",
    ),
    "agent.ask.phone_number": (
        "[I need|For that I need|First I need|I will need] your phone number[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[Would you|Can you|Could you] [tell|give] me [your|the] phone number[|, please| first]?",
        "[What is|May I have|Could you give me] [your|the] phone number?",
        "[Which phone number|What phone number] is it about?",
    ),
    "agent.ask.pin": (
        "[I need|For that I need|First I need|I will need] your PIN[|, please| to go on]: [what is it|could you "
        "give it to me|may I have it]?",
        "[To identify you|For your security], [what is|may I have] your PIN?",
        "[What is|May I have|Could you tell me] your PIN?",
        "[And which PIN|Which PIN] do you have?",
    ),
    "agent.ask.min_gb": (
        "[Could you tell me|May I ask] how much data you need[| at least| a month]?",
        "[And how much data|How many gigabytes] [is enough|will do|are you after]?",
        "[How much data|How many GB] [do you need|should it have|would you like] at least?",
    ),
    "agent.ask.date": (
        "[When|Which day|On what day] [should|shall|may] [the technician|somebody|we] come?",
        "[Could you tell me|May I ask] [which day suits you|what day would be good]?",
        "[For which day|What day|On which date] [would you like it|should it be|suits you]?",
    ),
    "agent.ask.start_date": (
        "[When|From when] [do you leave|do you need it|does it begin]?",
        "[Could you tell me|May I ask] from which day[| you need it]?",
        "[From which day|What day|On which date] [should it start|shall it begin]?",
    ),
    "agent.ask.zone": (
        "[Where are you travelling to|Where do you go], which zone[| is it]?",
        "[Could you tell me|May I ask] which zone [you travel to|it is for]?",
        "[Which zone|What zone|Which part of the world] [is it for|are you going to]?",
    ),
    "agent.nothing.identify_line": (
        "[I'm sorry|Unfortunately|I'm afraid], [this number and PIN do not match|I can't find a line with these]. "
        "[Could you check|Can you repeat] your phone number and PIN?",
    ),
    "agent.nothing.list_plans": (
        "[I'm sorry|Unfortunately|I'm afraid], [there is no plan|we have no plan] with {min_gb}. "
        "[How much data would do|How much data do you need at least]?",
    ),
    "agent.nothing.technician_times": (
        "[I'm sorry|Unfortunately|I'm afraid], [nobody is free|there is no time left] on {date}. "
        "[Which other day would suit you|What other day would do]?",
    ),
    "agent.option.list_plans": (
        "{plan} with {data_gb} [for|at] {price} euros[| a month]",
        "the {plan} plan, {data_gb} [for|at] {price} euros",
    ),
    "agent.option.technician_times": ("{time}", "a visit at {time}"),
    "agent.option.roaming_packs": ("{pack_gb} for {price} euros", "a pack of {pack_gb} [for|at] {price} euros"),
    "agent.detail.phone_number": ("line {phone_number}", "the line {phone_number}"),
    "agent.detail.plan": ("[the |]{plan} plan",),
    "agent.detail.data_gb": ("with {data_gb}", "{data_gb}"),
    "agent.detail.price": ("for {price} euros", "at {price} euros"),
    "agent.detail.fault": ("the test says {fault}", "found by the test: {fault}"),
    "agent.detail.date": ("on {date}", "{date}"),
    "agent.detail.time": ("at {time}",),
    "agent.detail.pack_gb": ("a pack of {pack_gb}", "{pack_gb}"),
    "agent.detail.zone": ("for {zone}",),
    "agent.detail.start_date": ("from {start_date}", "starting {start_date}"),
    "agent.confirm.change_plan": (_TO_CONFIRM + "[Shall I change it|May I switch you over|Is that right]?",),
    "agent.confirm.book_technician": (_TO_CONFIRM + "[Shall I book it|May I send the technician|Is that right]?",),
    "agent.confirm.roaming_add": (_TO_CONFIRM + "[Shall I add it|May I book that|Is that right]?",),
    "agent.report.change_plan": (
        "[Done|All set]: you are on {plan} now, [it costs|for] {price} euros a month.",
        "[I have switched you|Your line is switched] to {plan} for {price} euros[| a month].",
    ),
    "agent.report.book_technician": (
        "[Done|Booked|All set]: the technician comes at {time}, [reference|under reference] {reference}.",
        "[I have booked it|The visit is booked] for {time}; [your reference is|the reference is] {reference}.",
    ),
    "agent.report.roaming_add": (
        "[Done|Added|All set]: the reference is {reference}, [the price is|it costs] {price} euros.",
        "[I have added it|The pack is added] under {reference} for {price} euros.",
    ),
    "agent.failed.change_plan": (
        "[As it happens|I'm afraid|I see], [you are on this plan already|the line has that plan already], "
        "so [nothing was changed|I left it].",
    ),
    "agent.failed.book_technician": (
        "[I'm sorry|Unfortunately|I'm afraid], [that time is taken|the time has just gone], so [nothing was "
        "booked|I left it].",
    ),
    "agent.failed.roaming_add": (
        "[As it happens|I'm afraid|I see], [the line has this pack already|this pack is there already], "
        "so [nothing was changed|I left it].",
    ),
    "agent.tell.ask_usage": (
        "[You have used|So far it is] {used_gb} [of|out of] {data_gb} [on|in] [the|your] {plan} plan.",
        "[Your|The] {plan} plan has {data_gb}; {used_gb} [are used|of it is used][| so far].",
    ),
    "agent.tell.check_line": (
        "[The test says|The test found|The result is]: {fault}.",
        "[I tested it|I ran the test]; [the result is|it says] {fault}.",
    ),
}
