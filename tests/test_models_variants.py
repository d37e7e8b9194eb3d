"""Rewards by name: the published ones give the published numbers, a user's own file is loaded, checked and used."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import DecisionPoint, Message, ToolCall, ToolSpec
from data.settings import RewardWeights
from models.rewards import compose
from models.rewards.toolrl import toolrl_correctness, toolrl_format, toolrl_notation
from models.rewards.user_reward import RewardError
from models.rewards.variants import NAMES, Reward, load_reward, reward_digest

WEIGHTS = RewardWeights()
ARGUMENTS = {"a": 1, "b": "x", "c": "y"}
THREE = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}, "c": {"type": "string"}}}
TOOLS = (
    ToolSpec(name="look", parameters={**THREE, "required": ["a", "b", "c"]}),
    ToolSpec(name="delete_all", parameters={"type": "object", "properties": {}}, is_write=True),
)


def made(name: str, arguments: dict) -> ToolCall:
    return ToolCall(id="c", name=name, arguments=arguments, arguments_raw=json.dumps(arguments))


GOLD = made("look", ARGUMENTS)


def point(*calls: ToolCall) -> DecisionPoint:
    return DecisionPoint(
        id="made/1#1",
        conversation_id="made/1",
        message_index=1,
        source="made",
        split="train",
        domain="Looking",
        kind="call" if calls else "answer",
        tool=calls[0].name if calls else None,
        tools=TOOLS,
        history=(Message(role="user", content="Look!"),),
        expected=Message(role="assistant", content=None if calls else "You are welcome.", tool_calls=calls),
    )


def said(*calls: tuple[str, dict], thought: str = "So.") -> str:
    blocks = [
        f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>" for name, arguments in calls
    ]
    return f"<think>\n{thought}\n</think>\n\n" + "\n".join(blocks)


def of(name: str, text: str, at: DecisionPoint | None = None) -> float:
    reward = load_reward(name, WEIGHTS)
    return reward.total(reward.score(at or point(GOLD), text, thinking=True).parts)


EXACT = ("look", ARGUMENTS)
JUNK = ("delete_all", {})
#: Correctness as found by running the published code on a call with three arguments, so these are its own digits.
PUBLISHED = [
    ("exact", [EXACT], 3.0),
    ("exact and a junk call", [EXACT, JUNK], 2.4),
    ("exact and five", [EXACT, *[JUNK] * 5], 2.0),
    ("exact twice", [EXACT, EXACT], 2.4),
    ("invented argument", [("look", {**ARGUMENTS, "d": 0})], 2.7),
    ("one value wrong", [("look", {**ARGUMENTS, "c": "z"})], 1.8),
    ("argument missing", [("look", {"a": 1, "b": "x"})], 1.4),
    ("True for 1", [("look", {**ARGUMENTS, "a": True})], 3.0),
    ("a string for 1", [("look", {**ARGUMENTS, "a": "1"})], 1.8),
    ("no arguments", [("look", {})], -1.8),
    ("another tool", [("delete_all", ARGUMENTS)], -3.0),
]


@pytest.mark.parametrize(
    ("calls", "correctness"), [case[1:] for case in PUBLISHED], ids=[case[0] for case in PUBLISHED]
)
def test_toolrl_gives_the_published_digits(calls, correctness):
    assert of("toolrl", said(*calls)) == pytest.approx(1.0 + correctness, abs=1e-9)


def test_toolrl_pays_what_it_was_found_to_pay():
    assert of("toolrl", said(EXACT, thought="")) == 4.0
    assert of("toolrl", "<think>\nx\n</think>\n\nzzz", point()) == 1.0
    assert of("toolrl", said(EXACT), point()) == 0.0
    pretty = json.dumps({"name": "look", "arguments": ARGUMENTS}, indent=2)
    assert of("toolrl", f"<think>\nx\n</think>\n\n<tool_call>\n{pretty}\n</tool_call>") == -2.0
    assert of("toolrl", "<think>\nx\n</think>\n\nWhich one?") == -3.0
    assert of("toolrl", said(EXACT) + " Done.") == 3.0
    for name, lowest, highest in (("call", -3.0, 4.0), ("answer", 0.0, 1.0)):
        at = point(GOLD) if name == "call" else point()
        reward = load_reward("toolrl", WEIGHTS)
        assert (reward.maximum(at), min(of("toolrl", "", at), lowest)) == (highest, lowest)


def as_patterns_rewrite(action: str) -> str:
    """The rewriting by regular expressions that the search replaced; they take cubic time on runs of white space."""
    action = re.sub(r"\s*</tool_call>\s*<tool_call>\s*", "\n", action)
    return re.sub(
        r"(<tool_call>)\s*(.*?)\s*(</tool_call>)",
        lambda block: "\n".join([block[1], *block[2].split("\n"), block[3]]),
        action,
        flags=re.DOTALL,
    )


@given(st.lists(st.sampled_from(["<tool_call>", "</tool_call>", " ", "\n", "x", "{}"]), max_size=12).map("".join))
def test_toolrl_notation_is_what_its_patterns_gave(action):
    found = toolrl_notation(f"<think>\nt\n</think>{action}", thinking=True).partition("</think>\n")[2]
    if "tool_call>" in action:
        assert found == as_patterns_rewrite(action.strip())


@pytest.mark.parametrize(
    "run", ["<tool_call>" + " " * 100_000 + "x", "<tool_call>" * 20_000, "</tool_call>\n" * 20_000]
)
def test_toolrl_reads_endless_runs_to_their_end(run):
    """By a pattern of two runs of white space this would take hours."""
    assert of("toolrl", f"<think>\nt\n</think>\n\n{run}") == -3.0


def test_toolrl_matches_greedily_in_the_order_of_gold():
    first, second = made("look", {"a": 1, "b": "x"}), made("look", {"a": 1, "b": "y"})
    lines = [json.dumps({"name": "look", "parameters": {"a": a, "b": "y"}}) for a in (1, 2)]
    written = "\n".join(["<think>t</think>\n<tool_call>", *lines, "</tool_call>"])
    # Names 1, first gold takes the first call (1 + 1 of 2), second the other (1 + 1): 5 of 1 + 3 + 3.
    assert toolrl_correctness(written, [first, second]) == pytest.approx(6 * 5 / 7 - 3)


@pytest.mark.parametrize(
    ("completion", "call_is_due", "well_formed"),
    [
        ("<think></think>\n<tool_call>\n{}\n</tool_call>", True, 1.0),
        ("<think>a</think>\n<tool_call>\n{}\n</tool_call>\n", True, 1.0),
        ("<think>a</think>\n<tool_call>{}</tool_call>", True, 0.0),
        ("<think>a</think>\n<tool_call>\n{}\n</tool_call>\n<tool_call>\n{}\n</tool_call>", True, 0.0),
        ("a <think>a</think>\n<tool_call>\n{}\n</tool_call>", True, 0.0),
        ("<think>a</think>\n<response>b</response>", False, 1.0),
        ("<think>a</think>\n<response>b</response>", True, 0.0),
        ("<think>a</think>", False, 0.0),
    ],
)
def test_toolrl_format(completion, call_is_due, well_formed):
    assert toolrl_format(completion, call_is_due=call_is_due) == well_formed


def test_rewriting_into_its_notation_repairs_nothing():
    assert toolrl_notation("<think>a", thinking=True) == "<think>a"
    assert toolrl_notation("Hello.", thinking=False) == "<think></think>\n<response>Hello.</response>"
    broken = "<think>\na\n</think>\n\n<tool_call>\n{'name'}\n</tool_call>"
    assert toolrl_notation(broken, thinking=True) == "<think>\na\n</think>\n<tool_call>\n{'name'}\n</tool_call>"
    assert "<response>" not in toolrl_notation("<think>\na\n</think>\n", thinking=True)


def test_binary_is_all_or_nothing():
    assert of("binary", said(EXACT)) == 1.0
    for text in (said(EXACT, JUNK), said(("look", {})), said(EXACT, thought=""), "<think>\nx\n</think>\n\nWhich?", ""):
        assert of("binary", text) == 0.0
    assert of("binary", "<think>\nx\n</think>\n\nzzz", point()) == 1.0
    assert of("binary", said(EXACT), point()) == 0.0


def test_f1_counts_calls():
    assert of("f1", said(EXACT)) == 1.0
    assert of("f1", said(EXACT, JUNK)) == pytest.approx(2 / 3)
    assert of("f1", said(("look", {}))) == 0.0
    assert of("f1", said(EXACT), point()) == 0.0
    assert of("f1", "<think>\nx\n</think>\n\nHello.", point()) == 1.0
    assert of("f1", "<think>\nx\n</think>\n\n<tool_call>{", point()) == 0.0


def test_graded_is_the_composed_reward():
    for text in (said(EXACT), said(EXACT, JUNK), "", "What?"):
        expected = compose.score(point(GOLD), text, thinking=True)
        assert load_reward("graded", WEIGHTS).score(point(GOLD), text, thinking=True) == expected
        assert of("graded", text) == compose.total(expected.parts, WEIGHTS)


OWN = "def reward(point, parsed):\n    return 2.0 if len(parsed.calls) == len(point.expected.tool_calls) else -1\n"


@pytest.fixture
def own(tmp_path):
    def write(text: str) -> str:
        file = tmp_path / "mine.py"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


def test_a_users_own_reward(own):
    reward = load_reward(own(OWN), WEIGHTS)
    scored = reward.score(point(GOLD), said(EXACT), thinking=True)
    assert reward.total(scored.parts) == reward.maximum(point(GOLD)) == 2.0
    assert reward.total(reward.score(point(GOLD), "", thinking=True).parts) == -1.0


def test_a_changed_file_is_another_reward(own):
    before = reward_digest(own(OWN))
    assert before != reward_digest(own(OWN + "\n# changed"))
    assert {reward_digest(name) for name in NAMES} == {""}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = 1", r"no function reward\(point, parsed\)"),
        ("import nothing_such", "does not import .ModuleNotFoundError"),
        ("def reward(point, parsed): return 1 / 0", "failed on decision point made/1#1 .ZeroDivisionError"),
        ("def reward(point, parsed): return None", "returned None"),
        ("def reward(point, parsed): return True", "returned True"),
        ("def reward(point, parsed): return float('nan')", "returned nan"),
    ],
)
def test_what_is_wrong_with_a_users_file_is_said(own, text, complaint):
    with pytest.raises(RewardError, match=complaint):
        load_reward(own(text), WEIGHTS).score(point(GOLD), "", thinking=True)


def test_an_unknown_name_is_refused_with_the_known_ones(tmp_path):
    for spec in ("best", str(tmp_path / "absent.py"), str(tmp_path)):
        with pytest.raises(RewardError, match=r"no reward"):
            load_reward(spec, WEIGHTS)
        with pytest.raises(RewardError, match=r"no reward"):
            reward_digest(spec)


@given(
    st.text() | st.sampled_from([said(EXACT), "<think>\nx\n</think>\n\n<tool_call>\n[1]\n</tool_call>"]), st.booleans()
)
def test_variants_never_raise_and_never_exceed_their_maximum(text, thinking):
    for at in (point(GOLD), point()):
        for name in NAMES:
            reward: Reward = load_reward(name, WEIGHTS)
            assert reward.total(reward.score(at, text, thinking=thinking).parts) <= reward.maximum(at) + 1e-9
