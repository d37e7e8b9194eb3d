"""The answer correctness reward: whether an answer says what this turn had to say, and nothing made up.

It knows the annotated facts, the slots to ask for and the kind of act that was due, and it sees the history; never the
reference utterance: any wording that conveys the facts and does what was due reaches the maximum. Length earns nothing.

Five factors, each in [0, 1]: being an answer at all (``saying``), the share of what was due that it conveys or asks
for, doing the act that was due (``act_fit``), grounding (values that stand in neither history nor results), restraint.
"""

from __future__ import annotations

from data.schema import DecisionPoint, Message
from models.mentions import mentions
from models.rewards.act_fit import act_fit
from models.rewards.asking import asks_for, questions_in, things_spoken_of
from models.rewards.grounding import ungrounded_values
from models.rewards.saying import no_answer
from models.speech.parsing import Parsed
from models.telling import tells
from models.wording import asks

#: What a value costs that the agent cannot know: half of all, each time.
UNGROUNDED = 0.5
#: For a question about something else than was due.
ASKED_OTHERWISE = 0.1
#: For each number, date or time beside the facts due, beyond the spare ones: listing everything is not answering.
STATED_TOO_MUCH = 0.75
SPARE_VALUES = 3
#: For each slot asked for beside those due, beyond the spare ones: asking for everything is not asking.
ASKED_TOO_MUCH = 0.75
SPARE_SLOTS = 2
#: For each question beside those due, whatever words it is put in, beyond the spare one.
SPARE_QUESTIONS = 1


def answer_correctness_reward(point: DecisionPoint, parsed: Parsed) -> float | None:
    """How right an answer is, in [0, 1]; None on call turns, where there is no answer to judge.

    0 for a call, a parse failure, and whatever is no answer (``models.rewards.saying``).
    """
    if point.kind == "call":
        return None
    text = parsed.answer
    if not parsed.ok or parsed.calls or not text or no_answer(point, text):
        return 0.0
    return content_share(point, text) * act_fit(point, text) * grounding(point, text) * restraint(point, text)


def content_share(point: DecisionPoint, text: str) -> float:
    """Share of the expected facts conveyed and slots asked for; 1 where nothing particular was due.

    A question about something else still earns ``ASKED_OTHERWISE`` where only asking was due, so that a model that
    learned to ask is above one that does not.
    """
    facts, slots = point.expected.facts, point.expected.requested
    if not facts and not slots:
        return 1.0
    asked = sum(asks_for(slot, text, point.tools) for slot in slots)
    right = sum(tells(point, fact, text) for fact in facts) + asked
    if not right and slots and not facts:
        return ASKED_OTHERWISE if asks(text) else 0.0
    return right / (len(facts) + len(slots))


def grounding(point: DecisionPoint, text: str) -> float:
    """1 where every value stated stands in the history, the results or the tools; halved by each that does not."""
    return UNGROUNDED ** len(made_up(point, text))


def made_up(point: DecisionPoint, text: str) -> tuple[str, ...]:
    """The values stated that nobody told: neither the conversation nor an expected fact has them."""
    forms = [form for fact in point.expected.facts if fact.kind == "value" for form in fact.forms]
    known = (*point.history, Message(role="assistant", content=". ".join(forms))) if forms else point.history
    return ungrounded_values(known, text, point.tools)


def restraint(point: DecisionPoint, text: str) -> float:
    """Less than 1 for reciting every value in sight, or going through every slot there is."""
    due, facts = point.expected.requested, point.expected.facts
    values = {(mention.kind, str(mention.key)) for mention in mentions(text)}
    stated = STATED_TOO_MUCH ** max(0, len(values) - len(facts) - SPARE_VALUES)
    if not due:
        return stated
    named = len(things_spoken_of(text, point.tools)) - len(due) - SPARE_SLOTS
    asked = questions_in(text) - len(due) - len(facts) - SPARE_QUESTIONS
    return stated * ASKED_TOO_MUCH ** (max(0, named) + max(0, asked))
