"""How the clinic's desk speaks. What a phrase names in braces is a fact the answer conveys."""

from __future__ import annotations

_TO_CONFIRM = "[To confirm|Just to confirm|So that is|Let me repeat]: {details}. "

AGENT_PHRASES: dict[str, tuple[str, ...]] = {
    "system": (
        "You work at the reception of {place}. Today is {weekday}, {today}.",
        "You are the receptionist of {place}. Today is {weekday}, {today}.",
        "Reception of {place}. Today is {weekday}, {today}.",
    ),
    "agent.ask.name": (
        "[I need|For that I need|First I need|I will need] your name[|, please| to go on]: [what is it|could you "
        "give it to me|may I have it]?",
        "[Who am I speaking to|What name is it], [please give me your full name|could you tell me your full name]?",
        "[What is|May I have|Could you tell me] your full name?",
        "[Which name|What name] is it?",
    ),
    "agent.ask.birth_date": (
        "[I need|For that I need|First I need|I will need] your date of birth[|, please| to go on]: [what is "
        "it|could you give it to me|may I have it]?",
        "[To find you|For your safety], [what is|may I have] your date of birth?",
        "[What is|May I have|Could you tell me] your date of birth?",
        "When were you born?",
    ),
    "agent.ask.speciality": (
        "[Could you tell me|May I ask] [which speciality|what kind of doctor] [you need|it is for]?",
        "[Which speciality|Which department|What kind of doctor] [is it for|do you need|would you like to see]?",
    ),
    "agent.ask.date": (
        "[When|Which day|On what day] [would you like to|can you|could you] come?",
        "[Could you tell me|May I ask] [which day suits you|what day would be good]?",
        "[For which day|What day|On which date] [would you like it|should it be|suits you]?",
    ),
    "agent.ask.visit": (
        "[Is it|Would that be] a first visit, a check-up, a follow-up or a vaccination?",
        "[What kind of visit|Which kind of visit] is it: a first visit, check-up, follow-up or vaccination?",
    ),
    "agent.ask.medicine": (
        "[Could you tell me|May I ask] which medicine [it is|you need]?",
        "[And which medicine|And what medicine] [do you take|is running out]?",
        "[Which medicine|What medicine|Which medication] [is it|do you need]?",
    ),
    "agent.ask.pharmacy": (
        "[Could you tell me|May I ask] which pharmacy [you would like|suits you]?",
        "[Where|At which pharmacy] [would you like to collect it|will you pick it up]?",
        "[Which pharmacy|To which pharmacy] [shall I send it to|should it go]?",
    ),
    "agent.nothing.find_patient": (
        "[I'm sorry|Unfortunately|I'm afraid], [these do not match|I can't find a patient with these]. "
        "[Could you check|Can you repeat] your name and date of birth?",
    ),
    "agent.nothing.free_times": (
        "[I'm sorry|Unfortunately|I'm afraid], there is nothing free on {date}. [Which other day|What other day] "
        "would do?",
    ),
    "agent.option.free_times": ("{time}", "one at {time}"),
    "agent.detail.doctor": ("with {doctor}",),
    "agent.detail.date": ("on {date}", "{date}"),
    "agent.detail.time": ("at {time}",),
    "agent.detail.visit": ("{visit}",),
    "agent.detail.medicine": ("a repeat of {medicine}",),
    "agent.detail.pharmacy": ("sent to {pharmacy}", "to {pharmacy}"),
    "agent.confirm.book_appointment": (_TO_CONFIRM + "[Shall I book it|May I book that|Is that right]?",),
    "agent.confirm.move_appointment": (_TO_CONFIRM + "[Shall I move it|May I move it there|Is that right]?",),
    "agent.confirm.renew_prescription": (_TO_CONFIRM + "[Shall I send it|May I renew it|Is that right]?",),
    "agent.report.book_appointment": (
        "[Done|Booked|All set]: [the number is|appointment] {appointment_id}, [in room|room] {room}.",
        "[I have booked it|It's booked] under {appointment_id}; [please come to|it is in] room {room}.",
    ),
    "agent.report.move_appointment": (
        "[Done|Moved|All set]: appointment {appointment_id} is moved, [in room|room] {room}.",
        "[I have moved it|It's moved], still under {appointment_id}, [in room|room] {room}.",
    ),
    "agent.report.renew_prescription": (
        "[Done|Sent|All set]: the reference is {reference}, [with|you have] {repeats_left} left.",
        "[I have sent it|The repeat is sent] under {reference}; {repeats_left} left.",
    ),
    "agent.failed.book_appointment": (
        "[I'm sorry|Unfortunately|I'm afraid], [that time is taken|the time has just gone], so [nothing was "
        "booked|I left it].",
    ),
    "agent.failed.move_appointment": (
        "[I'm sorry|Unfortunately|I'm afraid], [that time is taken|the time has just gone], so [nothing was "
        "moved|I left it].",
    ),
    "agent.failed.renew_prescription": (
        "[I'm sorry|Unfortunately|I'm afraid], [there are no repeats left|no repeat is left]: [the|a] doctor has "
        "to see you, "
        "so [nothing was sent|I sent nothing].",
    ),
    "agent.tell.ask_appointment": (
        "[You see|It is with|You are with] {doctor} on {date} at {time}.",
        "[Your appointment is|It's] on {date} at {time} with {doctor}.",
    ),
}
