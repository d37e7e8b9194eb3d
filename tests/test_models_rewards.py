"""The rewards order what a model may do as a teacher would, stay in their range, and pay for no cheap trick."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Act, DecisionPoint, Fact, Message, ToolCall, ToolSpec
from data.settings import RewardWeights
from models.rewards import compose
from models.rewards.act_fit import claims_falsely
from models.rewards.compose import RewardParts, maximum, score, total
from models.rewards.language import is_language, is_list_of_keywords
from models.rewards.matching import call_likeness, match_calls
from models.rewards.saying import announces_call
from models.rewards.variants import load_reward
from models.speech.parsing import parse_completion
from models.wording import is_dump

STRING = {"type": "string"}
FIND = ToolSpec(
    name="FindRoom",
    parameters={
        "type": "object",
        "properties": {"city": STRING, "day": STRING, "view": STRING, "guests": {"type": "integer", "default": 2}},
        "required": ["city", "day"],
    },
)
WEATHER = ToolSpec(name="GetWeather", parameters={"type": "object", "properties": {"city": STRING}})
BOOK = ToolSpec(name="BookRoom", parameters={"type": "object", "properties": {"room": STRING}}, is_write=True)
TOOLS = (FIND, WEATHER, BOOK)
CITY, DAY, VIEW = "Oslo", "2019-03-01", "sea"
GOLD = {"name": "FindRoom", "arguments": {"city": CITY, "day": DAY, "view": VIEW}}
BOOKING = {"name": "BookRoom", "arguments": {"room": "12"}}


def point(*, calls: tuple[dict, ...] = (), content: str | None = None, **annotations: tuple) -> DecisionPoint:
    expected = Message(
        role="assistant",
        content=content,
        tool_calls=tuple(
            ToolCall(id=f"c{i}", name=c["name"], arguments=c["arguments"], arguments_raw=json.dumps(c["arguments"]))
            for i, c in enumerate(calls)
        ),
        **annotations,
    )
    return DecisionPoint(
        id="made/1#1",
        conversation_id="made/1",
        message_index=1,
        source="made",
        split="train",
        domain="Rooms",
        kind="call" if calls else "answer",
        tool=calls[0]["name"] if calls else None,
        tools=TOOLS,
        history=(
            Message(role="user", content="A room in Oslo on the first of March"),
            Message(role="tool", content='{"price": 45, "pets_allowed": false}', tool_call_id="x"),
        ),
        expected=expected,
    )


def write(*calls: dict) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)


def without(*names: str, **changes: object) -> dict:
    kept = {key: value for key, value in GOLD["arguments"].items() if key not in names}
    return {"name": "FindRoom", "arguments": {**kept, **changes}}


def accuracy(at: DecisionPoint, text: str, thinking: bool = False) -> float:
    return score(at, text, thinking=thinking).parts.tool_accuracy


def answer(at: DecisionPoint, text: str) -> float | None:
    return score(at, text, thinking=False).parts.answer_correctness


CALL_TURN = point(calls=(GOLD,))
BOOKING_TURN = point(calls=(BOOKING,))
FACTS = (Fact(name="price", kind="value", forms=("$45",)), Fact(name="pets_allowed", kind="boolean", forms=("False",)))
INFORMING = point(content="It costs $45 and takes no pets.", facts=FACTS, acts=(Act.INFORM,))
INFORMING_AND_ASKING = point(content="$45. Else?", facts=FACTS, acts=(Act.INFORM, Act.REQUEST_MORE))
ASKING = point(content="Which city?", acts=(Act.REQUEST,), requested=("city",))
CLOSING = point(content="Goodbye!", acts=(Act.GOODBYE,))
REPORTING = point(content="It is booked.", acts=(Act.REPORT_SUCCESS,))

ORDERED = [
    ("exact", write(GOLD)),
    ("optional missing", write(without("view"))),
    ("value wrong", write(without(view="garden"))),
    ("required missing", write(without("day"))),
    ("no arguments", write({"name": "FindRoom", "arguments": {}})),
    ("wrong tool", write({"name": "GetWeather", "arguments": {"city": CITY}})),
    ("answered", "Which city?"),
    ("invented tool", write({"name": "FindHut", "arguments": {}})),
    ("malformed", write(GOLD).replace("}}", "}")),
    ("no action", ""),
    ("gibberish", "zxq vbrt plomf wekk sdfgh"),
    ("unasked write", write(BOOKING)),
]


@pytest.mark.parametrize(("better", "worse"), itertools.pairwise(ORDERED), ids=lambda case: case[0])
def test_order_on_call_turns(better, worse):
    assert accuracy(CALL_TURN, better[1]) > accuracy(CALL_TURN, worse[1])


def test_the_right_tool_is_above_zero_and_what_is_no_such_call_below():
    rewards = {name: accuracy(CALL_TURN, text) for name, text in ORDERED}
    assert rewards["exact"] == 1.0
    assert 0 < rewards["no arguments"] < 0.3
    assert rewards["wrong tool"] < 0
    assert rewards["answered"] <= -0.5
    assert rewards["unasked write"] == -1.5


@pytest.mark.parametrize(
    "text",
    [
        write({"arguments": dict(reversed(GOLD["arguments"].items())), "name": "FindRoom"}),
        f"<tool_call>\n{json.dumps(GOLD, indent=2)}\n</tool_call>",
        write(without(guests=2)),
        write(without(city=" OSLO ")),
    ],
)
def test_the_same_call_written_otherwise_is_exact(text):
    assert accuracy(CALL_TURN, text) == 1.0


def test_spurious_calls_cost_more_than_a_wrong_value_even_of_the_only_argument():
    single = point(calls=({"name": "GetWeather", "arguments": {"city": CITY}},))
    exact, wrong = ({"name": "GetWeather", "arguments": {"city": city}} for city in (CITY, "Bergen"))
    junk = {"name": "FindRoom", "arguments": {}}
    one, five = accuracy(single, write(exact, junk)), accuracy(single, write(exact, *[junk] * 5))
    assert accuracy(single, write(wrong)) > one > five
    assert accuracy(single, write(exact, exact)) == one
    assert accuracy(single, write(exact, BOOKING)) == -1.5


def test_a_second_booking_is_an_unasked_write():
    assert accuracy(BOOKING_TURN, write(BOOKING)) == 1.0
    assert accuracy(BOOKING_TURN, write(BOOKING, BOOKING)) == -1.5
    assert 0 < accuracy(BOOKING_TURN, write({"name": "BookRoom", "arguments": {"room": "13"}})) < 1


def test_an_invented_argument_and_a_wrong_type_cost():
    assert accuracy(CALL_TURN, write(without(stars=3))) < 1
    counted = point(calls=(without(guests=1),))
    assert accuracy(counted, write(without(guests=1.0))) == 1.0
    for value in (True, "1"):
        assert accuracy(counted, write(without(guests=value))) < 1


def test_text_beside_the_call_costs_and_a_missing_thought_is_left_to_the_format():
    assert 0 < accuracy(CALL_TURN, f"Let me see. {write(GOLD)}") < 1
    scored = score(CALL_TURN, write(GOLD), thinking=True)
    assert (scored.parts.format, scored.parts.tool_accuracy) == (0.0, 1.0)


def test_parallel_calls_are_matched_in_any_order_and_each_counts():
    other = without(city="Bergen", day="2019-03-02")
    both = point(calls=(GOLD, other))
    assert accuracy(both, write(other, GOLD)) == 1.0
    one = accuracy(both, write(GOLD))
    assert 0 < one < accuracy(both, write(GOLD, without("view", city="Bergen", day="2019-03-02"))) < 1


def test_matching_is_optimal_where_greedy_is_not():
    def made(number: int, **arguments: str) -> ToolCall:
        return ToolCall(id=str(number), name="FindRoom", arguments=arguments, arguments_raw=json.dumps(arguments))

    expected = [made(0, city="Oslo", day="1"), made(1, city="Oslo", day="2")]
    predicted = [made(2, city="Oslo", day="2"), made(3, city="Bergen", day="2")]
    best = match_calls(expected, predicted, TOOLS)
    crossed = call_likeness(expected[0], predicted[1], FIND) + call_likeness(expected[1], predicted[0], FIND)
    assert best.likeness == pytest.approx(
        max(crossed, sum(call_likeness(a, b, FIND) for a, b in zip(expected, predicted, strict=True)))
    )
    assert (best.pairs, best.missing, best.spurious) == (2, (), ())


@pytest.mark.parametrize("at", [INFORMING, ASKING, CLOSING])
def test_order_on_answer_turns(at):
    right = accuracy(at, at.expected.content)
    silent = accuracy(at, "")
    read = accuracy(at, write(GOLD))
    reads = accuracy(at, write(GOLD, GOLD))
    invented = accuracy(at, write({"name": "FindHut", "arguments": {}}))
    malformed = accuracy(at, "<tool_call>{")
    assert right == 0.1 > silent > read > reads > invented > malformed > accuracy(at, write(BOOKING)) == -1.5
    assert accuracy(at, write(GOLD, BOOKING)) == -1.5
    assert silent > accuracy(at, "zxq vbrt plomf wekk?") > read


def test_answers_are_scored_on_answer_turns_only():
    assert answer(CALL_TURN, write(GOLD)) is None
    assert answer(INFORMING, write(GOLD)) == 0.0


def test_facts_are_recalled_in_any_words():
    assert answer(INFORMING, "Pets aren't allowed there; a night is 45 dollars.") == 1.0
    assert answer(INFORMING, "It costs $45.") == 0.5
    assert answer(INFORMING, "It costs $45 and pets are allowed.") == 0.5
    assert answer(INFORMING, "It costs $450.") == 0.0


def test_a_question_that_was_due_is_half_of_it():
    said = "It costs $45 and takes no pets."
    assert answer(INFORMING_AND_ASKING, f"{said} Anything else?") == 1.0
    assert answer(INFORMING_AND_ASKING, said) == 0.5
    assert answer(INFORMING, f"{said} Anything else?") == 1.0


def test_asking_for_more_is_not_asking_for_what_the_turn_is_about():
    """Where no slot is known; an act read off a record's question mark says nothing of which question it was."""
    asking = point(content="Where would you like to stay?", acts=(Act.REQUEST,))
    derived = point(content="Anything else?", acts=(Act.REQUEST,), derived=True)
    assert answer(asking, "In which part of town would you like to stay?") == 1.0
    assert answer(asking, "Is there anything else that I can do for you?") <= 0.25
    assert answer(derived, "Is there anything else that I can do for you?") == 1.0


