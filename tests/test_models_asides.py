"""What a comparison says of changed turns, elsewhere, and of slices that must not become worse."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from models.evaluation import bfcl, document
from models.evaluation.asides import aside_table, asked_aside, asked_table
from models.evaluation.document import ArmRows, on_common_ground
from models.evaluation.failures import _unknown
from models.evaluation.guard_table import guard_table, guarded_slice
from models.evaluation.ledger import thought_first
from tasks.comparison_pages import NOT_THERE, bfcl_section, changed_section, failure_section, ledger_section, looks

QUESTION = ("grpo-thinking", "sft", "better?")
TITLES = {"sft": "SFT", "grpo-thinking": "GRPO"}


def turn(conversation: int, at: int, right: bool, **changes: Any) -> dict[str, Any]:
    call = at % 4 == 3
    made = {
        "run_id": "r",
        "decision_point_id": f"made/{conversation}#{at}",
        "conversation_id": f"made/{conversation}",
        "split": "validation_unseen",
        "domain": "Ferries",
        "kind": "call" if call else "answer",
        "tool": "FindFerry" if call else None,
        "thinking": False,
        "variant": None,
        "announced": None,
        "called": call and right,
        "turn_success": right,
        "decision_correct": right,
        "cause": None if right else "format:empty",
        "grounded": None if call else right,
        "completion_tokens": 10,
        "values": 0,
        "values_thought_first": 0,
    }
    return {**made, **changes}


def turns(conversations: int, wrong: int = 0, each: int = 1, **changes: Any) -> pd.DataFrame:
    """``each`` turns of so many conversations; the first ``wrong`` of all of them are."""
    made = [(conversation, 2 * at + 1) for conversation in range(conversations) for at in range(each)]
    return pd.DataFrame([turn(*where, number >= wrong, **changes) for number, where in enumerate(made)])


def arms(before: dict[str, pd.DataFrame], after: dict[str, pd.DataFrame]) -> list[ArmRows]:
    """Two arms with one main judgement and looks aside."""
    return on_common_ground(
        [
            ArmRows(3, "sft", "SFT", {0: turns(10)}, aside=before),
            ArmRows(8, "grpo-thinking", "GRPO", {0: turns(10)}, aside=after),
        ]
    )


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_look_aside_is_told_of_the_turns_that_all_arms_reached() -> None:
    """Both arms are right on the first 50 conversations and wrong on the rest, which only the faster one reached."""
    fast = turns(100).assign(turn_success=[number < 50 for number in range(100)])
    looked = arms({"withheld": fast, "distractors": turns(4)}, {"withheld": turns(50)})
    found = [cells(line) for line in aside_table(looked, ["withheld", "distractors"]).splitlines()[2:]]
    assert [(one[0], one[1], one[3].split(" ")[0], one[5]) for one in found] == [
        ("withheld", "SFT", "100.0", "50"),
        ("distractors", "SFT", "100.0", "4"),  # of one arm alone: all it has
        ("withheld", "GRPO", "100.0", "50"),
    ]


def test_arms_are_compared_on_each_look_as_a_family_of_its_own() -> None:
    both = {"withheld": turns(40, wrong=30), "distractors": turns(40, wrong=20)}
    looked = arms(both, {"withheld": turns(40, wrong=2), "distractors": turns(40, wrong=20)})
    found = asked_aside(looked, {"withheld": "unseen", "distractors": None, "absent": None}, [QUESTION])
    assert list(found) == ["withheld", "distractors"]
    withheld, distractors = found["withheld"][QUESTION], found["distractors"][QUESTION]
    assert withheld.difference.mean == pytest.approx(28 / 40)
    assert (withheld.word, withheld.comparisons, withheld.seeds) == ("better", 1, 1)
    assert (distractors.difference.mean, distractors.word == "better") == (0.0, False)
    rows = [cells(line) for line in asked_table(found, TITLES).splitlines()[2:]]
    assert [(one[0], one[1], one[2].split(" ")[0], one[3], one[-1]) for one in rows] == [
        ("withheld", "GRPO − SFT", "+70.0", "40 / 40", "**better**"),
        ("distractors", "GRPO − SFT", "+0.0", "40 / 40", f"**{distractors.word}**"),
    ]
    assert asked_table({}, TITLES) == ""


def test_only_turns_of_the_slice_count_and_irrelevance_is_right_by_the_leaderboards_rule() -> None:
    seen = turns(30, split="validation_seen")
    found = asked_aside(arms({"withheld": seen}, {"withheld": seen}), {"withheld": "unseen"}, [QUESTION])
    assert found == {"withheld": {}}
    irrelevant, other = bfcl.IRRELEVANCE[0], "simple_python"
    # Our judge says "right" throughout; by the rule SFT fails all of the first 30 questions, GRPO none.
    asked = turns(40).assign(domain=[irrelevant] * 30 + [other] * 10, cause=None)
    failed = asked.assign(cause=["called"] * 30 + [None] * 10)
    found = asked_aside(arms({"on bfcl": failed}, {"on bfcl": asked}), looks("unseen"), [QUESTION])
    assert list(found) == ["irrelevance"]
    (one,) = found["irrelevance"].values()
    assert (one.difference.mean, one.difference.n, one.word) == (1.0, 30, "better")


def test_a_loss_that_may_have_gone_unmet_is_not_called_ruled_out() -> None:
    """47 conversations of 13 turns, three turns lost: the interval ends above -3 points, and 47 conversations that lose
    nothing whole cannot say that one in twenty does not."""
    before, after = turns(47, each=13), turns(47, wrong=3, each=13)
    both = [ArmRows(3, "sft", "SFT", {0: before}), ArmRows(8, "grpo-thinking", "GRPO", {0: after})]
    found = guarded_slice(both, [QUESTION], "unseen", 0.03)
    (one,) = found.values()
    assert one.verdict.difference.low > -0.03
    assert not one.ruled_out
    (line,) = guard_table({"unseen": found}, TITLES).splitlines()[2:]
    told = cells(line)
    assert told[:2] == ["unseen", "GRPO − SFT"]
    assert float(told[4]) == pytest.approx(100 * one.lowest, abs=0.06)
    assert told[5] == f"not ruled out (at least {one.needed} conversations are needed, 47 judged)"
    many = [ArmRows(3, "sft", "SFT", {0: turns(400)}), ArmRows(8, "grpo-thinking", "GRPO", {0: turns(400)})]
    assert "| ruled out |" in guard_table({"unseen": guarded_slice(many, [QUESTION], "unseen", 0.03)}, TITLES)


def test_the_loss_that_may_not_have_been_met_is_lost_under_every_seed() -> None:
    """Two seeds that lose alike say no more of conversations than one does."""
    frames = {0: turns(200, wrong=5, each=2), 1: turns(200, wrong=5, each=2)}
    lowest = []
    for seeds in ((0,), (0, 1)):
        both = [
            ArmRows(3, "sft", "SFT", {seed: turns(200, each=2) for seed in seeds}),
            ArmRows(8, "grpo-thinking", "GRPO", {seed: frames[seed] for seed in seeds}),
        ]
        (one,) = guarded_slice(both, [QUESTION], "unseen", 0.03).values()
        lowest.append(one.lowest)
    assert lowest[1] <= lowest[0] + 1e-3


def test_what_was_not_ingested_is_said_and_coverage_of_bfcl_too() -> None:
    looked = arms({"withheld": turns(4)}, {"withheld": turns(4)})
    assert NOT_THERE.format(source="bfcl") in bfcl_section({}, looked, elsewhere=["sgd-x-v5"])
    assert bfcl_section({}, looked, elsewhere=["bfcl"]) == ""
    assert NOT_THERE.format(source="sgd-x-v5") in changed_section({}, looked, elsewhere=[])
    assert "Not judged" not in changed_section({}, looked, elsewhere=["sgd-x-v5"])
    asked = turns(8).assign(domain=["simple_python"] * 8, cause=["value_error:string"] * 2 + [None] * 6)
    text = bfcl_section({"bfcl": 0}, arms({"on bfcl": asked}, {"on bfcl": asked[:4]}), elsewhere=["bfcl"])
    assert "conversations: 0." in text
    (row,) = (cells(line) for line in text.splitlines() if line.startswith("| simple_python"))
    assert row == ["simple_python", "50.0 % (n = 4)", "50.0 % (n = 4)"], "of the questions that both reached"
    (group,) = (cells(line) for line in text.splitlines() if line.startswith("| non-live AST"))
    assert group[1] == "50.0 % (n = 4)"
    assert "`live_relevance`" in text
    gone = asked.assign(cause=[bfcl.POINT_GONE] * 4 + [None] * 4)
    text = bfcl_section({"bfcl": 0}, arms({"on bfcl": gone}, {"on bfcl": gone}), elsewhere=["bfcl"])
    (row,) = (cells(line) for line in text.splitlines() if line.startswith("| simple_python"))
    assert row[1] == "100.0 % (n = 4)", "of a question that nobody has any more nothing is told"


def test_failures_stand_side_by_side_tool_by_tool() -> None:
    found = [
        ArmRows(3, "sft", "SFT", {0: turns(4, wrong=5, each=2)}),
        ArmRows(8, "grpo-thinking", "GRPO", {0: turns(4)}),
    ]
    text = failure_section(found)
    by_tool = text.partition("Most frequent by tool")[2].splitlines()
    assert cells(by_tool[2]) == ["tool", "cause", "SFT", "GRPO"]
    assert sorted(map(cells, by_tool[4:])) == [
        ["(answer: Ferries)", "format:empty", "3", "0"],
        ["FindFerry", "format:empty", "2", "0"],
    ]
    causes = text.splitlines()
    assert "| format:empty | 62.5 | 0.0 |" in causes
    assert "| failed in all | 62.5 | 0.0 |" in causes
    assert "| SFT | 25.0 % (n = 4) |" in causes, "three of four answers told a figure that nobody had said"


def test_the_ledger_says_from_what_it_follows_that_thinking_helps() -> None:
    plain = ArmRows(7, "grpo-plain", "GRPO, no thinking", {0: turns(60, wrong=40)})
    thinking = turns(60, wrong=4).assign(completion_tokens=40, values=2, values_thought_first=1)
    text = ledger_section([plain, ArmRows(8, "grpo-thinking", "GRPO", {0: thinking})])
    assert "follows only from GRPO with against GRPO without thinking" in text
    rows = {cells(line)[0]: cells(line) for line in text.splitlines() if line.startswith("| ")}
    assert rows["unseen"][1:3] == ["33.3", "93.3"]
    assert rows["unseen"][5:] == ["10 / 40", "50"], "30 tokens more for 36 of 60 turns: 50 an extra right turn"
    assert "Argument values that stand in the thought before the call: 50 % of 120" in text
    assert ledger_section([plain]) == ""


@pytest.mark.parametrize(
    ("said", "answer", "unknown"),
    [
        ("it is 45.50", "45.5 dollars", []),
        ("it is 45.5", "45.50 dollars", []),
        ("it is 45.50", "45.55 dollars", ["45.55"]),
        ("at 12:30", "at 12:3", ["12:3"]),
        ("room 100", "room 10", ["10"]),
        ("the fare is 4.50", "that is 45 dollars", ["45"]),
        ("it costs 3.20", "it takes 32 minutes", ["32"]),
        ("code 4550", "45.50", []),
    ],
)
def test_decimals_are_grounded_by_value(said: str, answer: str, unknown: list[str]) -> None:
    assert _unknown(answer, said) == unknown


def test_values_of_lists_and_whole_numbers_are_found_in_thoughts() -> None:
    call = '[{"name": "f", "arguments": {"price": 2.0, "rooms": ["a1", "b2"], "nights": 3, "on": true}}]'
    assert thought_first("price=2, rooms=a1, nights=4", call) == (2, 4)
    assert thought_first("price=2.0, rooms=a1 and b2, nights=3", call) == (4, 4)
    assert thought_first("price=20, rooms=a11", call) == (0, 4)
    assert thought_first("price=2.5, at 3:30, 1.3", call) == (0, 4)
    assert thought_first("It is 2.00. And 3, too.", call) == (2, 4)


def test_the_main_table_is_of_the_turns_that_all_arms_reached() -> None:
    """SFT was judged on ten conversations and is right on all, GRPO on six of them and is right on three."""
    fast, slow = turns(10), turns(6, wrong=3)
    common = on_common_ground([ArmRows(3, "sft", "SFT", {0: fast}), ArmRows(8, "grpo-thinking", "GRPO", {0: slow})])
    lines = document.headline(common, ["unseen"]).splitlines()
    assert cells(lines[0])[2] == "unseen, n = 6 of 6 conversations"
    assert [cells(line)[2].split(" ")[0] for line in lines[2:]] == ["100.0", "50.0"]


def test_every_metric_stands_under_its_own_heading() -> None:
    """Of four call turns and four answer turns of four conversations each figure is another one."""
    calls = [
        turn(n, 3, n == 0, called=called, tool_name_correct=n < 3, argument_names_correct=n < 2, exact_call=n == 0)
        | {"argument_values": 0.9 if n < 2 else 0.0, "facts": None, "format_ok": True}
        for n, called in enumerate([True, True, True, False])
    ]
    answers = [
        turn(n, 5, n < 2, called=False, tool_name_correct=None, argument_names_correct=None, exact_call=None)
        | {"argument_values": None, "facts": 0.6, "format_ok": n != 3, "decision_correct": n != 3}
        for n in range(4)
    ]
    arm = ArmRows(3, "sft", "SFT", {0: pd.DataFrame(calls + answers)})
    told, _, heads, _, line = document.metrics([arm], "unseen").splitlines()
    assert "Of 4 call turns" in told
    assert "conversations, 4 of them" in told
    found = dict(zip(cells(heads), cells(line), strict=True))
    assert found == {
        "model": "SFT",
        "decision: precision": "100.0",  # of three that were begun
        "recall": "75.0",  # of four that were due
        "tool name": "75.0",
        "argument names": "50.0",
        "argument values": "45.0",
        "exact call": "25.0",
        "call turns right": "25.0",
        "answers right": "50.0",
        "answered when due": "75.0",
        "facts": "60.0",
        "format": "87.5",
        "conversation: all right": "25.0",
        "first failing turn": "1.0",
        "seeds": "0",
    }
