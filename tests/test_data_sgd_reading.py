"""The SGD source as a reader: splits, selection, bad input, and the real copy where there is one."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.quality import check
from data.reporting import Silent
from data.schema import Conversation, Quarantined, Split
from data.settings import DataSettings
from data.sources import SOURCE_NAMES, SourceError, get_source
from data.sources.sgd.index import Place
from data.sources.sgd.raw import UnreadableFile, load_dialogues
from data.sources.sgd.source import build
from data.sources.sgd.splits import SHARES, SplitRule, choose, quotas
from data.sources.sgd.tools import read_services

MINI = Path(__file__).parent / "fixtures" / "sgd"


class Listener(Silent):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.phases: list[tuple[str, float | None]] = []
        self.last = 0.0

    def phase(self, name: str, total: float | None = None, unit: str = "steps", done: float = 0.0) -> None:
        self.phases.append((name, total))

    def update(self, done: float, note: str = "") -> None:
        self.last = done

    def say(self, text: str) -> None:
        self.said.append(text)


def read(path: Path | None = MINI, **changes: Any) -> list[Conversation | Quarantined]:
    return list(get_source("sgd").read(DataSettings(source="sgd", path=path, **changes), Silent()))


def conversations(**changes: Any) -> dict[str, Conversation]:
    return {item.record_id: item for item in read(**changes) if isinstance(item, Conversation)}


@pytest.fixture(scope="module")
def mini() -> dict[str, Conversation]:
    return conversations()


def test_dropped_facts_are_told() -> None:
    listener = Listener()
    list(get_source("sgd").read(DataSettings(source="sgd", path=MINI), listener))
    assert any("facts" in line and "not demanded" in line for line in listener.said)
    assert listener.phases[-1] == ("reading sgd", 22)
    assert listener.last == 22


def test_splits_follow_the_files_and_trains_schema(mini: dict[str, Conversation]) -> None:
    assert {key: conv.split for key, conv in mini.items() if not key.startswith("train")} == {
        "dev/1_00000": "validation_seen",
        "dev/1_00001": "validation_unseen",
        "dev/1_00002": "excluded",  # unseen in test too
        "dev/1_00003": "excluded",  # seen and unseen mixed
        "test/1_00000": "test_seen",
        "test/1_00001": "test_unseen",
        "test/1_00002": "test_mixed",
    }
    assert {conv.split for key, conv in mini.items() if key.startswith("train")} == {"train"}


@pytest.mark.parametrize("limit", [1, 2, 3, 24, 200, 601])
def test_quotas_add_up(limit: int) -> None:
    plenty: dict[Split, int] = dict.fromkeys(SHARES, 1000)
    taken = quotas(limit, plenty)
    assert sum(taken.values()) == limit
    assert taken["train"] >= 1
    assert all(abs(taken[split] - share * limit) < 1 for split, share in SHARES.items())


def test_a_split_with_fewer_gives_the_rest_to_train() -> None:
    available: dict[Split, int] = {**dict.fromkeys(SHARES, 1000), "validation_unseen": 4, "excluded": 50}
    taken = quotas(200, available)
    assert (taken["validation_unseen"], taken["train"]) == (4, 112 + 20)
    assert "excluded" not in taken
    assert sum(quotas(100, {"train": 10, "test_seen": 20}).values()) == 30


def test_a_larger_limit_extends_a_smaller_one() -> None:
    rule = SplitRule(frozenset({"a"}), frozenset({"c"}))
    records = [(f"train/{n}", rule.split("train", ["a"])) for n in range(300)]
    small, large = choose(records, 20), choose(records, 100)
    assert len(small) == 20
    assert small < large
    assert choose(reversed(records), 20) == small
    assert len(choose(records, None)) == 300


def test_a_limit_takes_no_excluded_dialogue() -> None:
    limited = conversations(conversations=9)
    assert len(limited) <= 9
    assert "excluded" not in {conv.split for conv in limited.values()}
    assert {"train", "validation_seen"} <= {conv.split for conv in limited.values()}


# --- bad input


def test_every_bad_record_is_quarantined_with_its_reason() -> None:
    reasons: dict[str, str] = {}
    for item in read():
        rejected = item if isinstance(item, Quarantined) else check(item)
        if rejected is not None:
            reasons[rejected.record_id] = rejected.reason
    assert reasons == {
        "train/1_00010": "missing_argument",
        "train/1_00011": "unknown_tool",
        "train/1_00012": "unknown_argument",
        "train/1_00013": "wrong_argument_type",
        "train/1_00014": "wrong_argument_value",
        "train/1_00015": "not_a_dialogue",
        "train/1_00016": "unknown_service",
        "train/1_00017": "bad_role_order",
        "train/1_00018": "empty_message",
        "train/1_00019": "unknown_act",
        "train/dialogues_001.json#10": "duplicate_id",
        "train/dialogues_001.json#11": "not_a_dialogue",
        "train/dialogues_003.json.gz": "unreadable_file",
        "train/dialogues_004.json": "unreadable_file",
    }


@pytest.mark.parametrize("name", ["dialogues_009.json", "dialogues_009.json.gz"])
def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("data.sources.sgd.raw.MAX_FILE_BYTES", 1000)
    content = b"[" + b" " * 2000 + b"]"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(UnreadableFile, match="more than 1,000 bytes; split it"):
        load_dialogues(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 5000, b'["\\ud800"]', b"null"])
def test_a_file_that_is_no_list_of_dialogues_is_one_quarantined_row(tmp_path: Path, content: bytes) -> None:
    shutil.copytree(MINI, tmp_path / "sgd")
    (tmp_path / "sgd" / "train" / "dialogues_009.json").write_bytes(content)
    items = read(tmp_path / "sgd")
    rows = [item for item in items if isinstance(item, Quarantined) and item.record_id.endswith("dialogues_009.json")]
    assert [row.reason for row in rows] == ["unreadable_file"]
    assert len(items) == len(read()) + 1


@pytest.mark.parametrize("path", [Path("no/such/place"), MINI / "README.md", MINI / "train"])
def test_a_wrong_path_is_an_error_that_names_the_cure(path: Path) -> None:
    with pytest.raises(SourceError, match=r"--path DIR.*train/, dev/ and test/"):
        read(path)
    with pytest.raises(SourceError, match="--path DIR"):
        get_source("sgd").fingerprint(DataSettings(source="sgd", path=path))


def test_an_absent_split_directory_is_remarked_on(tmp_path: Path) -> None:
    shutil.copytree(MINI / "train", tmp_path / "train")
    listener = Listener()
    items = list(get_source("sgd").read(DataSettings(source="sgd", path=tmp_path), listener))
    assert {item.split for item in items if isinstance(item, Conversation)} == {"train"}
    assert sum("is absent" in line for line in listener.said) == 2


@pytest.mark.parametrize("schema", [b"", b"[]]", b'[{"service_name": "X"}]', b"{}"])
def test_a_broken_schema_is_an_error_that_names_the_file(tmp_path: Path, schema: bytes) -> None:
    shutil.copytree(MINI, tmp_path / "sgd")
    (tmp_path / "sgd" / "dev" / "schema.json").write_bytes(schema)
    with pytest.raises(SourceError, match=r"dev/schema\.json cannot be read"):
        read(tmp_path / "sgd")


GOOD_RECORD = orjson.loads((MINI / "train" / "dialogues_001.json").read_bytes())[0]
PLACE = Place("train/x", "train", "train", MINI, 0)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_a_damaged_record_is_never_an_exception(data: st.DataObject) -> None:
    record = orjson.loads(orjson.dumps(GOOD_RECORD))
    place = record
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 4)) == 0:
            break
        place = inner
    if data.draw(st.booleans()):
        place[key] = data.draw(JSON)
    else:
        del place[key]
    services = read_services(MINI / "train" / "schema.json")
    item, _ = build(record, services, PLACE, 3)
    if isinstance(item, Conversation):
        check(item)


def test_values_nested_beyond_reason_are_quarantined() -> None:
    record = orjson.loads(orjson.dumps(GOOD_RECORD))
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    record["turns"][3]["frames"][0]["service_call"]["parameters"]["town"] = deep
    item, _ = build(record, read_services(MINI / "train" / "schema.json"), PLACE, 3)
    assert isinstance(item, Quarantined) or check(item) is not None


# --- registry and fingerprint


def test_sources_are_found_by_name() -> None:
    assert {"sgd", "simulated"} <= set(SOURCE_NAMES)
    assert "base" not in SOURCE_NAMES
    with pytest.raises(ValueError, match=r"choose one of: .*sgd"):
        get_source("nowhere")


def test_the_fingerprint_follows_bytes_not_place(tmp_path: Path) -> None:
    def fingerprint(path: Path) -> str:
        return get_source("sgd").fingerprint(DataSettings(source="sgd", path=path))

    copy = shutil.copytree(MINI, tmp_path / "elsewhere")
    assert fingerprint(copy) == fingerprint(MINI)
    with (copy / "dev" / "dialogues_001.json").open("a") as file:
        file.write(" ")
    assert fingerprint(copy) != fingerprint(MINI)


def test_a_file_that_changes_under_our_hands_is_said(tmp_path: Path) -> None:
    copy = shutil.copytree(MINI, tmp_path / "sgd")
    items = get_source("sgd").read(DataSettings(source="sgd", path=copy), Silent())
    assert any(isinstance(item, Conversation) for item in items)
    (copy / "dev" / "dialogues_001.json").write_text("[]")
    with pytest.raises(SourceError, match="changed while it was read"):
        list(items)


# --- the real copy


@pytest.mark.real
def test_real_conversations_pass_and_fill_the_splits(shared_data: Callable[[str], Path]) -> None:
    items = read(shared_data("sgd"), conversations=50)
    kept = [item for item in items if isinstance(item, Conversation) and check(item) is None]
    assert len(kept) >= 48
    splits = Counter(conversation.split for conversation in kept)
    assert set(splits) == set(SHARES)
    assert splits["train"] > 20
    given_rationale = [m for c in kept for m in c.messages if m.role == "assistant" and m.rationale]
    assert len(given_rationale) > 0.95 * sum(m.role == "assistant" for c in kept for m in c.messages)