@pytest.mark.parametrize(
    ("act", "right", "wrong"),
    [
        (Act.CONFIRM, "Shall I book this room for you now?", "Could you give me your name, please?"),
        (Act.CONFIRM, "Is that correct?", "Is there anything else that I can do for you?"),
        (Act.INFORM, "It is a quiet room.", "Thank you and goodbye."),
        (Act.GOODBYE, "Thank you and goodbye.", "Great, your stay is all done and confirmed!"),
    ],
)
def test_an_act_without_facts_or_slots_is_not_done_by_another(act, right, wrong):
    turn = point(content=right, acts=(act,))
    assert answer(turn, right) == 1.0
    assert answer(turn, wrong) <= 0.5


def test_the_kind_of_act_decides_where_there_are_no_facts():
    assert answer(ASKING, "In what town should it be?") == 1.0
    assert answer(ASKING, "What would you like?") == answer(ASKING, "How many guests?") == 0.1
    assert answer(ASKING, "It should be in town.") == 0.0
    assert answer(CLOSING, "Have a nice day.") == 1.0
    assert answer(CLOSING, "Which city do you want?") == 0.25


@pytest.mark.parametrize(
    "text",
    [
        "When, what time, where from and where to, how many people, how long, what kind, how much, and who?",
        "When and where, how many, how long, how much, what kind, and who?",
        "Please tell me the day, hour, place, party size, duration, kind, budget and person.",
        "Where? When? How many? What kind?",
    ],
)
def test_asking_for_everything_is_not_asking_whatever_the_words(text):
    assert answer(ASKING, text) < 0.6
    wanted = point(content=text, acts=(Act.REQUEST,), requested=("city", "day", "guests", "view"))
    assert answer(wanted, "Where, on what day, for how many guests, and with what view?") == 1.0


