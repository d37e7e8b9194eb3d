"""Edges of judging: the order of calls, arguments that nobody states, causes, sizes that nothing varied in."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from data.schema import DecisionPoint, Message, ToolCall, ToolSpec
from models.equality import argument_verdicts
from models.evaluation.document import ArmRows
from models.evaluation.failures import failure
from models.evaluation.guards import guarded, unmet
from models.evaluation.ledger import thought_first
from models.evaluation.metrics import judge
from models.evaluation.outcomes import outcomes
from models.evaluation.slices import calls_begun
from models.evaluation.verdicts import Pairs, verdicts
from models.speech.parsing import parse_completion
from tasks.comparison_pages import caused, first_seed

NUMBER, TEXT = {"type": "integer"}, {"type": "string"}
TOOLS = tuple(
    ToolSpec(name=name, parameters={"type": "object", "properties": {"n": NUMBER, "city": TEXT, "y": NUMBER}})
    for name in "ABC"
)

ARGUMENTS = st.dictionaries(st.sampled_from(["n", "y"]), st.integers(0, 2), max_size=2)


def call(name: str, accepted: dict[str, tuple[Any, ...]] | None = None, **arguments: Any) -> ToolCall:
    raw = json.dumps(arguments)
    return ToolCall(id=name, name=name, arguments=arguments, arguments_raw=raw, accepted=accepted or {})


def due(*calls: ToolCall) -> DecisionPoint:
    return DecisionPoint(
        id="made/1#1",
        conversation_id="made/1",
        message_index=1,
        source="made",
        split="validation_seen",
        domain="Rooms",
        kind="call",
        tool=calls[0].name,
        tools=TOOLS,
        history=(Message(role="user", content="Two in Rome"),),
        expected=Message(role="assistant", tool_calls=calls),
    )


def said(*calls: tuple[str, dict[str, Any]]) -> str:
    each = (json.dumps({"name": name, "arguments": arguments}) for name, arguments in calls)
    return "\n".join(f"<tool_call>\n{one}\n</tool_call>" for one in each)


def parsed(text: str) -> Any:
    return parse_completion(text, thinking=False, tools=TOOLS)


def test_the_order_of_calls_is_no_part_of_their_values() -> None:
    point = due(call("A", n=1), call("B", n=1), call("C", n=1))
    made: list[tuple[str, dict[str, Any]]] = [("A", {"n": 2}), ("B", {"n": 2}), ("C", {"n": 1})]
    found = {judge(point, parsed(said(*one))).argument_values for one in itertools.permutations(made)}
    assert found == {1 / 3}


def test_arguments_that_may_be_left_out_and_are_count_for_nothing() -> None:
    wanted = call("A", {"n": (1,), "city": (None, ""), "y": (None, 3)})
    assert argument_verdicts(wanted, call("A", n=2), TOOLS[0]) == {"n": "wrong"}
    assert argument_verdicts(wanted, call("A", n=1, y=3), TOOLS[0]) == {"n": "right", "y": "right"}
    point = due(call("A", {"n": (1,), "y": (2, None)}, n=1, y=2))
    left_out = judge(point, parsed(said(("A", {"n": 9}))))
    assert (left_out.argument_names_correct, left_out.exact_call) == (True, False)
    assert left_out.argument_values == 0.5  # y is stated as due, and may be left out
    assert not judge(point, parsed(said(("A", {"city": "Rome"})))).argument_names_correct


@settings(max_examples=200)
@given(
    due_calls=st.lists(st.tuples(st.sampled_from("AB"), ARGUMENTS), min_size=1, max_size=3),
    made=st.lists(st.tuples(st.sampled_from("AB"), ARGUMENTS), min_size=1, max_size=3),
)
def test_values_are_the_same_in_whatever_order_calls_are_due_and_made(due_calls, made) -> None:
    shares = {
        judge(due(*(call(name, **arguments) for name, arguments in wanted)), parsed(said(*one))).argument_values
        for wanted in itertools.permutations(due_calls)
        for one in itertools.permutations(made)
    }
    assert len(shares) == 1


def test_an_argument_whose_default_is_accepted_may_be_left_out_of_the_names_too() -> None:
    schema = {"type": "object", "properties": {"n": NUMBER, "y": {**NUMBER, "default": 7}}, "required": ["n"]}
    tool = ToolSpec(name="A", parameters=schema)
    point = due(call("A", {"n": (1,), "y": (2, 7)}, n=1, y=2)).model_copy(update={"tools": (tool,)})
    found = judge(point, parse_completion(said(("A", {"n": 9})), thinking=False, tools=(tool,)))
    assert (found.argument_names_correct, found.argument_values) == (True, 0.5)


def test_a_value_that_the_judge_accepts_is_not_the_cause() -> None:
    point = due(call("A", n=2, city="Rome"))
    assert failure(point, parsed(said(("A", {"n": 2.0, "city": "Paris"})))) == "value_error:string"
    assert failure(point, parsed(said(("A", {"n": "two", "city": "Rome"})))) == "type_error:simple"
    unstated = due(call("A", {"n": (2, 3)}, city="Rome"))
    assert failure(unstated, parsed(said(("A", {"n": 3.0, "city": "Paris"})))) == "value_error:string"


def rows(*texts: str) -> pd.DataFrame:
    """Rows of points that are not stored any more, so that what was said is all there is."""
    from data.evaluations import EVALUATION_SCHEMA

    blank = dict.fromkeys((field.name for field in EVALUATION_SCHEMA), None)
    found = [
        {**blank, "decision_point_id": f"c/{at}#1", "conversation_id": f"c/{at}", "kind": "call", "text": text}
        | {"action": text, "reasoning": "n=5", "thinking": False, "turn_success": False, "completion_tokens": 1}
        for at, text in enumerate(texts)
    ]
    return pd.DataFrame(found)


def test_an_answer_that_is_a_list_has_no_arguments_and_a_stray_end_is_an_attempt() -> None:
    bare = '[{"name": "A", "arguments": {"n": 5}}]'
    frame = rows(bare, f"{bare}\n</tool_call>", "<tool_call>", "Good day.")
    assert calls_begun(frame).tolist() == [False, True, True, False]
    assert [parsed(text).attempted_call for text in frame["text"]] == [False, True, True, False]
    told = outcomes(frame, {}, step="x")
    assert told["values"].tolist()[0] == 0
    assert told["same_arguments"].tolist()[0] is None


@pytest.mark.parametrize(
    ("thought", "found"), [("n is 5", 1), ("n is -5", 0), ("-5", 0), ("3-5 of them", 1), ("12:5", 0), ("(5)", 1)]
)
def test_a_negative_number_is_another_one(thought: str, found: int) -> None:
    assert thought_first(thought, '[{"name": "A", "arguments": {"n": 5}}]') == (found, 1)
    assert thought_first("n is -5", '[{"name": "A", "arguments": {"n": -5}}]') == (1, 1)


def test_conversations_asked_for_are_those_with_which_the_same_gain_would_be_enough() -> None:
    """Of a gain the bound is that much higher, so fewer conversations are needed than without."""

    def guard(gain: int, conversations: int) -> Any:
        names = [f"c{number}" for number in range(conversations)]
        after = [1.0 if number < gain else 0.0 for number in range(conversations)]
        return guarded(Pairs([0.0] * conversations, after, names), 0.03)

    assert guard(0, 50).needed == 125
    some = guard(5, 50)
    assert some.needed is not None
    assert unmet(some.needed) < 0.03 + 0.1 <= unmet(some.needed - 1)
    assert guard(50, 50).needed == 1


def test_where_nothing_varied_the_correction_reaches_the_size_too() -> None:
    tied = Pairs([1.0] * 130, [1.0] * 130, [f"c{number}" for number in range(130)])
    one = next(iter(verdicts({f"q{number}": tied for number in range(9)}, margin=0.03).values()))

    def bound(level: float) -> float:  # Wilson's of none in 130
        z2 = norm.ppf(1 - level / 2) ** 2
        return float(z2 / (130 + z2))

    assert one.detectable == pytest.approx(bound(0.05))
    assert one.adjusted_detectable == pytest.approx(bound(0.05 / 9))
    assert one.word == "underpowered"  # 5.6 points could have gone unseen after the correction


def test_a_line_has_a_dash_for_a_size_that_cannot_be() -> None:
    alone = verdicts({"q": Pairs([0.0, 1.0], [1.0, 1.0], ["c", "c"])}, margin=0.03)["q"]
    assert "detectable –:" in alone.line()


def test_the_base_model_stands_beside_whichever_seed_is_the_first() -> None:
    def arm(name: str, seed: int, trained: bool) -> ArmRows:
        return ArmRows(1, name, name, {seed: pd.DataFrame({"variant": [None], "of": [name]})}, trained=trained)

    arms = [arm("base", 0, False), arm("sft", 1, True), arm("grpo-plain", 1, True), arm("late", 2, True)]
    assert first_seed(arms) == 1
    assert list(caused(arms)) == ["base", "sft", "grpo-plain"]
    assert first_seed(arms[:1]) == 0
