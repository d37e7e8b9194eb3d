"""What is made of an arm's rows: pairs, slices, causes of failure, the ledger of thinking, the noise floor."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.decision_points import decision_points
from data.outcomes import OUTCOME_SCHEMA, read_outcomes, write_outcomes
from data.schema import Conversation, DecisionPoint, Message, ToolCall, ToolSpec
from models.evaluation import document
from models.evaluation.asides import aside_table
from models.evaluation.bfcl import POINT_GONE
from models.evaluation.document import ArmRows, answer_table, answers, headline, on_common_ground
from models.evaluation.failures import between, by_tool, by_tool_between, causes, failure, turned, ungrounded
from models.evaluation.ledger import thinking_ledger, thought_first
from models.evaluation.noise import NoiseFloor, noise_floor
from models.evaluation.outcomes import outcomes
from models.evaluation.pairing import paired
from models.evaluation.pictures import draw
from models.evaluation.rejudge import judged_again
from models.evaluation.slices import calls_begun, conversation_figures, decision_figures, part
from models.evaluation.variants import without_required_information
from models.evaluation.verdicts import size_in_points
from models.speech.parsing import parse_completion
from models.speech.template import completion_text
from models.wording import normalise
from tasks.comparison_pages import caused, changed_section, claims
from tasks.comparison_report import noise


def row(conversation: int, at: int, right: bool, **changes: Any) -> dict[str, Any]:
    call = at % 4 == 3
    made = {
        "run_id": "r",
        "decision_point_id": f"made/{conversation}#{at}",
        "conversation_id": f"made/{conversation}",
        "split": "validation_unseen" if conversation % 2 else "validation_seen",
        "domain": "Ferries",
        "kind": "call" if call else "answer",
        "tool": "FindFerry" if call else None,
        "thinking": False,
        "variant": None,
        "text": "<tool_call>" if call and right else "Hello",
        "reasoning": None,
        "action": None,
        "turn_success": right,
        "decision_correct": right,
        "tool_name_correct": right if call else None,
        "argument_names_correct": right if call else None,
        "argument_values": float(right) if call else None,
        "exact_call": right if call else None,
        "facts": None if call else 1.0,
        "format_ok": True,
        "completion_tokens": 10,
    }
    return {**made, **changes}


def frame(random: np.random.Generator, share: float, conversations: int = 40, **changes: Any) -> pd.DataFrame:
    return pd.DataFrame(
        [row(c, at, bool(random.random() < share), **changes) for c in range(conversations) for at in (1, 3, 5, 7)]
    )


def test_pairs_meet_under_the_seeds_that_both_have_and_no_other() -> None:
    random = np.random.default_rng(0)
    two = {seed: frame(random, 0.2) for seed in (0, 1)}
    three = {seed: frame(random, 0.7) for seed in (0, 1, 2)}
    pairs = paired(two, three)
    assert len(pairs.differences) == 2 * 160
    assert set(np.asarray(pairs.seeds).tolist()) == {0, 1}
    assert pairs.differences.mean() == pytest.approx(
        np.mean([three[seed]["turn_success"].mean() - two[seed]["turn_success"].mean() for seed in (0, 1)])
    )
    fewer = {0: three[0].iloc[:80].sample(frac=1, random_state=1)}
    assert len(paired(fewer, three).differences) == 80
    for others in ({2: two[0], 3: two[0]}, {1: two[0]}):
        with pytest.raises(ValueError, match="none in common"):
            paired({0: two[0]}, others)


def test_a_model_that_was_not_trained_stands_beside_every_seed_and_one_run_only_beside_its_own() -> None:
    random = np.random.default_rng(7)
    base = ArmRows(1, "base", "base", {0: frame(random, 0.2)}, trained=False)
    sft = ArmRows(3, "sft", "SFT", {seed: frame(random, 0.5) for seed in (0, 1)})
    once = ArmRows(8, "grpo-thinking", "GRPO", {1: frame(random, 0.7)})
    never = ArmRows(7, "grpo-plain", "plain", {2: frame(random, 0.7)})
    arms = [base, sft, once, never]
    asked = [
        ("sft", "base", "a"),
        ("grpo-thinking", "sft", "b"),
        ("grpo-thinking", "base", "c"),
        ("grpo-plain", "sft", "d"),
    ]
    found = {key[2]: one for key, one in answers(arms, asked, "unseen", 0.03).items()}
    assert {name: one.seeds for name, one in found.items()} == {"a": 2, "b": 1, "c": 1}  # d has no seed in common
    like = part(once.frames[1], "unseen")["turn_success"].mean() - part(sft.frames[1], "unseen")["turn_success"].mean()
    assert found["b"].difference.mean == pytest.approx(like)
    by_seed = [part(one, "unseen")["turn_success"].mean() for one in sft.frames.values()]
    alone = part(base.frames[0], "unseen")["turn_success"].mean()
    assert found["a"].by_seed == pytest.approx([one - alone for one in by_seed])
    assert "| 1, " not in headline([base], ["seen"])
    text = claims([base, sft, once], "unseen")
    assert f"{100 * (1 + like / by_seed[1]) - 100:+.1f} % | 1 |" in text  # GRPO's one run, against its own SFT


def test_items_that_a_source_renames_are_the_same_items() -> None:
    random = np.random.default_rng(1)
    original = frame(random, 0.5)
    renamed = original.assign(decision_point_id=original["decision_point_id"].str.replace("made/", "made-x/"))
    assert paired({0: original}, {0: renamed}).differences.tolist() == [0.0] * 160


def test_slices_and_figures_of_decisions_and_conversations() -> None:
    rows = pd.DataFrame(
        [
            row(0, 1, True),
            row(0, 3, True),
            row(0, 17, False, text='<tool_call>{"x"'),
            row(1, 1, True),
            row(1, 3, False),
        ]
    )
    assert len(part(rows, "unseen")) == 2
    assert part(rows, "long history")["decision_point_id"].tolist() == ["made/0#17"]
    assert part(rows, "no-call turns")["kind"].unique().tolist() == ["answer"]
    assert decision_figures(rows) == {"precision": 0.5, "recall": 0.5}
    assert conversation_figures(rows) == {"conversations": 2.0, "all_right": 0.0, "first_failing_turn": 2.5}


def test_the_page_tells_apart_what_is_apart_and_no_more() -> None:
    random = np.random.default_rng(2)
    arms = [
        ArmRows(3, "sft", "SFT", {seed: frame(random, 0.4) for seed in (0, 1, 2)}),
        ArmRows(7, "grpo-plain", "GRPO plain", {seed: frame(random, 0.42) for seed in (0, 1, 2)}),
        ArmRows(8, "grpo-thinking", "GRPO", {seed: frame(random, 0.8) for seed in (0, 1, 2)}),
    ]
    questions = [("grpo-thinking", "sft", "better?"), ("grpo-plain", "sft", "RL?"), ("absent", "sft", "–")]
    found = answers(on_common_ground(arms), questions, "unseen", 0.03)
    assert [(key[2], one.word) for key, one in found.items()] == [("better?", "better"), ("RL?", "underpowered")]
    assert {one.difference.n for one in found.values()} == {80}
    text = answer_table(found, {arm.name: arm.title for arm in arms})
    assert "**better**" in text
    assert "GRPO − SFT" in text
    table = headline(arms, ["seen", "unseen"])
    assert "seen, n = 80" in table
    rows = {line.split(" | ")[1]: line for line in table.splitlines()[2:]}
    for arm in arms:
        for where in ("seen", "unseen"):
            assert document.percent(document.interval(document.sliced(arm, where))) in rows[arm.title]


def test_a_turn_where_no_call_is_right_is_read_beside_the_calls_as_recorded() -> None:
    recorded = pd.DataFrame([row(c, 3, c < 30) for c in range(40)])  # 30 of 40 call
    asked = pd.DataFrame([row(c, 3, True, text="<tool_call>" if c < 5 else "When?") for c in range(20)])
    renamed = recorded.assign(decision_point_id=recorded["decision_point_id"].str.replace("made/", "made-x/"))
    arm = ArmRows(3, "sft", "SFT", {0: recorded}, aside={"withheld": asked, "on x": renamed, "empty": recorded[:0]})
    lines = aside_table([arm], ["withheld", "on x", "empty", "absent"]).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(one[0], one[2][:4], one[3][:5], *one[5:]) for one in cells] == [
        ("withheld", "–", "100.0", "20", "100 %", "25 %"),
        ("on x", "75.0", "75.0 ", "40", "75 %", "75 %"),
    ]
    elsewhere = ArmRows(3, "sft", "SFT", {0: recorded[30:]}, aside={"withheld": asked})
    assert aside_table([elsewhere], ["withheld"]).endswith("| – | – |"), "nothing in common, nothing to say"


def test_reward_curves_are_drawn_as_running_means_over_the_steps_themselves() -> None:
    class Log:
        def names(self) -> set[str]:
            return {"train/reward"}

        def curve(self, name: str) -> tuple[list[int], list[float]]:
            return list(range(1, 31)), [0.0, 1.0] * 15

    arms = [ArmRows(3, "sft", "SFT", {0: frame(np.random.default_rng(4), 0.5)})]
    smooth, raw = (line.get_ydata() for line in draw(arms, {"GRPO": Log()})["rewards"].axes[0].get_lines())
    assert list(raw) == [0.0, 1.0] * 15
    assert list(smooth)[9:] == pytest.approx([0.5] * 21)
    assert "rewards" not in draw(arms, {})


def test_other_names_for_all_tools_are_told_with_what_their_turns_are_of() -> None:
    random = np.random.default_rng(6)
    renamed = frame(random, 0.4, 12)
    arm = ArmRows(3, "sft", "SFT", {0: frame(random, 0.5)}, {"on sgd-x-v5": renamed})
    text = changed_section({"sgd-x-v5": 7}, [arm])
    assert "tools that are 24 seen, 24 unseen, 0 mixed under their own names" in text
    assert "7 begin with the words of a training conversation" in text
    aside = ArmRows(3, "sft", "SFT", {0: frame(random, 0.5)}, {"withheld": renamed})
    assert "sgd-x-v5" not in changed_section({}, [aside])
    assert changed_section({}, [ArmRows(3, "sft", "SFT", {0: frame(random, 0.5)})]) == ""


def test_thinking_is_charged_for_the_turns_it_brings() -> None:
    plain = pd.DataFrame([row(c, 1, c % 2 == 0) for c in range(40)])
    thought = plain.assign(turn_success=[c % 4 != 3 for c in range(40)], completion_tokens=60)
    everything, *_ = thinking_ledger({0: plain}, {0: thought}, ())
    assert (everything.without, everything.with_thinking) == (0.5, 0.75)
    assert everything.tokens_per_extra_turn == pytest.approx((60 - 10) / 0.25)
    none, *_ = thinking_ledger({0: thought}, {0: plain}, ())
    assert none.tokens_per_extra_turn == float("inf")
    few, *_ = thinking_ledger({0: plain.head(4)}, {0: thought.head(4)}, ())
    assert (few.with_thinking > few.without, few.verdict.word) == (True, "underpowered")
    assert few.tokens_per_extra_turn == float("inf")  # a gain that is not shown has no price


def test_arms_of_other_seeds_are_not_held_against_each_other_unsaid() -> None:
    """A row is the mean over its own seeds: beside one of other seeds it would be read as a difference of arms."""
    random = np.random.default_rng(5)
    both = ArmRows(3, "sft", "SFT", {seed: frame(random, 0.5) for seed in (0, 1)}, kept_steps={0: 600.0, 1: 400.0})
    one = ArmRows(4, "sft-continued", "continued", {0: frame(random, 0.5)})
    base = ArmRows(1, "base", "base", {0: frame(random, 0.1)}, trained=False)
    for text in (document.metrics([base, both, one], "seen"), document.cost_table([base, both, one])):
        assert text.startswith("**Not all arms have the same seeds")
        ends = [line.rsplit("|", 2)[1].strip() for line in text.splitlines() if line.startswith("| ")]
        assert ends[2:] == ["–", "0, 1", "0"]
    assert document.unlike_seeds([base, both]) == ""
    assert "| 600, 400 |" in document.cost_table([both])
    assert "Of 40 call turns" in document.metrics([both], "seen")
    assert "and 40 answer turns" in document.metrics([both], "seen")
    assert "seen, n = 80 of 20 conversations" in headline([both], ["seen"])
    labels = [text.get_text() for text in draw([base, both, one], {})["turn-success"].axes[0].get_yticklabels()]
    assert labels == ["base", "SFT (seed 0, 1)", "continued (seed 0)"]
    labels = [text.get_text() for text in draw([base, both], {})["turn-success"].axes[0].get_yticklabels()]
    assert labels == ["base", "SFT"]


def test_a_difference_that_cannot_be_is_not_called_detectable() -> None:
    assert [size_in_points(value) for value in (0.031, 1.0, 1.717, float("inf"))] == ["3.1", "100.0", "–", "–"]


def test_values_are_looked_for_in_the_thought_before_the_call() -> None:
    call = json.dumps([{"name": "f", "arguments": {"city": "San José", "seats": 4, "wifi": True}}])
    assert thought_first("They want san josé.", call) == (1, 2)
    assert thought_first(None, call) == (0, 2)
    assert thought_first("They want san josé.", "[not a call") == (0, 0)
    few = json.dumps([{"name": "f", "arguments": {"seats": 2, "price": -1.5, "wifi": False, "code": "a+b"}}])
    assert thought_first("At 12:30, for 21.", few) == (0, 3)
    assert thought_first("2 seats, -1.5, code (a+b).", few) == (3, 3)


def test_causes_are_of_one_seed_and_noise_of_the_slice_that_is_asked_about() -> None:
    random = np.random.default_rng(8)
    sft = ArmRows(3, "sft", "SFT", {0: frame(random, 0.5), 1: frame(random, 0.5)})
    late = ArmRows(8, "grpo-thinking", "GRPO", {1: frame(random, 0.5)})
    assert set(caused([sft, late])) == {"sft"}, "another seed's model is no neighbour"
    draws = {f"sample {number}": frame(random, 0.5) for number in (1, 2, 3)}
    sampled = [ArmRows(3, "sft", "SFT", sft.frames, aside=draws)]
    whole, unseen = noise_floor(document.item_matrix(list(draws.values()))), noise(sampled, "unseen")["sft"]
    assert (whole.items, unseen.items) == (160, 80)
    assert unseen.floor > 1.2 * whole.floor


def test_the_noise_floor_holds_for_ninety_five_of_a_hundred_reruns() -> None:
    random = np.random.default_rng(3)
    chance = random.random(300)
    floor = noise_floor(random.random((4, 300)) < chance)
    runs = (random.random((2, 2000, 300)) < chance).mean(axis=2)
    assert float((abs(runs[0] - runs[1]) < floor.floor).mean()) == pytest.approx(0.95, abs=0.03)
    assert floor.flip_rate == pytest.approx(float((2 * chance * (1 - chance)).mean()), abs=0.04)
    assert noise_floor([[1, 0, 1], [1, 0, 1]]).floor == 0.0
    four_times = (random.random((2, 2000, 1200)) < np.tile(chance, 4)).mean(axis=2)
    assert float((abs(four_times[0] - four_times[1]) < floor.over(1200)).mean()) == pytest.approx(0.95, abs=0.03)
    assert floor.over(1200) == pytest.approx(floor.floor / 2)


def test_a_difference_is_held_against_the_floor_of_its_own_turns() -> None:
    """80 turns of three seeds: a floor of 20 points on 60 turns is one of 10 there, and the larger of two counts."""
    random = np.random.default_rng(2)
    arms = [
        ArmRows(3, "sft", "SFT", {seed: frame(random, 0.4) for seed in (0, 1, 2)}),
        ArmRows(8, "grpo-thinking", "GRPO", {seed: frame(random, 0.55) for seed in (0, 1, 2)}),
    ]
    found = answers(on_common_ground(arms), [("grpo-thinking", "sft", "better?")], "unseen", 0.03)
    (one,) = found.values()
    assert (one.difference.n, one.seeds) == (80, 3)
    size = abs(one.difference.mean)
    titles = {arm.name: arm.title for arm in arms}
    said = "within the noise floor"
    small = NoiseFloor(floor=0.001, flip_rate=0.0, runs=3, items=60)
    for times, within in ((0.99, False), (1.01, True)):
        large = NoiseFloor(floor=2 * times * size, flip_rate=0.5, runs=3, items=60)
        assert (said in answer_table(found, titles, [small, large])) == within
    assert said not in answer_table(found, titles)


def test_floors_need_runs_over_the_same_items() -> None:
    with pytest.raises(ValueError, match="at least two runs"):
        noise_floor([[1, 0]])
    with pytest.raises(ValueError, match="same items"):
        noise_floor([[1, 0], [1]])


@pytest.fixture(scope="module")
def points(tiny_conversations: list[Conversation]) -> list[DecisionPoint]:
    return [point for conversation in tiny_conversations for point in decision_points(conversation)]


def cause(point: DecisionPoint, text: str) -> str | None:
    return failure(point, parse_completion(text, thinking=False, tools=point.tools))


def test_gold_has_no_cause_and_each_mistake_has_its_own(points: list[DecisionPoint]) -> None:
    assert [cause(point, completion_text(point.expected, None)) for point in points] == [None] * len(points)
    called = next(point for point in points if point.kind == "call" and len(point.expected.tool_calls) == 1)
    answered = next(point for point in points if point.kind == "answer" and point.expected.facts)
    (gold,) = called.expected.tool_calls
    other = next(tool for tool in called.tools if tool.name != gold.name)

    def written(name: str, arguments: dict[str, Any]) -> str:
        return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"

    right = written(gold.name, gold.arguments)
    found = {
        "said": cause(called, "Let me look that up."),
        "nothing": cause(called, ""),
        "broken": cause(called, "<tool_call>\n{oops\n</tool_call>"),
        "twice": cause(called, f"{right}\n{right}"),
        "tool": cause(called, written(other.name, gold.arguments)),
        "less": cause(called, written(gold.name, {})),
        "more": cause(called, written(gold.name, {**gold.arguments, "speed": "fast"})),
        "beside": cause(called, f"Sure!\n{right}"),
        "called": cause(answered, right),
        "vague": cause(answered, "I am glad to be of help with that."),
        "invented": cause(answered, "Your code is 99481276, enjoy the trip."),
    }
    assert found == {
        "said": "decision:answered_instead",
        "nothing": "format:empty",
        "broken": "format:malformed_call",
        "twice": "simple_function_checker:wrong_count",
        "tool": "simple_function_checker:wrong_func_name",
        "less": "simple_function_checker:missing_required",
        "more": "simple_function_checker:unexpected_param",
        "beside": "format:text_beside_call",
        "called": "decision:called_instead",
        "vague": "answer:missed_fact",
        "invented": "answer:ungrounded",
    }
    assert ungrounded(answered, "That is 99481276.") == ["99481276"]


def test_what_was_cut_failed_by_that_and_an_answer_without_figures_has_none_to_ground(
    tiny_conversations: list[Conversation],
) -> None:
    points = [point for conversation in tiny_conversations for point in decision_points(conversation)]
    answered = next(point for point in points if point.kind == "answer" and point.expected.facts)
    said = {"cut": "The code is", "invented": "Your code is 99481276.", "no figure": "I am glad to help."}
    rows = pd.DataFrame(
        [
            {"decision_point_id": answered.id, "text": text, "thinking": False, "truncated": name == "cut"}
            for name, text in said.items()
        ]
    )
    caused_rows = causes(rows, {answered.id: answered})
    assert caused_rows["cause"].tolist() == ["format:truncated", "answer:ungrounded", "answer:missed_fact"]
    assert caused_rows["grounded"].tolist() == [None, False, None]


def test_a_default_is_no_cause_and_one_that_is_due_is_no_other() -> None:
    tool = ToolSpec(
        name="FindRoom",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string"}, "rooms": {"type": "integer", "default": 1}},
            "required": ["city"],
        },
    )

    def caused(due: dict[str, Any], made: dict[str, Any], beside: str = "") -> str | None:
        call = ToolCall(id="1", name="FindRoom", arguments=due, arguments_raw=json.dumps(due))
        point = DecisionPoint(
            id="made/1#1",
            conversation_id="made/1",
            message_index=1,
            source="made",
            split="validation_seen",
            domain="Rooms",
            kind="call",
            tool="FindRoom",
            tools=(tool,),
            history=(Message(role="user", content="A room in Oslo"),),
            expected=Message(role="assistant", content=None, tool_calls=(call,)),
        )
        text = f"<tool_call>\n{json.dumps({'name': 'FindRoom', 'arguments': made})}\n</tool_call>"
        return cause(point, f"{beside}{text}")

    assert caused({"city": "Oslo"}, {"rooms": 1, "city": "Bergen"}) == "value_error:string"
    assert caused({"city": "Oslo", "rooms": 1}, {"city": "Oslo", "rooms": 1}, "Sure!\n") == "format:text_beside_call"
    assert caused({"city": "Oslo"}, {"city": "Oslo", "rooms": 1}) is None
    assert str(caused({"city": "Oslo", "rooms": 2}, {"city": "Oslo", "rooms": 1})).startswith("value_error")


def test_a_turn_that_was_cut_off_has_that_for_a_cause(points: list[DecisionPoint]) -> None:
    said = [completion_text(point.expected, None) for point in points]
    made = [
        {"decision_point_id": point.id, "kind": point.kind, "tool": point.tool, "text": text, "thinking": False}
        for point, text in zip(points, said, strict=True)
    ]
    rows = pd.DataFrame(made).assign(truncated=[True] + [False] * (len(points) - 1))
    found = causes(rows, {point.id: point for point in points})
    assert found["cause"].tolist() == ["format:truncated", *[None] * (len(points) - 1)]


def test_causes_by_tool_between_arms_and_turned(points: list[DecisionPoint]) -> None:
    by_id = {point.id: point for point in points}

    def rows(texts: list[str]) -> pd.DataFrame:
        made = [
            {
                "decision_point_id": point.id,
                "kind": point.kind,
                "tool": point.tool,
                "domain": point.domain,
                "text": text,
                "thinking": False,
            }
            for point, text in zip(points, texts, strict=True)
        ]
        return causes(pd.DataFrame(made), by_id)

    gold = rows([completion_text(point.expected, None) for point in points])
    mute = rows([""] * len(points))
    assert gold["cause"].isna().all()
    assert set(by_tool(mute)["cause"]) == {"format:empty"}
    assert by_tool(mute)["turns"].sum() == len(points)
    answered = Counter(f"(answer: {point.domain})" for point in points if point.kind == "answer")
    told = by_tool(mute).set_index("tool")["turns"].to_dict()
    assert {tool: turns for tool, turns in told.items() if tool.startswith("(answer")} == answered
    beside = by_tool_between({"gold": gold, "mute": mute})
    assert beside["gold"].tolist() == [0] * len(told)
    assert {tool: turns for (tool, _), turns in beside["mute"].items()} == told
    assert beside["mute"].is_monotonic_decreasing
    assert between({"gold": gold, "mute": mute}).loc["format:empty"].to_dict() == {"gold": 0.0, "mute": 1.0}
    right = turned(mute, gold, right=True)
    assert len(right) == min(10, len(points))
    assert [by_id[name].kind for name in right["decision_point_id"]] == right["kind"].tolist()
    assert turned(mute, gold, right=False).empty
    assert set(turned(gold, mute, right=False)["cause_after"]) == {"format:empty"}


def test_outcomes_hold_verdicts_and_causes_and_no_word_that_was_said(
    points: list[DecisionPoint], tmp_path: Path
) -> None:
    by_id = {point.id: point for point in points}
    said = {point.id: completion_text(point.expected, None) for point in points}
    mute = points[0].id
    made = pd.DataFrame(
        [
            row(0, 1, point.id != mute)
            | {"decision_point_id": point.id, "kind": point.kind, "text": "" if point.id == mute else said[point.id]}
            | {"evaluation_id": "e", "dataset_version": "d", "created_at": None, "stage": "sft", "tool": point.tool}
            | {"parse_status": "ok", "truncated": False}
            for point in points
        ]
    )
    recorded = outcomes(made, by_id, step="sft/0/judge")
    file = tmp_path / "outcomes.parquet"
    write_outcomes(file, recorded)
    back = read_outcomes(file)
    assert back.columns.tolist() == OUTCOME_SCHEMA.names
    assert not {"text", "reasoning", "action"} & set(back.columns)
    assert all(text not in file.read_bytes().decode("latin-1") for text in said.values() if len(text) > 20)
    assert back.set_index("decision_point_id")["cause"].dropna().to_dict() == {mute: "format:empty"}
    assert back["called"].tolist() == [point.kind == "call" and point.id != mute for point in points]
    grounded = back.set_index("decision_point_id")["grounded"].dropna().to_dict()
    answers_said = [point for point in points if point.kind == "answer" and point.id != mute]
    assert grounded == {
        point.id: not ungrounded(point, said[point.id])
        for point in answers_said
        if re.search(r"\d[\d.:/-]*\d", normalise(said[point.id]))  # else there is no figure to ground
    }
    assert 0 < len(grounded) < len(answers_said)
    assert back["turn_success"].tolist() == made["turn_success"].tolist()
    # Turns of a conversation that was erased keep their verdict; why they failed nobody can tell any more.
    erased = outcomes(made, {}, step="s")
    assert erased.set_index("decision_point_id")["cause"].dropna().to_dict() == {mute: POINT_GONE}
    assert (outcomes(made, {}, step="s", by_bfcl=True)["cause"] == POINT_GONE).all(), "no rule can pass it"
    changed = outcomes(made.assign(variant="distractors"), {}, step="s")
    assert changed["cause"].isna().all()
    assert erased["turn_success"].tolist() == made["turn_success"].tolist()


def test_verdicts_are_those_of_the_judge_as_it_is_now(points: list[DecisionPoint]) -> None:
    by_id = {point.id: point for point in points}

    def said(texts: dict[str, str], **changes: Any) -> pd.DataFrame:
        rows = [
            row(0, 1, False) | {"decision_point_id": name, "kind": by_id[name].kind, "text": text, **changes}
            for name, text in texts.items()
        ]
        return pd.DataFrame(rows)

    gold = {point.id: completion_text(point.expected, None) for point in points}
    anew = judged_again(said(gold), by_id)
    assert anew["turn_success"].tolist() == [True] * len(points)
    assert anew["exact_call"].tolist() == [True if point.kind == "call" else None for point in points]
    assert not judged_again(said(gold), {})["turn_success"].any(), "nothing to judge by"
    assert not judged_again(said(gold, truncated=True), by_id)["turn_success"].any(), "cut off before its end"
    # A value was withheld: calling as recorded is wrong, and asking for another argument too.
    withheld = {point.id: new for point in points if (new := without_required_information(point)) is not None}
    asking = {name: new.expected.content or "" for name, new in withheld.items()}
    for texts, right in ((asking, True), ({name: gold[name] for name in withheld}, False)):
        found = judged_again(said(texts, variant="withheld, sample 1", kind="answer"), by_id)
        assert found["turn_success"].tolist() == [right] * len(withheld)
    idle = judged_again(said(dict.fromkeys(withheld, "Shall I go ahead?"), variant="withheld"), by_id)
    assert not idle["turn_success"].any()
    forced = {name: f"<think>\nSo be it.\n</think>\n\n{text}" for name, text in gold.items()}
    shuffled = judged_again(said(forced, variant="thoughts shuffled", thinking=True), by_id)
    assert shuffled["turn_success"].tolist() == [True] * len(points)


def test_a_call_in_a_thought_is_none(points: list[DecisionPoint]) -> None:
    texts = {
        "<think>\nI would write <tool_call>, but when?\n</think>\n\nWhen?": False,
        "<think>\nI call it.\n<tool_call>": False,
        '<think>\nI call it.\n</think>\n\n<tool_call>{"x"': True,
    }
    rows = pd.DataFrame([row(0, 1, True, text=text, thinking=True) for text in texts])
    assert calls_begun(rows).tolist() == list(texts.values())
    assert calls_begun(rows.assign(thinking=False)).all()
    assert calls_begun(rows.iloc[:0]).empty