@pytest.mark.parametrize(
    "text", ["In what town should it be, and when?", "Which city? Bergen, Oslo, or what?", "Where should I look?"]
)
def test_a_question_more_is_no_fault(text):
    assert answer(ASKING, text) == 1.0


def test_naming_what_is_counted_is_not_asking_how_many():
    counted = ToolSpec(
        name="Buy", parameters={"type": "object", "properties": {"number_of_tickets": {"type": "integer"}}}
    )
    turn = point(content="How many tickets?", acts=(Act.REQUEST,), requested=("number_of_tickets",))
    turn = turn.model_copy(update={"tools": (counted,)})
    assert answer(turn, "Would you like me to buy the tickets?") == 0.1
    for right in (
        "How many tickets shall I buy?",
        "Would you like me to buy more tickets than one?",
        "How many of you?",
    ):
        assert answer(turn, right) == 1.0


CONFIRMING = point(content="Shall I book this room?", acts=(Act.CONFIRM,))
FAILING = point(content="Sorry, that did not work.", acts=(Act.REPORT_FAILURE,))


@pytest.mark.parametrize(
    "text",
    [
        "Unfortunately it was successful, it is booked.",
        "I have booked it already. Is that right?",
        "Sorry, is that fine? It has been booked.",
        "I could not ask you. It has been booked, though.",
        "I went ahead and booked it for you, okay?",
        "Sorry, but we've reserved it, if you like.",
        "No worries, it is done.",
        "No I have booked it, sorry.",
        "It is booked, isn't it?",
    ],
)
def test_a_claim_is_one_whatever_stands_beside_it(text):
    assert claims_falsely(CONFIRMING, text)
    assert claims_falsely(FAILING, text)
    assert not claims_falsely(REPORTING, text)
    assert answer(CONFIRMING, text) <= 0.5
    assert answer(FAILING, text) <= 0.5


