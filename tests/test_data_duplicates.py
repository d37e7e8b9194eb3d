"""Likenesses and where they lead: content hashes, MinHash against a plain count, and who may stay in which split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import evaluation_set, snapshot
from data import ingest as ingest_module
from data.content import PERMUTATIONS, content_hash, shingles, signatures, words_of
from data.duplicates import NEAR, near_duplicates
from data.ingest import IngestReport, ingest
from data.reporting import Reporter, Silent
from data.schema import Conversation, Message, Split
from data.settings import DataSettings

TEXT = (
    "I would like a quiet room with a view of the river for the second weekend in June please and tell me whether "
    "breakfast is part of the price or has to be paid on the morning itself because we leave rather early that day"
)
STORY = TEXT.split()


def saying(name: str, words: Sequence[str], split: Split = "train", source: str = "s") -> Conversation:
    return Conversation(
        id=f"{source}/{name}",
        source=source,
        record_id=name,
        split=split,
        domains=(),
        tools=(),
        messages=(
            Message(role="system", content="Help."),
            Message(role="user", content=" ".join(words)),
            Message(role="assistant", content=f"Certainly, {words[0]}."),
        ),
    )


def other(number: int) -> list[str]:
    """A text that shares no run of three words with any other of these."""
    return [f"{word}{number}" for word in STORY]


class Made:
    """A source of conversations made by hand."""

    def __init__(self, *conversations: Conversation, name: str = "s") -> None:
        self.name, self.evaluation_only, self.conversations = name, False, conversations

    def fingerprint(self, settings: DataSettings) -> str:
        return content_hash(f"{one.id} {one.split} {' '.join(words_of(one))}" for one in self.conversations)

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation]:
        yield from self.conversations


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def ingest_made(*conversations: Conversation, name: str = "s", **settings: Any) -> IngestReport:
        made = Made(*conversations, name=name)
        monkeypatch.setattr(ingest_module, "get_source", lambda _: made)
        return ingest(DataSettings(source=name, **settings), Silent())

    return ingest_made


def splits(report: IngestReport) -> dict[str, Split]:
    return {one.id: one.split for one in snapshot.read_conversations(report.dataset_version)}


def reasons(report: IngestReport) -> dict[str, str]:
    import pyarrow.parquet as pq

    from data import paths

    rows = pq.read_table(paths.dataset(report.dataset_version) / "quarantine.parquet").to_pylist()
    return {row["record_id"]: row["reason"] for row in rows}


def test_the_same_words_are_the_same_content() -> None:
    one = saying("a", STORY)
    louder = one.model_copy(update={"messages": (one.messages[0], *map(_shouted, one.messages[1:]))})
    assert content_hash(words_of(one)) == content_hash(words_of(louder))
    assert content_hash(words_of(one)) != content_hash(words_of(saying("a", STORY[1:])))


def _shouted(message: Message) -> Message:
    return message.model_copy(update={"content": f"  {(message.content or '').upper()} !"})


@given(at=st.integers(0, len(STORY) - 1), length=st.integers(0, 12))
def test_signatures_estimate_jaccard(at: int, length: int) -> None:
    changed = [*STORY[:at], *("new" for _ in range(length)), *STORY[at + length :]]
    one, two = shingles(STORY), shingles(changed)
    exact = len(one & two) / len(one | two)
    first, second = signatures([STORY, changed])
    assert float(np.mean(first == second)) == pytest.approx(exact, abs=5 * (0.25 / PERMUTATIONS) ** 0.5)


def test_near_duplicates_are_those_a_plain_comparison_finds() -> None:
    learners = [other(number) for number in range(200)]
    judged = [[*text[:30], "changed", *text[31:]] for text in learners[:20]] + [text[20:] for text in learners[20:40]]
    one, two = signatures(learners), signatures(judged)
    similar = (one[:, None, :] == two[None, :, :]).mean(axis=2)
    plain = {row: float(similar[row].max()) for row in range(200) if similar[row].max() >= NEAR}
    found = near_duplicates(one, two)
    assert {near.learner: near.similarity for near in found} == pytest.approx(plain)
    assert all(near.judged == near.learner for near in found)
    assert len(found) >= 18
    assert near_duplicates(one, two[:0]) == near_duplicates(one[:0], two) == []


def test_training_on_what_one_is_judged_by_is_prevented(run: Any) -> None:
    made = [
        saying("test", STORY, "test_seen"),
        saying("copy", STORY),
        saying("like", [*STORY[:-1], "morning"]),
        saying("own", other(1)),
        saying("own again", other(1)),
    ]
    report = run(*made)
    assert splits(report) == {"s/test": "test_seen", "s/own": "train", "s/own again": "train"}
    assert reasons(report) == {"copy": "duplicate", "like": "near_duplicate"}
    assert report.duplicates == {"exact": 1, "exact_within_split": 1, "near": 1}
    told = run(*made, duplicates="report")
    assert len(splits(told)) == 5
    assert told.duplicates == report.duplicates


def test_once_in_test_always_in_test_under_any_name(run: Any) -> None:
    first = run(saying("old", STORY, "test_unseen"), saying("own", other(1)))
    again = run(saying("renamed", STORY, "train"), saying("own", other(1)), saying("more", other(2)))
    assert splits(again) == {"s/renamed": "test_unseen", "s/own": "train", "s/more": "train"}
    points = snapshot.read_decision_points(again.dataset_version)
    assert {point.conversation_id: point.split for point in points} == splits(again)
    assert again.compared_with == first.dataset_version
    assert again.changes == {"new": 2, "changed": 0, "removed": 1, "unchanged": 1}
    third = run(saying("renamed", STORY, "train"), saying("own", other(1)), saying("more", other(2)))
    assert third.reused
    assert third.dataset_version == again.dataset_version


def test_once_in_test_always_in_test_in_other_words(run: Any) -> None:
    """A turn more, or a tool more on offer, changes what the split is drawn by; the name is the same."""
    run(saying("told", STORY, "test_seen"), saying("unseen", other(7), "validation_unseen"), saying("own", other(1)))
    again = run(
        saying("told", other(2), "train"),
        saying("unseen", other(3), "train"),
        saying("own", other(1)),
        saying("more", other(4)),
    )
    # What would be learned from now has tools that are seen.
    expected = {"s/told": "test_seen", "s/unseen": "validation_seen", "s/own": "train", "s/more": "train"}
    assert splits(again) == expected
    third = run(
        saying("told", other(2), "validation_seen"),
        saying("unseen", other(3), "test_unseen"),
        saying("own", other(1)),
        saying("more", other(4), "excluded"),
    )
    # A higher split stays, a lower one gives way; what is left out stays left out.
    assert splits(third)["s/told"] == "test_seen"
    assert splits(third)["s/unseen"] == "test_unseen"


def test_other_sources_are_not_trained_on_either(run: Any) -> None:
    alone = run(saying("a", STORY), saying("b", other(1)))
    run(saying("x", STORY, "test_seen", "t"), saying("y", other(9), "train", "t"), name="t")
    beside = run(saying("a", STORY), saying("b", other(1)))
    assert splits(beside) == {"s/b": "train"}
    assert reasons(beside) == {"a": "duplicate"}
    assert beside.duplicates == {"exact_elsewhere": 1}
    assert beside.dataset_version != alone.dataset_version
    assert run(saying("a", STORY), saying("b", other(1))).reused


def test_shared_items_are_those_all_versions_hold_alike(run: Any) -> None:
    old = run(saying("1", STORY, "test_seen"), saying("2", other(2), "test_seen"), saying("own", other(1)))
    new = run(
        saying("1", STORY, "test_seen"),
        saying("2", other(3), "test_seen"),
        saying("3", other(4), "test_seen"),
        saying("own", other(1)),
    )
    versions = [old.dataset_version, new.dataset_version]
    assert [item.conversation_id for item in evaluation_set.shared_items(versions, ["test_seen"])] == ["s/1"]
    assert len(evaluation_set.load()) == 4
    assert evaluation_set.forget({"s/1"}) == 1
    assert evaluation_set.shared_items(versions, ["test_seen"]) == []
    with pytest.raises(ValueError, match="splits among"):
        evaluation_set.shared_items(versions, ["train"])


def test_of_two_with_one_name_in_different_chunks_the_first_stays(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data.chunks.CHUNK", 2)
    report = run(*(saying(name, other(at)) for at, name in enumerate(["a", "b", "c", "a", "d"])))
    assert list(splits(report)) == ["s/a", "s/b", "s/c", "s/d"]
    assert report.quarantined == {"duplicate_id": 1}
    first = snapshot.read_conversations(report.dataset_version)[0]
    assert first.messages[1].content == " ".join(other(0))


def test_so_many_to_learn_from_and_all_to_be_judged_by(run: Any) -> None:
    judged = [saying(f"v{at}", other(at), "validation_seen") for at in range(3)]
    learners = [saying(f"t{at}", other(100 + at)) for at in range(20)]
    twins = [saying(f"twin{at}", other(at)) for at in range(3)]
    made = (*judged, *learners, *twins)
    whole = run(*made)
    nested = [run(*made, training_conversations=number) for number in (5, 10, 50)]
    held = [{name for name, split in splits(one).items() if split == "train"} for one in (*nested, whole)]
    assert [len(names) for names in held] == [5, 10, 20, 20], "twins of judged conversations are no part of the number"
    assert held[0] < held[1] < held[2] == held[3]
    assert len({one.dataset_version for one in (whole, *nested)}) == 4
    for one in nested:
        assert one.conversations["validation_seen"] == 3
        assert reasons(one) == reasons(whole), "what is left out by number is sound, so it is not quarantined"
