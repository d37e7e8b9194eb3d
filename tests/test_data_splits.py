"""Splits by content: stable, apart from ids and annotations, and never training on what is held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.schema import Act, Conversation, Fact, Message, ToolCall, ToolSpec
from data.splits import choose, content_key, domain_slice, split_by_content, split_for_evaluation

DOMAINS = [f"domain {number}" for number in range(400)]
SEEN = next(name for name in DOMAINS if domain_slice(name) == "seen")
IN_VALIDATION = next(name for name in DOMAINS if domain_slice(name) == "unseen_in_validation")
IN_TEST = next(name for name in DOMAINS if domain_slice(name) == "unseen_in_test")


def conversation(said: str = "Hello", domains: tuple[str, ...] = (), **changes: Any) -> Conversation:
    messages = (Message(role="user", content=said), Message(role="assistant", content="Good day."))
    stated = {"id": "a/1", "source": "a", "record_id": "1", "split": "train", "tools": (), "messages": messages}
    return Conversation.model_validate({**stated, "domains": domains, **changes})


def test_shares_are_those_stated() -> None:
    splits = Counter(split_by_content(conversation(f"Hello {number}")) for number in range(4000))
    assert splits.keys() == {"train", "validation_seen", "test_seen"}
    assert splits["train"] / 4000 == pytest.approx(0.8, abs=0.02)
    assert splits["test_seen"] / 4000 == pytest.approx(0.1, abs=0.015)
    held_out = Counter(map(domain_slice, DOMAINS))
    assert held_out["unseen_in_test"] == pytest.approx(40, abs=20)
    assert held_out["unseen_in_validation"] == pytest.approx(40, abs=20)


def test_records_are_chosen_by_the_hash_of_their_id_and_not_by_their_order() -> None:
    """The first files of a dataset are about a few services only; and the choice is the same on every machine."""
    every = [(f"record-{number:03d}", "train") for number in range(300)]
    taken = choose(every, 20, {"train": 1.0})
    assert len(taken) == 20
    assert taken == choose(reversed(every), 20, {"train": 1.0})
    assert taken < choose(every, 30, {"train": 1.0})
    hashed = sorted((name for name, _ in every), key=lambda name: hashlib.sha256(name.encode()).digest())
    assert taken == set(hashed[:20])


def test_known_conversations_stay_where_they_are() -> None:
    """Frozen on purpose: whoever changes the hash moves test conversations into training."""
    found = {number: split_by_content(conversation(f"Hello {number}")) for number in (0, 1, 3, 15)}
    assert found == {0: "validation_seen", 1: "train", 3: "test_seen", 15: "test_seen"}
    assert content_key(conversation()) == "b2165adef4cd2ae5a175d2b141922b1aaf12c6ad71b7ed5ef606a3a1060ba3f3"
    assert [domain_slice(name) for name in ("trip", "ride", "hotel")] == [
        "unseen_in_validation",
        "unseen_in_test",
        "seen",
    ]


@given(said=st.text(min_size=1, max_size=20), other=st.text(min_size=1, max_size=20))
def test_ids_annotations_and_spacing_do_not_move_a_conversation(said: str, other: str) -> None:
    first = conversation(said)
    annotated = Message(
        role="assistant",
        content="Good  day.",
        acts=(Act.GOODBYE,),
        facts=(Fact(name="x", kind="value", forms=("day",)),),
        rationale=other,
    )
    changes = {"id": f"b/{other}", "source": "b", "record_id": other, "metadata": {"x": other}, "split": "excluded"}
    second = first.model_copy(update={**changes, "messages": (first.messages[0], annotated)})
    assert split_by_content(first) == split_by_content(second)


def test_what_was_called_counts() -> None:
    def calling(place: str) -> Conversation:
        call = ToolCall(id="1", name="find", arguments={"place": place}, arguments_raw="{}")
        said = (Message(role="user", content="A room"), Message(role="assistant", tool_calls=(call,)))
        return conversation(messages=said, tools=(ToolSpec(name="find", parameters={"type": "object"}),))

    assert content_key(calling("Ely")) != content_key(calling("Oakham"))


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        ((IN_TEST,), "test_unseen"),
        ((IN_TEST, IN_VALIDATION), "test_unseen"),
        ((SEEN, IN_TEST), "test_mixed"),
        ((IN_VALIDATION,), "validation_unseen"),
        ((IN_VALIDATION, SEEN), "excluded"),
    ],
)
def test_held_out_domains_are_never_trained_on(domains: tuple[str, ...], expected: str) -> None:
    assert {split_by_content(conversation(str(number), domains)) for number in range(40)} == {expected}


def test_runs_of_one_task_stay_together() -> None:
    runs = [conversation(f"run {number}") for number in range(40)]
    assert len({split_by_content(run, together="task 7") for run in runs}) == 1
    assert len({split_by_content(run) for run in runs}) > 1


def test_evaluation_only_items_never_reach_training() -> None:
    splits = Counter(split_for_evaluation(conversation(str(number))) for number in range(2000))
    assert splits.keys() == {"validation_unseen", "test_unseen"}
    assert splits["validation_unseen"] / 2000 == pytest.approx(0.2, abs=0.03)