def test_a_broken_call_beside_the_exact_one_is_malformed():
    broken = write(GOLD) + '\n<tool_call>\n{"name": \n</tool_call>'
    found = score(CALL_TURN, broken, thinking=False)
    assert found.parts.tool_accuracy == -0.85
    assert score(CALL_TURN, write(GOLD), thinking=False).parts.tool_accuracy == 1.0


START = CONFIRMING.model_copy(update={"history": CONFIRMING.history[:1]})


@pytest.mark.parametrize(
    "text",
    [
        "I have cancelled it already. A room in Oslo, is that right?",
        "I've already paid for it: a room in Oslo?",
        "Booked. Is that right?",
        "Your room is secured. Is that right?",
        "I put you down for it. All done!",
    ],
)
def test_more_than_bookings_is_claimed(text):
    assert claims_falsely(CONFIRMING, text)
    assert not claims_falsely(REPORTING, text)


def test_before_any_tool_has_answered_every_claim_is_false():
    asking = ASKING.model_copy(update={"history": START.history})
    for text in ("I have booked your room. How many guests?", "Your room has been booked. For how many guests?"):
        assert claims_falsely(asking, text)
        # After a call words do not tell what it changed.
        assert not claims_falsely(ASKING, text)
    assert not claims_falsely(asking, "How many guests shall it be booked for?")


def test_what_people_say_of_what_they_understood_claims_nothing():
    for text in ("I've changed that to a room in Bergen. Is that right?", "Done for now. Enjoy your day."):
        assert not claims_falsely(CONFIRMING, text)


@pytest.mark.parametrize(
    "text", ["It is booked. Sorry for the wait!", "Your room is booked. It is not possible to cancel."]
)
def test_a_success_may_be_told_with_regret(text):
    assert answer(REPORTING, text) == 1.0
    assert answer(REPORTING, "Sorry, it could not be booked.") < 1.0


@pytest.mark.parametrize(
    "text",
    [
        "I'll make a note of it, please call us if you are late.",
        "Let me know if you need to make a call.",
        "I found you a hall you can use for a charity function.",
        "I have set the reminder for the metal shop.",
    ],
)
def test_honest_answers_announce_no_call(text):
    tools = tuple(TOOLS[0].model_copy(update={"name": name}) for name in ("EMI", "ETA", "FindRoom"))
    assert not announces_call(CLOSING.model_copy(update={"tools": tools}), text)


