"""STAR, tau-bench and ToolRL: hand-written miniatures of what is odd in each, and counts over the real copies."""

from __future__ import annotations

import gzip
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.decision_points import decision_points
from data.mapping.files import Read
from data.quality import check
from data.reporting import Silent
from data.schema import Act, Conversation, Quarantined
from data.settings import DataSettings, RewardWeights
from data.sources import Source, SourceError, get_source
from data.sources.star.acts import acts_of
from data.sources.star.source import SOURCE as STAR
from data.sources.star.tools import arguments_of, read_tools
from data.sources.tau_bench import SOURCE as TAU
from data.sources.toolrl import SOURCE as TOOLRL
from models.rewards.gold import GoldAudit, audit
from models.rewards.variants import load_reward

FIXTURES = Path(__file__).parent / "fixtures"


class Listener(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def read(
    source: Source, path: Path | None = None, reporter: Silent | None = None
) -> tuple[dict[str, Conversation], Counter[str]]:
    """Sound conversations by record id, and the reasons of what is rejected by the source or by the quality gate."""
    settings = DataSettings(source=source.name, path=path or FIXTURES / source.name)
    sound: dict[str, Conversation] = {}
    reasons: Counter[str] = Counter()
    for item in source.read(settings, reporter or Silent()):
        rejected = item if isinstance(item, Quarantined) else check(item)
        if rejected is not None:
            reasons[rejected.reason] += 1
        elif isinstance(item, Conversation):
            sound[item.record_id] = item
    return sound, reasons


def gold(conversations: list[Conversation]) -> GoldAudit:
    points = [point for conversation in conversations for point in decision_points(conversation)]
    return audit(points, load_reward("graded", RewardWeights()))


@pytest.mark.parametrize("name", ["star", "tau-bench", "toolrl"])
def test_each_has_its_name_may_be_trained_on_and_says_what_it_expects(name: str, tmp_path: Path) -> None:
    source = get_source(name)
    assert (source.name, source.evaluation_only) == (name, False)
    for path in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SourceError, match="give --path"):
            source.fingerprint(DataSettings(source=name, path=path))
    fixture = DataSettings(source=name, path=FIXTURES / name)
    copy = DataSettings(source=name, path=shutil.copytree(FIXTURES / name, tmp_path / "copy"))
    assert source.fingerprint(fixture) == source.fingerprint(copy)
    assert list(source.read(fixture, Silent())) == list(source.read(copy, Silent()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "Wizard", "query", "inn_search"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Agent", "Action", "Text", "APIName", "Constraints", "Item", "role", "content", "Name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
HOSTILE = st.fixed_dictionaries(
    {},
    optional={
        "DialogueID": JSON,
        "CompletionLevel": st.just("Complete"),
        "Scenario": JSON,
        "Events": st.lists(JSON, max_size=4),
        "task_id": JSON,
        "traj": st.lists(JSON, max_size=3),
        "reward": JSON,
        "instruction": st.text(max_size=20),
        "input": st.text(max_size=20),
        "output": st.sampled_from(["<think>x</think><tool_call>{}</tool_call>", "<response>x</response>", ""]),
    },
)
TOOLS = read_tools(FIXTURES / "star" / "apis" / "apis")


@given(record=JSON | HOSTILE)
def test_no_record_makes_any_of_them_raise(record: Any) -> None:
    place = Read("a#1", record)
    for found in (STAR.conversation(place, TOOLS), TAU.conversation(place, ()), TOOLRL.conversation(place)):
        assert isinstance(found, Quarantined) or isinstance(check(found), Quarantined | None)


# STAR


def test_star_becomes_calls_results_and_answers_without_stage_directions() -> None:
    listener = Listener()
    sound, reasons = read(STAR, reporter=listener)
    assert sound.keys() == {"1", "2"}
    assert reasons == {
        "incomplete_dialogue": 1,
        "unknown_tool": 1,
        "wrong_argument_value": 1,
        "stray_tool_message": 1,
        "not_json": 1,
    }
    first = sound["1"]
    assert "".join(message.role[0] for message in first.messages) == "suauatauataua"
    assert first.messages[0].content == "You help a user with the tools on offer. Help the user to find an inn."
    assert [call.arguments for message in first.messages for call in message.tool_calls] == [
        {"Stars": {"is_at_least": 4}, "Near": {"contains": "Park"}},
        {"Name": "Red Door", "Guest": "Ada", "RequestType": "Book"},
    ]
    answer = first.messages[6]
    assert answer.content == "The Red Door has what you want, its number is 555 0199.\nShall I book it?"
    assert {fact.forms[0] for fact in answer.facts} == {"Red Door", "555 0199"}
    assert answer.acts == (Act.CONFIRM,)
    assert first.domains == ("inn",)
    assert [tool.is_write for tool in first.tools] == [False, True]
    assert any("dropped 2 repeated and 1 empty queries; kept 1 repeated ones" in line for line in listener.said)


def test_repeated_queries_go_unless_they_returned_something_else() -> None:
    sound, _ = read(STAR)
    assert sound["1"].metadata["queries"] == {"repeated_dropped": 1, "repeated_kept": 0, "empty_dropped": 1}
    assert sound["2"].metadata["queries"] == {"repeated_dropped": 1, "repeated_kept": 1, "empty_dropped": 0}
    calls = [call.arguments for message in sound["2"].messages for call in message.tool_calls]
    assert calls[0] == {"Name": "Blue Door", "RequestType": "Check", "Guest": "0314"}
    assert calls[1:] == [{"Pool": True}] * 3


def test_star_in_its_archive_reads_like_its_folder(tmp_path: Path) -> None:
    copy = shutil.copytree(FIXTURES / "star", tmp_path / "star")
    with zipfile.ZipFile(copy / "dialogues.zip", "w") as archive:
        for file in (copy / "dialogues").glob("*.json"):
            archive.write(file, f"dialogues/{file.name}")
    shutil.rmtree(copy / "dialogues")
    assert read(STAR, copy) == read(STAR)
    (copy / "dialogues.zip").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"dialogues\.zip cannot be read"):
        read(STAR, copy)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"Red Door"', "Red Door"),
        ("Red Door", "Red Door"),
        ('api.is_one_of(["Red Door","Blue Door"])', {"is_one_of": ["Red Door", "Blue Door"]}),
        ('api.is_equal_to("Red Door")', "Red Door"),
        ("__import__('os').system('true')", "__import__('os').system('true')"),
    ],
)
def test_constraints_are_read_never_run(text: str, expected: Any) -> None:
    assert arguments_of([{"Name": text}], TOOLS["inn_search"]) == {"Name": expected}


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [
        ("inn_ask_date_from", "When do you arrive?", (Act.REQUEST,)),
        ("inn_ask_date_from", "Tell me the date.", ()),
        ("anything_else", "Anything else?", (Act.REQUEST_MORE,)),
        ("inn_inform_price", "It is $90. Good?", (Act.INFORM, Act.REQUEST)),
        ("inn_reservation_failed", "That failed.", (Act.REPORT_FAILURE,)),
        ("out_of_scope", "I do not understand.", ()),
        (None, "Hm?", ()),
    ],
)
def test_acts_of_labels(label: str | None, text: str, expected: Any) -> None:
    assert acts_of(label, text) == expected


