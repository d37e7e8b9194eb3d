"""Anybody's own conversations: a stranger's twenty, every way they can be wrong, and Glaive's real three hundred."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.decision_points import decision_points
from data.ingest import ingest
from data.mapping.files import Read
from data.quality import check
from data.reporting import Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings, RewardWeights
from data.snapshot import read_conversations, read_decision_points
from data.sources import get_source
from data.sources.base import SourceError
from data.sources.openai import SOURCE
from data.splits import domain_slice
from models.evaluation.metrics import judge
from models.rewards.gold import audit
from models.rewards.variants import load_reward
from models.speech.parsing import parse_completion

LIBRARY = Path(__file__).parent / "fixtures" / "openai" / "library.jsonl"
HELLO = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day."}]


def read_all(path: Path, **settings: Any) -> list[Conversation | Quarantined]:
    return list(SOURCE.read(DataSettings(source="openai", path=path, **settings), Silent()))


def one(record: Any, **options: Any) -> Conversation:
    found = SOURCE.conversation(Read("a#1", record), **options)
    assert isinstance(found, Conversation), found
    assert check(found) is None
    return found


def reason(record: Any) -> str | None:
    found = SOURCE.conversation(Read("a#1", record))
    return found.reason if isinstance(found, Quarantined) else None


def test_a_strangers_twenty_conversations_are_taken_as_they_are() -> None:
    found = read_all(LIBRARY)
    assert [item for item in found if isinstance(item, Quarantined)] == []
    conversations = {item.record_id: item for item in found if isinstance(item, Conversation)}
    assert len(conversations) == 20
    assert [check(conversation) for conversation in conversations.values()] == [None] * 20
    desk = conversations["desk-04"]
    assert desk.messages[2].content == "One moment, I look it up."
    assert desk.messages[2].tool_calls[0].arguments == {"title": "The Lamplighter's Ledger"}
    assert {fact.name for fact in desk.messages[4].facts} == {"place", "copies"}
    assert conversations["hours-1"].messages[4].facts[1].forms == ("16:15", "16.15")  # as the record states them
    assert conversations["violin"].messages[1].content == "Good morning.\nDo you lend violins?"
    assert conversations["violin"].metadata == {"joined_messages": 1}
    assert {tool.name: tool.is_write for tool in desk.tools} == {
        "find_book": False,
        "reserve_book": True,
        "opening_hours": False,
    }


def test_gold_of_the_twenty_reaches_the_maximum() -> None:
    points = [p for item in read_all(LIBRARY) if isinstance(item, Conversation) for p in decision_points(item)]
    assert audit(points, load_reward("graded", RewardWeights())).failures == ()


def test_parquet_and_gzip_give_the_same_conversations(tmp_path: Path) -> None:
    records = [json.loads(line) for line in LIBRARY.read_text().splitlines()]
    for record in records:
        for message in record["messages"]:
            if isinstance(message["content"], list):
                message["content"] = message["content"][0]["text"]
        record["tools"] = json.dumps(record["tools"])
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "library.parquet")
    packed = tmp_path / "library.jsonl.gz"
    packed.write_bytes(gzip.compress(LIBRARY.read_bytes()))
    assert read_all(tmp_path / "library.parquet") == read_all(packed) == read_all(LIBRARY)


def test_a_limit_extends_and_keeps_splits() -> None:
    names = [{item.record_id for item in read_all(LIBRARY, conversations=limit)} for limit in (6, 12, 20)]
    assert [len(some) for some in names] == [6, 12, 20]
    assert names[0] <= names[2]
    every = {item.record_id: item for item in read_all(LIBRARY)}
    assert all(every[item.record_id] == item for item in read_all(LIBRARY, conversations=12))


def test_a_limit_says_what_it_leaves_out() -> None:
    said: list[str] = []
    reporter = Silent()
    reporter.say = said.append  # type: ignore[method-assign]
    for limit in (12, 20, None):
        list(SOURCE.read(DataSettings(source="openai", path=LIBRARY, conversations=limit), reporter))
    assert said == [
        "8 of 20 conversations are left out, for data.conversations is 12; --set data.conversations=null takes all"
    ]


def test_stating_facts_of_one_answer_leaves_the_others_derived() -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "track", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": "c", "content": '{"carrier": "DHL", "eta": "2025-03-04"}'}
    messages = [
        *({"role": "user", "content": "Where is it?"}, call, result, {"role": "assistant", "content": "With D.H.L."}),
        *({"role": "user", "content": "When?"}, {"role": "assistant", "content": "It arrives on 2025-03-04."}),
    ]
    stated = {"facts": [{"message": 3, "name": "carrier", "value": "DHL", "forms": ["D.H.L."]}]}
    found = one({"messages": messages, "tools": [{"name": "track"}], "metadata": stated}).messages
    assert [(fact.name, fact.forms) for fact in (*found[3].facts, *found[5].facts)] == [
        ("carrier", ("DHL", "D.H.L.")),
        ("eta", ("2025-03-04",)),
    ]
    assert (found[3].derived, found[5].derived) == (False, True)


def test_conversations_of_held_out_domains_alone_say_that_their_name_decides(tmp_path: Path) -> None:
    unseen = next(name for name in map(str, range(200)) if domain_slice(name) == "unseen_in_test")
    file = tmp_path / "faq.jsonl"
    file.write_text(json.dumps({"messages": HELLO, "metadata": {"domain": unseen}}))
    with pytest.raises(SourceError, match=r"all 1 are about domains that are held out .*leave metadata.domain out"):
        ingest(DataSettings(source="openai", path=file), Silent())


@pytest.mark.parametrize(
    ("asked", "answer", "place"),
    [
        ("Wo ist meine Bestellung?", "Ihre Bestellung wurde gestern verschickt und liegt im Lager Köln.", "Köln"),
        ("¿Dónde está mi pedido?", "Su pedido salió ayer del almacén y llegará mañana a Bilbao.", "Bilbao"),
        ("Où est mon colis ?", "Votre colis a été expédié hier depuis notre entrepôt de Lyon.", "Lyon"),
        ("我的包裹在哪里?", "您的包裹现在在上海浦东。", "上海浦东"),
        ("注文はどこですか?", "ご注文の商品は現在大阪にあります。", "大阪"),
        ("소포가 어디에 있나요?", "소포는 지금 부산에 있습니다.", "부산"),
    ],
)
def test_answers_in_other_languages_are_right_by_judge_and_reward(asked: str, answer: str, place: str) -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "track", "arguments": "{}"}}]}
    result = {"role": "tool", "tool_call_id": "c", "content": {"place": place}}
    messages = [{"role": "user", "content": asked}, call, result, {"role": "assistant", "content": answer}]
    point = decision_points(one({"messages": messages, "tools": [{"name": "track"}]}))[-1]
    assert [fact.forms for fact in point.expected.facts] == [(place,)]
    outcome = audit([point], load_reward("graded", RewardWeights()))
    assert (outcome.failures, outcome.unjudged) == ((), ())
    for text, right in ((answer, True), (answer.replace(place, "…"), False)):
        parsed = parse_completion(text, thinking=False, tools=point.tools)
        assert judge(point, parsed).turn_success is right


def test_ids_come_from_the_record_or_from_its_content() -> None:
    assert one({"messages": HELLO, "metadata": {"id": 7}}).id == "openai/7"
    assert one({"messages": HELLO, "id": "x"}).id == "openai/x"
    unnamed = one({"messages": HELLO})
    assert unnamed.id.startswith("openai/content-")
    assert one({"messages": HELLO, "metadata": {"shop": "Ely"}}).id == unnamed.id
    assert one({"messages": HELLO, "metadata": {"shop": "Ely"}}).metadata == {"shop": "Ely"}


def test_domains_are_those_stated_or_the_tools() -> None:
    unseen = next(name for name in map(str, range(200)) if domain_slice(name) == "unseen_in_test")
    told = one({"messages": HELLO, "metadata": {"domain": unseen}})
    assert (told.domains, told.split) == ((unseen,), "test_unseen")
    assert one({"messages": HELLO, "metadata": {"domains": ["a", "b", "a"]}}).domains == ("a", "b")
    record = {"messages": HELLO, "tools": [{"name": unseen}]}
    assert one(record).domains == ()
    assert one(record, domains_from="tools").split == "test_unseen"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (3, "not_a_conversation"),
        ({}, "not_a_conversation"),
        ({"messages": []}, "not_a_conversation"),
        ({"messages": "Hello"}, "not_a_conversation"),
        ({"conversations": 3}, "not_a_conversation"),
        ({"conversations": [{"from": "nobody", "value": "x"}]}, "unknown_role"),
        ({"conversations": [{"from": "human", "value": None}]}, "malformed_message"),
        ({"messages": HELLO, "tools": [{}]}, "malformed_tools"),
        ({"messages": HELLO, "metadata": "x"}, "malformed_metadata"),
        ({"messages": HELLO, "metadata": {"domain": 3}}, "malformed_metadata"),
        ({"messages": HELLO, "metadata": {"facts": {}}}, "malformed_facts"),
        ({"messages": HELLO, "metadata": {"facts": [{"message": 0, "value": "x"}]}}, "malformed_facts"),
        ({"messages": HELLO, "metadata": {"facts": [{"message": 9, "value": "x"}]}}, "malformed_facts"),
        ({"messages": HELLO, "metadata": {"facts": [{"value": "x"}]}}, "malformed_facts"),
        ({"messages": HELLO, "metadata": {"facts": [{"message": 1, "forms": "x"}]}}, "malformed_facts"),
        ({"messages": HELLO, "metadata": {"facts": [{"message": 1, "name": "x"}]}}, "not_a_conversation"),
        ({"messages": HELLO}, None),
    ],
)
def test_each_way_to_be_wrong_has_its_reason(record: Any, expected: str | None) -> None:
    assert reason(record) == expected


def test_a_rejected_record_is_named_by_its_folder_and_file(tmp_path: Path) -> None:
    for week in ("2026-11-16", "2026-11-23"):
        (tmp_path / week).mkdir()
        (tmp_path / week / "part-0.jsonl").write_text("not json\n")
    found = list(SOURCE.read(DataSettings(source="openai", path=tmp_path), Silent()))
    assert [one.record_id for one in found if isinstance(one, Quarantined)] == [
        "2026-11-16/part-0.jsonl#1",
        "2026-11-23/part-0.jsonl#1",
    ]


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4) | st.sampled_from(["user", "tool", "f"])
KEYS = ["role", "content", "tool_calls", "function", "name", "arguments", "from", "value", "id", "facts", "message"]
HOSTILE = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
)
RECORDS = st.fixed_dictionaries(
    {}, optional={name: HOSTILE for name in ("messages", "conversations", "tools", "metadata", "id", "system")}
)


@given(record=HOSTILE | RECORDS)
def test_no_record_makes_it_raise(record: Any) -> None:
    found = SOURCE.conversation(Read("a#1", record))
    assert isinstance(found, Quarantined) or isinstance(check(found), Quarantined | None)


def test_names_of_sources_are_modules_that_have_one() -> None:
    assert get_source("openai") is SOURCE


@pytest.mark.slow
def test_the_walk_of_docs_data_from_a_strangers_file_to_a_results_table(tmp_path: Path) -> None:
    """``apprentice run`` on the twenty conversations, nothing replaced: every model ends up in the table."""
    var = tmp_path / "var"
    environment = {**os.environ, "APPRENTICE_VAR": str(var), "NO_COLOR": "1", "COLUMNS": "200"}
    whole = ["run", "--profile", "smoke", "--source", "openai", "--path", str(LIBRARY), "--max-steps", "1"]
    command = [sys.executable, "-m", "flows.cli", *whole]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Results, with 95 % intervals" in done.stdout
    assert "gold misses the full reward on 0 of 31 answer turns, 0 of 23 call turns" in done.stdout + done.stderr
    (dataset,) = (var / "datasets").glob("*/gold_failures.jsonl")
    assert dataset.read_text() == ""


@pytest.mark.real
def test_glaive_counts_equal_an_independent_count(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("glaive-toolcall-demo")
    raw = json.loads(gzip.decompress((folder / "glaive_toolcall_en_demo.json.gz").read_bytes()))
    distinct = {_what_glaive_says(row): row for row in raw}
    report = ingest(DataSettings(source="openai", path=folder, duplicates="report"), Silent())
    assert report.quarantined == {"duplicate_id": len(raw) - len(distinct), "wrong_argument_type": 1}
    assert sum(report.conversations.values()) == len(distinct) - 1 == 261
    # The one rejected passes a list where its tool takes a number.
    kept = [row for row in distinct.values() if "[150, 350, 800]" not in json.dumps(row["conversations"])]
    roles = Counter(turn["from"] for row in kept for turn in row["conversations"])
    stored = Counter(
        "call" if message.tool_calls else message.role
        for conversation in read_conversations(report.dataset_version)
        for message in conversation.messages
    )
    assert stored == {
        "user": roles["human"],
        "assistant": roles["gpt"],
        "call": roles["function_call"],
        "tool": roles["observation"],
    }
    points = read_decision_points(report.dataset_version)
    outcome = audit(points, load_reward("graded", RewardWeights()))
    assert outcome.failures == ()
    # Answers from general knowledge: nobody annotated them and no tool has told what they say.
    assert len(outcome.unjudged) <= 0.3 * (outcome.checked["answer"] + len(outcome.unjudged))


def _what_glaive_says(row: dict[str, Any]) -> str:
    """Two rows are copies if they say the same with tools of the same names; some differ in descriptions only."""
    said = [[turn["from"], " ".join(turn["value"].split())] for turn in row["conversations"]]
    return json.dumps([said, sorted(tool["name"] for tool in json.loads(row["tools"]))])