@pytest.mark.parametrize(
    "text",
    [
        "I will call the tool now.",
        "Let me make a call.",
        "I am using the API.",
        "Now FindRoom runs.",
        "find_room it is.",
    ],
)
def test_announcements_and_identifiers_are_no_answer(text):
    tools = tuple(TOOLS[0].model_copy(update={"name": name}) for name in ("find_room", "FindRoom"))
    assert announces_call(CLOSING.model_copy(update={"tools": tools}), text)


def test_a_name_that_the_user_said_may_be_said_back():
    tools = (TOOLS[0].model_copy(update={"name": "PayPal"}),)
    at = CLOSING.model_copy(update={"tools": tools})
    assert announces_call(at, "You can pay with PayPal.")
    asked = at.model_copy(update={"history": (Message(role="user", content="Can I pay with PayPal?"),)})
    assert not announces_call(asked, "Yes, with PayPal.")


@pytest.mark.parametrize(
    "text",
    [
        "[1] The hotel is free. [2] The other one is not.",
        'The movie is called "Alien": it is about a ship.',
        'Table "T17": it is free at 19:30.',
    ],
)
def test_quotes_and_footnotes_are_no_dump(text):
    assert not is_dump(text)


@pytest.mark.parametrize("text", ['Result: {"a": 1}', '"a": "x"', "[1, 2]", '[{"a": 1}]', "It says\n'a': True"])
def test_json_is(text):
    assert is_dump(text)


@pytest.mark.parametrize(
    "text",
    [
        "No reservation was made.",
        "Sorry, nothing has been booked.",
        "Unfortunately the room could not be successfully reserved.",
        "I was unable to get it reserved. It has not been booked.",
        "Sorry, I made a mistake.",
        "Nothing is booked before you confirm.",
        "The room is reserved once you confirm.",
        "Is all that is scheduled for March right?",
        "Shall I tell you once it is booked?",
        "Please confirm that the room has been booked for March.",
        "Should the room be booked?",
    ],
)
def test_what_is_denied_or_hangs_on_something_or_is_asked_is_no_claim(text):
    assert not claims_falsely(CONFIRMING, text)
    assert not claims_falsely(FAILING, text)


@pytest.mark.parametrize(
    ("asked", "text", "language"),
    [
        ("Where is my order, please?", "zxq vbrt plomf wekk sdfgh", False),
        ("Heidi", "Schönen guten Tag wünschen wir Ihnen", False),  # too little to tell what she writes
        ("Reset VPN password", "zxq vbrt plomf wekk sdfgh", False),
        ("My laptop's Bluetooth keyboard keeps disconnecting", "zxq vbrt plomf wekk sdfgh", False),
        ("Retrieve chassisSpecifications of the motorcycle article", "zxq vbrt plomf wekk sdfgh", False),
        ("Wo ist meine Bestellung?", "Sie wird morgen geliefert", True),
        ("Où est-il ?", "Votre colis arrivera demain matin", True),
        ("Gdzie jest moja paczka?", "Paczka przyjdzie jutro rano", True),
        ("荷物はどこですか", "荷物は明日届きます", True),
    ],
)
def test_words_are_held_against_an_answer_only_where_the_user_writes_english(asked, text, language):
    at = CLOSING.model_copy(update={"history": (Message(role="user", content=asked),)})
    assert is_language(text, at) is language
    keywords = "room Oslo Friday price view sea city guests date hotel"
    assert is_list_of_keywords(keywords, at) is not language
    said = Message(role="assistant", content="Ihre Bestellung liegt im Lager und wird morgen verschickt")
    assert is_language(text, at.model_copy(update={"history": (*at.history, said)})) is language


def test_what_somebody_else_has_booked_is_how_a_booking_fails():
    assert not claims_falsely(FAILING, "Sorry, it is already booked.")
    assert claims_falsely(CONFIRMING, "Sorry, it is already booked.")
    assert claims_falsely(FAILING, "Sorry, I have already booked it.")


