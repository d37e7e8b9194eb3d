"""The judge: turn success and its parts, on call turns and on answer turns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.decision_points import decision_points
from data.evaluations import EVALUATION_SCHEMA
from data.schema import Act, DecisionPoint, Fact, Message, ToolCall, ToolSpec
from models.evaluation.metrics import Judgement, judge
from models.speech.parsing import parse_completion
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text

TOOLS = (
    ToolSpec(
        name="FindRoom",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string"}, "guests": {"type": "integer", "default": 2}},
            "required": ["city"],
        },
    ),
    ToolSpec(name="BookRoom", parameters={"type": "object", "properties": {}}, is_write=True),
)
FIND = {"name": "FindRoom", "arguments": {"city": "Oslo"}}
BOOK = {"name": "BookRoom", "arguments": {}}


def write(*calls: dict) -> str:
    return "\n".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)


def point(*calls: dict, **annotations: tuple) -> DecisionPoint:
    made = tuple(
        ToolCall(id=str(i), name=c["name"], arguments=c["arguments"], arguments_raw=json.dumps(c["arguments"]))
        for i, c in enumerate(calls)
    )
    return DecisionPoint(
        id="made/1#1",
        conversation_id="made/1",
        message_index=1,
        source="made",
        split="validation_seen",
        domain="Rooms",
        kind="call" if calls else "answer",
        tool=calls[0]["name"] if calls else None,
        tools=TOOLS,
        history=(Message(role="user", content="A room in Oslo"),),
        expected=Message(role="assistant", content=None if calls else "…", tool_calls=made, **annotations),
    )


def judged(at: DecisionPoint, text: str, thinking: bool = False) -> Judgement:
    return judge(at, parse_completion(text, thinking=thinking, tools=at.tools))


CALL = point(FIND)
PRICE = Fact(name="price", kind="value", forms=("$45",))
STARS = Fact(name="stars", kind="value", forms=("4",))
INFORM = point(facts=(PRICE, STARS), acts=(Act.INFORM,))
INFORM_AND_ASK = point(facts=(PRICE,), acts=(Act.INFORM, Act.REQUEST_MORE))
REQUEST = point(acts=(Act.REQUEST,))


@pytest.mark.parametrize(
    ("text", "success", "decision", "name", "arguments", "exact", "form"),
    [
        (write(FIND), True, True, True, True, True, True),
        (write({"name": "FindRoom", "arguments": {"guests": 2, "city": "OSLO"}}), True, True, True, True, True, True),
        (write({"name": "FindRoom", "arguments": {"city": "Bergen"}}), False, True, True, True, False, True),
        (
            write({"name": "FindRoom", "arguments": {"city": "Oslo", "guests": 3}}),
            False,
            True,
            True,
            False,
            False,
            True,
        ),
        (write({"name": "FindRoom", "arguments": {}}), False, True, True, False, False, True),
        (write(BOOK), False, True, False, False, False, True),
        (write(FIND, FIND), False, True, False, False, False, True),
        (write(FIND, BOOK), False, True, False, False, False, True),
        (f"Let me see. {write(FIND)}", False, True, True, True, True, False),
        (write({"name": "FindHut", "arguments": {}}), False, True, False, False, False, False),
        ("<tool_call>\nFindRoom(Oslo)\n</tool_call>", False, True, False, False, False, False),
        ("Which city?", False, False, False, False, False, True),
        ("", False, False, False, False, False, False),
    ],
)
def test_call_turns(text, success, decision, name, arguments, exact, form):
    found = judged(CALL, text)
    assert found == Judgement(success, decision, name, arguments, found.argument_values, exact, None, form)
    assert not exact or found.argument_values == 1.0


def test_parallel_calls_in_any_order():
    both = point(FIND, BOOK)
    assert judged(both, write(BOOK, FIND)).turn_success
    assert not judged(both, write(FIND)).exact_call
    twice = point(FIND, {"name": "FindRoom", "arguments": {"city": "Bergen"}})
    assert judged(twice, write({"name": "FindRoom", "arguments": {"city": "bergen"}}, FIND)).turn_success
    assert not judged(twice, write(FIND, FIND)).turn_success


@pytest.mark.parametrize(
    ("at", "text", "success", "facts"),
    [
        (INFORM, "It has 4 stars and costs 45 dollars.", True, 1.0),
        (INFORM, "It costs $45.", False, 0.5),
        (INFORM, "No idea.", False, 0.0),
        (INFORM, '{"price": "$45", "stars": "4"}', False, 1.0),
        (INFORM_AND_ASK, "$45. Anything else?", True, 1.0),
        (INFORM_AND_ASK, "It costs $45.", False, 1.0),
        (REQUEST, "Which city?", True, None),
        (REQUEST, "In some city.", False, None),
        (REQUEST, "?", False, None),
        (REQUEST, "", False, None),
        (REQUEST, "<think>\nWhich city?", False, None),
    ],
)
def test_answer_turns(at, text, success, facts):
    verdict = judged(at, text)
    said_something = bool(text)
    assert (verdict.turn_success, verdict.facts, verdict.decision_correct) == (success, facts, said_something)
    assert verdict.tool_name_correct is verdict.argument_names_correct is verdict.exact_call is None


@pytest.mark.parametrize("text", [write(FIND), "<tool_call>oops", f"It costs $45 and has 4 stars. {write(BOOK)}"])
def test_a_call_on_an_answer_turn_is_the_wrong_decision(text):
    verdict = judged(INFORM, text)
    assert (verdict.turn_success, verdict.decision_correct, verdict.facts) == (False, False, 0.0)


def test_a_missing_thought_fails_the_turn_but_not_the_call():
    verdict = judged(CALL, write(FIND), thinking=True)
    assert (verdict.turn_success, verdict.exact_call, verdict.format_ok) == (False, True, False)


def test_recorded_actions_succeed(tiny_conversations):
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    for thought in (None, PLACEHOLDER_THOUGHT):
        for at in points:
            assert judged(at, completion_text(at.expected, thought), thinking=thought is not None).turn_success, at.id


WHICH_CITY = point(acts=(Act.REQUEST,), requested=("city",))
WHEN_AND_WHERE = point(acts=(Act.REQUEST,), requested=("city", "date"))
MORE, LEAVE = point(acts=(Act.REQUEST_MORE,)), point(acts=(Act.GOODBYE,))
DONE, FAILED = point(acts=(Act.REPORT_SUCCESS,)), point(acts=(Act.REPORT_FAILURE,))
TO_BOOK = point(acts=(Act.OFFER_INTENT,))


@pytest.mark.parametrize(
    ("at", "text", "success"),
    [
        (WHICH_CITY, "Which city?", True),
        (WHICH_CITY, "Where?", True),
        (WHICH_CITY, "For how many guests?", False),
        (WHICH_CITY, "Please wait.", False),
        (WHICH_CITY, "I know the city.", False),
        (WHEN_AND_WHERE, "In which city shall I look?", True),  # one of both: which comes first is a matter of taste
        (WHEN_AND_WHERE, "When, where, who, how many, what kind and which one?", False),
        (MORE, "Anything else?", True),
        (MORE, "Shall I book it?", True),  # both ask what to do next
        (MORE, "Where are you?", False),
        (LEAVE, "Goodbye!", True),
        (LEAVE, "Bye.", True),
        (LEAVE, "Have a nice day.", True),
        (LEAVE, "Please wait.", False),
        (LEAVE, "Which city?", False),
        (DONE, "Your room is booked.", True),
        (DONE, "Sorry, the booking failed.", False),
        (DONE, "Shall I book it?", False),
        (DONE, "No problem, your room has been booked.", True),
        (DONE, "Done! Don't forget your ID.", True),
        (DONE, "The alarm was set, nothing else to do.", True),
        (DONE, "Unfortunately it is booked.", False),
        (FAILED, "No problem, your room has been booked.", False),
        (FAILED, "Sorry for the wait, your room has been booked.", False),
        (FAILED, "I was not able to book it.", True),
        (FAILED, "Sorry, the booking failed.", True),
        (FAILED, "Your booking was successful.", False),
        (TO_BOOK, "Would you like to book a room?", True),
        (TO_BOOK, "I can book a room.", False),
        (point(), "Please wait.", True),  # nobody annotated what is due
        (point(), "Wait.", False),
        (point(acts=(Act.GOODBYE,)), "A room in Oslo", False),
    ],
)
def test_answers_do_what_was_due(at: DecisionPoint, text: str, success: bool) -> None:
    assert judged(at, text).turn_success == success


def test_what_the_user_said_is_no_answer_unless_it_takes_leave() -> None:
    def after(said: str) -> DecisionPoint:
        return point().model_copy(update={"history": (Message(role="user", content=said),)})

    assert not judged(after("I want a room in Oslo, please."), "I want a room in Oslo, please").turn_success
    assert judged(after("I want a room in Oslo, please."), "You want a room in Oslo, then.").turn_success
    assert judged(after("Have a nice day!"), "Have a nice day.").turn_success


@pytest.mark.parametrize(
    ("text", "success"),
    [
        ("[Track your parcel](https://parcels.example) to see where it is.", True),
        ("[1, 2] rooms", False),
        ('[{"room": 4}] is there', False),
        ("[]", False),
        ("{ rooms found }", False),
    ],
)
def test_a_link_is_no_dump_and_a_result_handed_on_is(text: str, success: bool) -> None:
    assert judged(point(), text).turn_success == success


def test_where_one_word_was_recorded_one_word_is_an_answer() -> None:
    due = point()
    at = due.model_copy(update={"expected": due.expected.model_copy(update={"content": "Cancelled!"})})
    assert judged(at, "Done.").turn_success
    assert not judged(at, "…").turn_success


@pytest.mark.parametrize(
    "reply",
    [
        "Please wait.",
        "Okay.",
        "I am happy to help.",
        "When, what time, where from and where to, how many people, how long, what kind, how much, and who?",
        "Your request is being worked on, is there a question?",
    ],
)
def test_no_reply_fits_every_turn(reply: str, tiny_conversations) -> None:
    points = [one for conversation in tiny_conversations for one in decision_points(conversation)]
    annotated = [one for one in points if one.kind == "answer" and one.expected.acts]
    assert len(annotated) > 5
    assert sum(judged(one, reply).turn_success for one in annotated) / len(annotated) < 0.25


def test_an_exact_call_has_the_right_names_whatever_it_leaves_out() -> None:
    due = point(FIND)
    (call,) = due.expected.tool_calls
    optional = call.model_copy(
        update={"arguments": {"city": "Oslo", "view": "sea"}, "accepted": {"city": ("Oslo",), "view": ("sea", None)}}
    )
    at = due.model_copy(update={"expected": due.expected.model_copy(update={"tool_calls": (optional,)})})
    found = judged(at, write(FIND))
    assert (found.exact_call, found.argument_names_correct, found.turn_success) == (True, True, True)


def test_a_row_has_the_columns_of_the_stored_evaluations():
    assert set(judged(CALL, write(FIND)).as_row()) <= set(EVALUATION_SCHEMA.names)


@given(st.text() | st.sampled_from([write(FIND), write(BOOK), "Which city? $45 4"]), st.booleans())
def test_never_raises_and_success_implies_its_parts(text, thinking):
    for at in (CALL, INFORM, INFORM_AND_ASK, REQUEST):
        verdict = judged(at, text, thinking)
        if verdict.turn_success:
            assert verdict.decision_correct
            assert verdict.format_ok
            assert verdict.exact_call is not False
            assert verdict.facts in (None, 1.0)
        if verdict.exact_call:
            assert verdict.tool_name_correct
            assert verdict.argument_names_correct


BOTH = point({"name": "FindRoom", "arguments": {"city": "Oslo", "guests": 3}}, FIND)


@pytest.mark.parametrize(
    ("at", "calls", "share"),
    [
        (CALL, [FIND], 1.0),
        (CALL, [{"name": "FindRoom", "arguments": {"city": "Bergen"}}], 0.0),
        (CALL, [{"name": "FindRoom", "arguments": {"city": "Oslo", "guests": 3}}], 1 / 2),  # one invented
        (CALL, [FIND, FIND], 1 / 2),
        (CALL, [BOOK], 0.0),
        (CALL, [], 0.0),
        (point(BOOK), [BOOK], None),
        (BOTH, [FIND, {"name": "FindRoom", "arguments": {"guests": 3, "city": "Oslo"}}], 1.0),  # in another order
        (BOTH, [FIND], 1 / 3),
        (BOTH, [{"name": "FindRoom", "arguments": {"city": "Bergen", "guests": 3}}, FIND], 2 / 3),
    ],
)
def test_values_of_arguments_count_one_by_one(at, calls, share):
    found = judged(at, write(*calls) or "Which city?").argument_values
    assert found == (share if share is None else pytest.approx(share))