@pytest.mark.real
def test_star_counts_equal_an_independent_count(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("star")
    tools = read_tools(folder / "apis" / "apis")
    counts: Counter[str] = Counter()
    found: list[Conversation] = []
    with zipfile.ZipFile(folder / "dialogues.zip") as archive:
        for name in sorted(archive.namelist())[::12]:
            raw = json.loads(archive.read(name))
            item = STAR.conversation(Read(name, raw), tools)
            if raw["CompletionLevel"] != "Complete":
                assert isinstance(item, Quarantined)
                assert item.reason == "incomplete_dialogue"
                continue
            assert isinstance(item, Conversation)
            found.append(item)
            queries = [event for event in raw["Events"] if event["Action"] == "query"]
            alike = [(event["APIName"], event["Constraints"]) for event in queries]
            counts["queries"] += len(queries)
            counts["repeated"] += sum(first == second for first, second in pairwise(alike))
            counts["said"] += sum(event["Agent"] == "User" and event["Action"] == "utter" for event in raw["Events"])
    noted = sum((Counter(item.metadata["queries"]) for item in found), Counter())
    calls = sum(len(message.tool_calls) for item in found for message in item.messages)
    assert noted["repeated_dropped"] + noted["repeated_kept"] == counts["repeated"] > 50
    assert calls == counts["queries"] - noted["repeated_dropped"] - noted["empty_dropped"]
    assert sum(message.role == "user" for item in found for message in item.messages) == counts["said"]
    sound = [item for item in found if check(item) is None]
    assert len(sound) >= 0.98 * len(found)
    outcome = gold(sound)
    assert outcome.failed_share("answer") <= 0.02
    assert outcome.failed_share("call") == 0


@pytest.mark.real
def test_star_repeats_965_of_the_1078_queries_that_upstream_repeats(shared_data: Callable[[str], Path]) -> None:
    """Upstream's figure counts 5,820 complete dialogues; the copy holds 5,028 of them, see docs/data.md."""
    complete = repeated = without = 0
    with zipfile.ZipFile(shared_data("star") / "dialogues.zip") as archive:
        for name in archive.namelist():
            raw = orjson.loads(archive.read(name))
            if raw["CompletionLevel"] == "Complete":
                queries = [event for event in raw["Events"] if event["Action"] == "query"]
                alike = [(event["APIName"], event["Constraints"]) for event in queries]
                complete += 1
                repeated += sum(first == second for first, second in pairwise(alike))
                without += sum(not event["Constraints"] for event in queries)
    assert (complete, repeated, without) == (5028, 965, 55)


# tau-bench


def test_tau_bench_keeps_the_reward_and_only_rewarded_runs_are_gold() -> None:
    sound, reasons = read(TAU)
    assert {name: item.metadata["reward"] for name, item in sound.items()} == {
        "airline/0/0": 1.0,
        "airline/0/1": 1.0,
        "airline/1/0": 0.0,
        "airline/2/0": 1.0,
    }
    assert reasons == {"no_reward": 1, "not_a_conversation": 1}
    assert sound["airline/1/0"].split == "excluded"
    assert sound["airline/0/0"].split == sound["airline/0/1"].split != "excluded"
    run = sound["airline/0/0"]
    assert {tool.name: tool.is_write for tool in run.tools} == {"get_booking": False, "cancel_booking": True}
    assert run.messages[2].content == "One moment."
    assert [call.id for message in run.messages for call in message.tool_calls] == ["c1", "c1_2"]
    assert run.messages[-1].content == "Thanks"
    assert {fact.forms[0] for fact in run.messages[4].facts} == {"Oslo", "214"}
    assert sound["airline/2/0"].messages[-1].role == "assistant"
    assert gold(list(sound.values())).failures == ()


@pytest.mark.real
def test_tau_bench_counts_equal_an_independent_count(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("tau-bench")
    runs = [run for file in folder.glob("gpt-4o-*.json.gz") for run in json.loads(gzip.decompress(file.read_bytes()))]
    sound, reasons = read(TAU, folder)
    assert reasons == {}
    assert len(sound) == len(runs) == 160
    assert Counter(item.metadata["reward"] for item in sound.values()) == Counter(run["reward"] for run in runs)
    asked = sum(len(message.get("tool_calls") or []) for run in runs for message in run["traj"])
    assert sum(len(message.tool_calls) for item in sound.values() for message in item.messages) == asked == 1039
    beside = sum(bool(m.get("content") and m.get("tool_calls")) for run in runs for m in run["traj"])
    assert sum(p.speaks_beside_call for item in sound.values() for p in decision_points(item)) == beside == 79
    splits: dict[Any, set[str]] = {}
    for item in sound.values():
        splits.setdefault(item.metadata["task_id"], set()).add(item.split)
    assert all(len(found - {"excluded"}) <= 1 for found in splits.values())
    assert gold(list(sound.values())).failures == ()


# ToolRL


def test_toolrl_thoughts_become_rationales() -> None:
    sound, reasons = read(TOOLRL)
    assert reasons == {
        "wrong_argument_type": 1,
        "malformed_call": 1,
        "malformed_tools": 1,
        "not_one_action": 1,
        "not_a_conversation": 1,
    }
    both, told = sound.values()
    assert [message.role for message in both.messages] == ["system", "user", "assistant"]
    assert both.messages[-1].rationale == "Two things at once: find the oolong, brew a cup. No <response> yet."
    assert [call.name for call in both.messages[-1].tool_calls] == ["find_tea", "Brew Tea"]
    assert both.tools[0].parameters["properties"] == {
        "kind": {"type": "string", "description": "Which."},
        "grams": {"type": "integer", "description": "How much.", "default": 50},
    }
    assert [message.role for message in told.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert told.messages[2].rationale is None  # upstream's placeholder
    assert {fact.forms[0] for fact in told.messages[-1].facts} == {"Iron Goddess", "12.50"}
    assert gold(list(sound.values())).failures == ()


@pytest.mark.real
def test_toolrl_counts_equal_an_independent_count(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("toolrl")
    rows = json.loads(gzip.decompress((folder / "rlla_sft.part.json.gz").read_bytes()))
    sound, reasons = read(TOOLRL, folder)
    assert len(rows) == 313
    assert 313 - 2 <= len(sound) + reasons.total() <= 313  # rows that say the same share an id
    assert len(sound) >= 0.8 * len(rows)
    thoughts = {row["output"].split("<think>")[1].rsplit("</think>")[0].strip() for row in rows}
    assert {item.messages[-1].rationale for item in sound.values()} <= thoughts
    calls = {row["output"].count('{"name":') for row in rows}
    assert max(len(item.messages[-1].tool_calls) for item in sound.values()) <= max(calls)
    assert gold(list(sound.values())).failures == ()