def test_what_never_ends_is_malformed_whatever_it_says_so_far():
    weights = RewardWeights()
    for at, text, paid in ((CALL_TURN, write(GOLD), (0.0, 1.0, None)), (CLOSING, "Goodbye!", (0.0, 0.1, 0.0))):
        ended, cut = (score(at, text, thinking=False, cut=cut) for cut in (False, True))
        assert total(ended.parts, weights) == maximum(at, weights)
        assert (cut.parts.format, cut.parts.tool_accuracy, cut.parts.answer_correctness) == paid
        assert (ended.parsed.ok, cut.parsed.ok) == (True, False)
        assert cut.parsed.action == ended.parsed.action
        for name in ("graded", "binary"):
            reward = load_reward(name, weights)
            found = reward.total(reward.score(at, text, thinking=False, cut=True).parts)
            assert found < reward.maximum(at)
    malformed = "<tool_call>{"
    assert score(CLOSING, malformed, thinking=False, cut=True).parts == score(CLOSING, malformed, thinking=False).parts


@pytest.mark.parametrize("at", [INFORMING, INFORMING_AND_ASKING, ASKING, CLOSING])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "?!",
        "...",
        '{"price": "$45", "pets_allowed": "no"}?',
        "A room in Oslo, on the first of March!",
        "<tool_call>",
        "<think>It costs $45 and no pets. Which?</think>",
    ],
)
def test_what_is_no_answer_earns_nothing(at, text):
    echo = at.model_copy(update={"history": (Message(role="user", content="a room in oslo, on the first of march"),)})
    assert answer(echo, text) == 0.0


@pytest.mark.parametrize("at", [INFORMING, INFORMING_AND_ASKING, ASKING, CLOSING])
@pytest.mark.parametrize(
    "text",
    [
        "zxq vbrt plomf wekk sdfgh?",
        "45 $45 pets price city day view guests room weather booking?",
        "I will now call the FindRoom tool. Which city?",
        "FindRoom city Oslo?",
        "Let me use the weather function for that.",
    ],
)
def test_pretences_earn_nothing(at, text):
    assert answer(at, text) == 0.0
    assert accuracy(at, text) < 0


def test_a_value_nobody_told_halves_the_answer():
    said = "It costs $45 and takes no pets"
    assert answer(INFORMING, f"{said}, breakfast is at 7:15.") == 0.5
    assert answer(INFORMING, f"{said}, breakfast is at 7:15 for $9.") == 0.25


def test_text_before_a_call_is_no_fault_where_the_recorded_action_has_it():
    spoken = CALL_TURN.model_copy(update={"expected": CALL_TURN.expected.model_copy(update={"content": "One moment."})})
    for text, parts in (
        (write(GOLD), (1.0, 1.0)),
        (f"Let me look. {write(GOLD)}", (1.0, 1.0)),
    ):
        scored = score(spoken, text, thinking=False).parts
        assert (scored.format, scored.tool_accuracy) == parts
    assert score(CALL_TURN, f"Let me look. {write(GOLD)}", thinking=False).parts.format == 0.0


def test_any_accepted_value_is_exact():
    call = ToolCall(
        id="c0",
        name="FindRoom",
        arguments=GOLD["arguments"],
        arguments_raw=json.dumps(GOLD["arguments"]),
        accepted={"city": ("Oslo", "Kristiania"), "view": ("sea", None)},
    )
    at = CALL_TURN.model_copy(update={"expected": Message(role="assistant", tool_calls=(call,))})
    for right in (without(), without(city="Kristiania"), without("view")):
        assert accuracy(at, write(right)) == 1.0
    for wrong in (without(city="Bergen"), without("city"), without(view="garden")):
        assert accuracy(at, write(wrong)) < 1.0


def test_the_reference_utterance_is_never_read():
    texts = ["It costs $45 and takes no pets.", "Which city?", "Goodbye then.", "", write(GOLD)]
    for at in (INFORMING, INFORMING_AND_ASKING, ASKING, CLOSING):
        other = at.expected.model_copy(update={"content": "Quite another utterance?"})
        for text in texts:
            assert score(at, text, thinking=False) == score(
                at.model_copy(update={"expected": other}), text, thinking=False
            )


def test_length_earns_nothing():
    short = "<think>\nPrice known.\n</think>\n\nIt costs $45 and takes no pets."
    long = short.replace("Price known.", "Price known. " * 700)
    wordy = short + " We are happy to help." * 50
    weights = RewardWeights()
    paid = {total(score(INFORMING, text, thinking=True).parts, weights) for text in (short, long, wordy)}
    assert paid == {maximum(INFORMING, weights)}
    empty = total(score(INFORMING, short.replace("Price known.", ""), thinking=True).parts, weights)
    assert empty < maximum(INFORMING, weights)


