"""Hostile input: broken bytes and strange records are quarantined with a reason, never a crash, never let in unchecked.

CI looks at a few thousand; ``HOSTILE_RECORDS=100000 pytest tests/test_data_hostile.py`` is the long run that
docs/log.md reports.
"""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from data import rows, snapshot, warehouse
from data.chunks import Chunk, Plan, write_chunks
from data.ingest import EmptyDataset, ingest
from data.quality import MAX_RECORD_CHARACTERS, check, checked_record
from data.reporting import Silent
from data.schema import Act, Conversation, Fact, Message, Quarantined, ToolCall, ToolSpec
from data.settings import DataSettings
from data.sources.base import Tally
from data.sources.sgd.index import Place
from data.sources.sgd.source import build
from data.sources.sgd.tools import read_services

MINI = Path(__file__).parent / "fixtures" / "sgd"
RECORDS = int(os.environ.get("HOSTILE_RECORDS", "1200"))
#: A fifth comes from hypothesis, in batches of 15 on average; two fifths are flips of ours, two fifths of real records.
QUICK = settings(max_examples=max(10, RECORDS // 75), suppress_health_check=list(HealthCheck))
FLIPPED = RECORDS * 2 // 5

#: Texts as people and attackers write them, numbers JSON cannot hold, and values nested a little.
TEXTS = st.text(st.characters(), max_size=6) | st.sampled_from(["\ud800", "\0", "find", "{}", "' OR 1=1 --", "x" * 999])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)
SCHEMAS = OBJECTS | st.fixed_dictionaries(
    {"type": st.sampled_from(["object", "array", 7])},
    optional={
        "properties": st.dictionaries(
            st.sampled_from(["town", "n"]), OBJECTS | st.just({"type": "string"}), max_size=2
        ),
        "required": st.lists(st.sampled_from(["town", "n"]), max_size=2) | VALUES,
        "additionalProperties": st.booleans() | OBJECTS,
        "enum": VALUES,
        "$ref": TEXTS,
        "pattern": TEXTS,
        "maximum": st.floats(),
    },
)
CALLS = st.builds(
    ToolCall,
    id=st.sampled_from("ab"),
    name=st.sampled_from(["find", "fly"]),
    arguments=OBJECTS | st.just({"town": "Ely"}),
    arguments_raw=TEXTS | st.sampled_from(['{"town": "Ely"}', "{}"]),
    accepted=st.just({}) | st.dictionaries(TEXTS, st.lists(VALUES, max_size=2).map(tuple), max_size=1),
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.none() | TEXTS,
    tool_calls=st.lists(CALLS, max_size=2).map(tuple),
    tool_call_id=st.none() | st.sampled_from("ab"),
    facts=st.lists(
        st.builds(Fact, name=TEXTS, kind=st.sampled_from(["value", "boolean"]), forms=st.tuples(TEXTS)), max_size=1
    ).map(tuple),
    acts=st.lists(st.sampled_from(list(Act)), max_size=2).map(tuple),
    rationale=st.none() | TEXTS,
)
SOUND = st.just(
    (
        Message(role="user", content="A room in Ely."),
        Message(
            role="assistant",
            tool_calls=(ToolCall(id="1", name="find", arguments={"town": "Ely"}, arguments_raw='{"town": "Ely"}'),),
        ),
        Message(role="tool", tool_call_id="1", content="{}"),
        Message(role="assistant", content="Here."),
    )
)
CONVERSATIONS = st.builds(
    Conversation,
    id=TEXTS,
    source=st.just("s"),
    record_id=TEXTS,
    split=st.sampled_from(["train", "test_seen", "excluded"]),
    domains=st.lists(TEXTS, max_size=2).map(tuple),
    tools=st.lists(st.builds(ToolSpec, name=st.just("find"), parameters=SCHEMAS), max_size=2).map(tuple),
    messages=SOUND | st.lists(MESSAGES, max_size=5).map(tuple),
    metadata=st.just({}) | OBJECTS,
)


@pytest.fixture(scope="module")
def schemas() -> dict[str, pa.Schema]:
    return warehouse.arrow_schemas()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chunks")


@QUICK
@given(batch=st.lists(CONVERSATIONS, min_size=10, max_size=20))
def test_strange_conversations_are_stored_whole_or_quarantined(
    batch: list[Conversation], schemas: dict[str, pa.Schema], directory: Path
) -> None:
    plan = Plan(directory, schemas, evaluation_only=False)
    chunks = list(write_chunks("hostile", iter(batch), plan))
    assert sum(len(chunk.items) + chunk.rejected.total() for chunk in chunks) == len(batch)
    for chunk in chunks:
        for record in stored(chunk):
            one = Conversation.model_validate_json(record)
            assert rows.record_of(one) == record
            assert check(one) is None
            assert calls_are_valid(one)
    assert names(chunks) == names(list(write_chunks("hostile", iter(batch), plan)))


def stored(chunk: Chunk) -> list[str]:
    import pyarrow.parquet as pq

    if "conversations" not in chunk.files:
        return []
    return [str(record) for record in pq.read_table(chunk.files["conversations"]).column("record").to_pylist()]


def names(chunks: list[Chunk]) -> list[tuple[object, ...]]:
    return [(chunk.items, chunk.rejected, chunk.failed) for chunk in chunks]


def calls_are_valid(conversation: Conversation) -> bool:
    """By the slow library alone, whatever the quick one said."""
    tools = {tool.name: tool.parameters for tool in conversation.tools}
    return all(
        Draft202012Validator(tools[call.name]).is_valid(call.arguments)
        for message in conversation.messages
        for call in message.tool_calls
    )


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Some bytes replaced, dropped or doubled, or the end cut off."""
    broken = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(broken))
        match rng.randrange(4):
            case 0:
                broken[at] = rng.randrange(256)
            case 1:
                del broken[at : at + rng.choice([1, 40])]
            case 2:
                broken[at:at] = broken[at : at + 20]
            case _:
                del broken[max(at, len(broken) - 200) :]
        if not broken:
            return b""
    return bytes(broken)


def hostile_records(files: list[Path], wanted: int, rng: random.Random) -> Iterator[Any]:
    """``wanted`` records of these files, each broken and read again: still JSON, and otherwise quite something."""
    made = 0
    while made < wanted:
        for file in files:
            content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            for record in orjson.loads(content)[: wanted - made]:
                yield broken_record(orjson.dumps(record), rng)
                made += 1


def broken_record(content: bytes, rng: random.Random) -> Any:
    while True:
        try:
            return orjson.loads(flipped(content, rng))
        except orjson.JSONDecodeError:
            continue


def flipped_conversations(files: list[Path], schema: Path, seed: int) -> Iterator[Conversation | Quarantined]:
    services = read_services(schema)
    for number, record in enumerate(hostile_records(files, FLIPPED, random.Random(seed))):
        place = Place(f"train/{number}", "train", "train", schema, number)
        yield build(record, services, place, 3)[0]


def refuse_or_keep(items: Iterator[Conversation | Quarantined], plan: Plan) -> tuple[int, int]:
    """How many were kept, each one checked again here, and how many were quarantined."""
    kept = refused = 0
    for chunk in write_chunks("flipped", items, plan):
        for record in stored(chunk):
            one = Conversation.model_validate_json(record)
            assert check(one) is None
            assert calls_are_valid(one)
            kept += 1
        refused += chunk.rejected.total()
    return kept, refused


def test_byte_flips_in_records_reach_no_table_unchecked(schemas: dict[str, pa.Schema], tmp_path: Path) -> None:
    train = MINI / "train"
    items = flipped_conversations([train / "dialogues_001.json"], train / "schema.json", seed=0)
    kept, refused = refuse_or_keep(items, Plan(tmp_path, schemas, evaluation_only=False))
    print(f"flips of ours: {kept:,} kept, {refused:,} quarantined")
    assert kept + refused == FLIPPED
    assert refused > kept / 10


@pytest.mark.parametrize("seed", range(max(3, RECORDS // 2500)))
def test_byte_flips_in_files_never_stop_an_ingestion(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    for directory in ("train", "dev", "test"):
        (tmp_path / directory).mkdir()
        for file in sorted((MINI / directory).iterdir()):
            content = file.read_bytes()
            broken = content if file.name == "schema.json" or rng.random() < 0.3 else flipped(content, rng)
            (tmp_path / directory / file.name).write_bytes(broken)
    told = DataSettings(source="sgd", path=tmp_path, duplicates="report")
    try:
        report = ingest(told, Silent())
    except EmptyDataset:
        return
    assert all(check(one) is None for one in snapshot.read_conversations(report.dataset_version))
    assert ingest(told, Silent()).reused


def nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


def conversation(tool: ToolSpec, arguments: dict[str, Any], **changes: Any) -> Conversation:
    call = ToolCall(id="1", name="find", arguments=arguments, arguments_raw=orjson.dumps(arguments).decode())
    said = (
        Message(role="user", content="Go."),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="1", content="{}"),
        Message(role="assistant", content="Done."),
    )
    fixed: dict[str, Any] = {"id": "s/1", "source": "s", "record_id": "1", "split": "train", "domains": ()}
    return Conversation.model_validate({**fixed, "tools": (tool,), "messages": said, **changes})


OPEN = {"type": "object", "additionalProperties": True}


def reason(one: Conversation) -> str | None:
    found = checked_record(one)
    return None if isinstance(found, str) else found.reason


def test_what_is_too_deep_or_too_large_is_refused_with_the_reason() -> None:
    tool = ToolSpec(name="find", parameters=OPEN)
    assert reason(conversation(tool, nested(20))) is None
    assert reason(conversation(tool, nested(70))) == "too_deep"
    assert reason(conversation(tool, {}, metadata=nested(70))) == "too_deep"
    assert reason(conversation(tool, {}, metadata=nested(5000))) in ("too_deep", "not_storable")
    deep = ToolSpec(name="find", parameters={**OPEN, "default": nested(70)})
    assert reason(conversation(deep, {})) == "too_deep"
    assert reason(conversation(tool, {"x": "y" * MAX_RECORD_CHARACTERS})) == "too_large"
    assert reason(conversation(tool, {}, metadata={"x": float("nan")})) == "not_storable"
    broken = ToolSpec(name="find", parameters={**OPEN, "maximum": float("inf")})
    assert reason(conversation(broken, {})) == "invalid_tool_schema"


def test_a_tally_is_no_record(schemas: dict[str, pa.Schema], tmp_path: Path) -> None:
    (chunk,) = write_chunks("t", iter([Tally("x", 2), Tally("x", 3)]), Plan(tmp_path, schemas, evaluation_only=False))
    assert (chunk.tallies, chunk.items, chunk.files) == ({"x": 5}, [], {})


@pytest.mark.real
def test_byte_flips_in_real_records(
    shared_data: Callable[[str], Path], schemas: dict[str, pa.Schema], tmp_path: Path
) -> None:
    train = shared_data("sgd") / "train"
    items = flipped_conversations(sorted(train.glob("dialogues_*.json.gz")), train / "schema.json", seed=1)
    kept, refused = refuse_or_keep(items, Plan(tmp_path, schemas, evaluation_only=False))
    print(f"flips of real records: {kept:,} kept, {refused:,} quarantined")
    assert kept + refused == FLIPPED