def test_total_leaves_out_what_does_not_apply():
    weights = RewardWeights(format=0.5, tool_accuracy=2.0, answer_correctness=4.0)
    assert total(RewardParts(1.0, -0.5, None), weights) == -0.5
    assert total(RewardParts(0.0, 1.0, 0.25), weights) == 3.0
    assert maximum(CALL_TURN, weights) == 2.5
    assert maximum(CLOSING, weights) == pytest.approx(4.7)


@given(st.floats(0, 1))
def test_partial_credit_alone_shrinks(partial):
    near = without("view")
    for at, text in (
        (CALL_TURN, write(near)),
        (CALL_TURN, write(GOLD)),
        (CALL_TURN, write(BOOKING)),
        (CALL_TURN, "Which day?"),
        (INFORMING, "It costs $45 and takes no pets."),
        (INFORMING, "It costs $45."),
        (INFORMING, write(GOLD)),
        (CLOSING, "Goodbye."),
    ):
        parsed = parse_completion(text, thinking=False, tools=at.tools)
        whole, found = compose.parts(at, parsed), compose.parts(at, parsed, partial)
        in_part = 0 < whole.tool_accuracy < 1 and at.kind == "call"
        assert found.tool_accuracy == (whole.tool_accuracy * partial if in_part else whole.tool_accuracy)
        told = whole.answer_correctness
        assert found.answer_correctness == (told if told in (None, 1.0) else told * partial)
        assert found.format == whole.format


def test_partial_credit_is_a_setting_of_graded():
    weights = RewardWeights(partial=0.25)
    graded, sharper = load_reward("graded", RewardWeights()), load_reward("graded", weights)
    near, exact = write(without("view")), write(GOLD)
    paid = {text: graded.score(CALL_TURN, text, thinking=False).parts.tool_accuracy for text in (near, exact)}
    assert 0 < paid[near] < paid[exact] == 1
    assert sharper.score(CALL_TURN, near, thinking=False).parts.tool_accuracy == paid[near] / 4
    assert sharper.maximum(CALL_TURN) == graded.maximum(CALL_TURN)
    with pytest.raises(ValueError, match="less than or equal to 1"):
        RewardWeights(partial=1.5)


@given(
    st.text() | st.sampled_from([write(GOLD), write(BOOKING), "<think>\nx\n</think>\n\n" + write(GOLD)]), st.booleans()
)
def test_rewards_stay_in_range_and_below_the_maximum(text, thinking):
    weights = RewardWeights()
    for at in (CALL_TURN, BOOKING_TURN, INFORMING, INFORMING_AND_ASKING, ASKING, CLOSING):
        parts = score(at, text, thinking=thinking).parts
        assert parts.format in (0.0, 1.0)
        assert -1.5 <= parts.tool_accuracy <= 1
        assert (parts.answer_correctness is None) == (at.kind == "call")
        assert 0 <= (parts.answer_correctness or 0) <= 1
        assert total(parts, weights) <= maximum(at, weights)


@given(
    st.dictionaries(st.sampled_from(["city", "day", "view"]), st.sampled_from(["a", "b"]), min_size=1),
    st.dictionaries(st.sampled_from(["city", "day", "view", "stars"]), st.sampled_from(["a", "b"])),
)
def test_every_corrected_mistake_pays(expected, predicted):
    at = point(calls=({"name": "FindRoom", "arguments": expected},))
    reward = accuracy(at, write({"name": "FindRoom", "arguments": predicted}))
    for name in predicted:
        kept = {key: value for key, value in predicted.items() if key != name}
        better = {**kept, name: expected[name]} if name in expected else kept
        if better != predicted:
            assert accuracy(at, write({"name": "FindRoom", "arguments": better})) > reward


@given(st.permutations([GOLD, BOOKING, without(city="Bergen")]), st.permutations([GOLD, BOOKING, without("day")]))
def test_order_of_calls_never_matters(expected, predicted):
    reference = accuracy(point(calls=(GOLD, BOOKING, without(city="Bergen"))), write(GOLD, BOOKING, without("day")))
    assert accuracy(point(calls=tuple(expected)), write(*predicted)) == pytest.approx(reference)
