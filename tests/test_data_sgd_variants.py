"""SGD-X: every name of a dialogue is renamed alike, every call fits the renamed schema, and none counts as seen."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from data.ingest import ingest
from data.quality import check
from data.reporting import Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.snapshot import read_conversations
from data.sources import SOURCE_NAMES, SourceError, get_source
from data.sources.sgd.splits import RenamedRule

MINI = Path(__file__).parent / "fixtures" / "sgd"
DIRECTORIES = ("train", "dev", "test")
VARIANTS = ("v1", "v2", "v3", "v4", "v5")


def other_names(schema: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A made-up variant of a schema: all names spelled backwards, digits appended to services as SGD-X does."""

    def backwards(name: str) -> str:
        return f"x{name[::-1]}"

    return [
        {
            **service,
            "service_name": f"{service['service_name']}1",
            "slots": [{**slot, "name": backwards(slot["name"])} for slot in service["slots"]],
            "intents": [
                {
                    **intent,
                    "name": backwards(intent["name"]),
                    "required_slots": [backwards(name) for name in intent["required_slots"]],
                    "optional_slots": {backwards(name): value for name, value in intent["optional_slots"].items()},
                }
                for intent in service["intents"]
            ],
        }
        for service in schema
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The miniature with schemas of a variant v1 beside it."""
    root = tmp_path / "sgd"
    shutil.copytree(MINI, root)
    for directory in DIRECTORIES:
        schema = json.loads((root / directory / "schema.json").read_text(encoding="utf-8"))
        target = root / "sgd_x" / "data" / "v1" / directory
        target.mkdir(parents=True)
        (target / "schema.json").write_text(json.dumps(other_names(schema)), encoding="utf-8")
    return root


def read(source: str, path: Path, **changes: Any) -> list[Conversation | Quarantined]:
    return list(get_source(source).read(DataSettings(source=source, path=path, **changes), Silent()))


def conversations(source: str, path: Path, **changes: Any) -> dict[str, Conversation]:
    return {item.record_id: item for item in read(source, path, **changes) if isinstance(item, Conversation)}


# --- an account of our own: straight from the raw files, by position


def schemas(root: Path, variant: str, directory: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    original = json.loads((root / directory / "schema.json").read_text(encoding="utf-8"))
    renamed = json.loads((root / "sgd_x/data" / variant / directory / "schema.json").read_text(encoding="utf-8"))
    assert len(original) == len(renamed)
    return zip(original, renamed, strict=True)


def new_names(root: Path, variant: str, directory: str) -> dict[str, dict[str, str]]:
    """Old tool name → new tool name under "", old argument → new one under the old tool's service."""
    names: dict[str, dict[str, str]] = {"": {}}
    for old, new in schemas(root, variant, directory):
        names[old["service_name"]] = {a["name"]: b["name"] for a, b in zip(old["slots"], new["slots"], strict=True)}
        names[""] |= {
            f"{old['service_name']}_{a['name']}": f"{new['service_name']}_{b['name']}"
            for a, b in zip(old["intents"], new["intents"], strict=True)
        }
    return names


def raw_calls(
    root: Path, directory: str
) -> Iterator[tuple[str, list[tuple[str, dict[str, str], list[dict[str, Any]]]]]]:
    """(dialogue id, [(service.method, parameters, results)]) of every readable dialogue file."""
    for path in sorted((root / directory).glob("dialogues_*")):
        try:
            content = path.read_bytes()
            dialogues = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        except (EOFError, json.JSONDecodeError):  # the miniature has torn files
            continue
        for dialogue in (one for one in dialogues if isinstance(one, dict) and isinstance(one.get("turns"), list)):
            frames = [frame for turn in dialogue["turns"] for frame in turn["frames"] if "service_call" in frame]
            yield (
                dialogue["dialogue_id"],
                [
                    (
                        f"{f['service']}",
                        {"": f["service_call"]["method"], **f["service_call"]["parameters"]},
                        f["service_results"],
                    )
                    for f in frames
                ],
            )


def check_against_raw(found: dict[str, Conversation], root: Path, variant: str, directory: str) -> int:
    """Every call and result of the raw files, renamed here by position, is there; returns how many calls."""
    names = new_names(root, variant, directory)
    checked = 0
    for dialogue_id, calls in raw_calls(root, directory):
        conversation = found.get(f"{directory}/{dialogue_id}")
        if conversation is None:
            continue
        made = [call for message in conversation.messages for call in message.tool_calls]
        results = [json.loads(m.content or "") for m in conversation.messages if m.role == "tool"]
        assert len(made) == len(calls) == len(results)
        for call, result, (service, parameters, rows) in zip(made, results, calls, strict=True):
            slots = names[service]
            assert call.name == names[""][f"{service}_{parameters.pop('')}"]
            assert call.arguments == {slots[key]: value for key, value in parameters.items()}
            assert json.loads(call.arguments_raw) == call.arguments
            assert result["total"] == len(rows)
            assert result["results"] == [{slots[key]: value for key, value in row.items()} for row in rows[:3]]
            checked += 1
    return checked


def check_valid(conversation: Conversation) -> int:
    """Every call is to a tool on offer and fits its JSON Schema, unknown arguments forbidden."""
    tools = {tool.name: {**tool.parameters, "additionalProperties": False} for tool in conversation.tools}
    calls = [call for message in conversation.messages for call in message.tool_calls]
    for call in calls:
        jsonschema.validate(call.arguments, tools[call.name])
    return len(calls)


def leftovers(conversation: Conversation, root: Path, variant: str, directory: str) -> set[str]:
    """Old names of the conversation's services that stand anywhere but in what people said and in values."""
    pairs = [(o, n) for o, n in schemas(root, variant, directory) if n["service_name"] in conversation.domains]
    assert len(pairs) == len(set(conversation.domains))
    old = {o["service_name"] for o, _ in pairs}
    old |= {part["name"] for o, _ in pairs for key in ("slots", "intents") for part in o[key]}
    old -= {part["name"] for _, n in pairs for key in ("slots", "intents") for part in n[key]}
    said = list(conversation.domains)
    for tool in conversation.tools:
        said += [tool.name, *tool.parameters["properties"], *tool.parameters["required"]]
    for message in conversation.messages:
        said += [name for call in message.tool_calls for name in (call.name, *call.arguments)]
        said += [*message.requested, *(fact.name for fact in message.facts)]
        if message.role == "tool":
            said += [key for row in json.loads(message.content or "")["results"] for key in row]
        # In a rationale a slot's name is told from an English word by what stands around it.
        said += re.findall(r"\w+(?==)|\b\w+_\w+\b", message.rationale or "")
    services = tuple(f"{o['service_name']}_" for o, _ in pairs)
    return {name for name in said if name in old or name.startswith(services)}


# --- on the miniature


def test_all_five_variants_are_sources_for_evaluation_only() -> None:
    assert {f"sgd-x-{variant}" for variant in VARIANTS} <= set(SOURCE_NAMES)
    for variant in VARIANTS:
        source = get_source(f"sgd-x-{variant}")
        assert (source.name, source.evaluation_only) == (f"sgd-x-{variant}", True)
    assert not get_source("sgd").evaluation_only


def test_what_is_said_stays_and_every_name_changes(copy: Path) -> None:
    original, renamed = conversations("sgd", copy), conversations("sgd-x-v1", copy)
    lost = original.keys() - renamed.keys()
    assert {"train/1_00000"} <= renamed.keys() <= original.keys()
    assert all(check(original[record_id]) for record_id in lost)  # what names no known thing has no new name
    for record_id, conversation in renamed.items():
        before = original[record_id]
        assert [m.role for m in conversation.messages] == [m.role for m in before.messages]
        assert [m.acts for m in conversation.messages] == [m.acts for m in before.messages]
        texts = [[m.content for m in each.messages if m.role != "tool"] for each in (conversation, before)]
        assert texts[0] == texts[1]
        assert [len(m.facts) for m in conversation.messages] == [len(m.facts) for m in before.messages]
        assert [bool(m.rationale) for m in conversation.messages] == [bool(m.rationale) for m in before.messages]
        assert (conversation.id, conversation.source) == (f"sgd-x-v1/{record_id}", "sgd-x-v1")


def test_names_follow_in_requests_facts_rationales_results_and_tool_order(copy: Path) -> None:
    before, booking = (conversations(source, copy)["train/1_00000"] for source in ("sgd", "sgd-x-v1"))
    assert booking.domains == ("Kennels_11",)
    call = booking.messages[4].tool_calls[0]
    assert call.name == "Kennels_11_xlenneKdniF"
    assert call.arguments == {"xnwot": "Oakham", "xtep": "dog"}
    assert "Kennels_11_xlenneKdniF" in (booking.messages[4].rationale or "")
    assert "xnwot=Oakham" in (booking.messages[4].rationale or "")
    assert "xeman_lennek" in json.loads(booking.messages[5].content or "")["results"][0]
    assert ("xnwot",) in [message.requested for message in booking.messages]
    names = {fact.name for message in booking.messages for fact in message.facts}
    assert {"xeman_lennek", "xnedrag_sah", "count"} <= names
    mapping = new_names(copy, "v1", "train")[""]
    assert [tool.name for tool in booking.tools] == [mapping[tool.name] for tool in before.tools]


def test_calls_fit_the_renamed_schema_and_no_old_name_remains(copy: Path) -> None:
    found = conversations("sgd-x-v1", copy)
    checked = sum(check_against_raw(found, copy, "v1", directory) for directory in DIRECTORIES)
    assert checked >= 1
    calls = 0
    for record_id, conversation in found.items():
        assert not leftovers(conversation, copy, "v1", record_id.split("/")[0])
        if check(conversation) is None:  # the miniature has calls that never fitted
            calls += check_valid(conversation)
    assert calls >= 5


def test_the_checks_see_a_name_that_was_forgotten(copy: Path) -> None:
    booking = conversations("sgd-x-v1", copy)["train/1_00000"]
    old = conversations("sgd", copy)["train/1_00000"]
    mixed = booking.model_copy(update={"messages": (*booking.messages[:-2], *old.messages[-2:], old.messages[5])})
    assert leftovers(mixed, copy, "v1", "train") >= {"kennel_name"}


def test_renamed_services_are_never_seen(copy: Path) -> None:
    splits = {item.record_id: item.split for item in conversations("sgd-x-v1", copy).values()}
    assert {split for record, split in splits.items() if record.startswith("train/")} == {"excluded"}
    assert {split for record, split in splits.items() if record.startswith("test/")} == {"test_unseen"}
    assert {split for record, split in splits.items() if record.startswith("dev/")} == {"validation_unseen", "excluded"}


def test_a_dev_dialogue_with_a_service_of_test_alone_stays_out() -> None:
    rule = RenamedRule(train=frozenset({"A", "B"}), unseen_in_test=frozenset({"T"}))
    assert rule.split("dev", ["A", "New"]) == "validation_unseen"
    assert rule.split("dev", ["A", "T"]) == "excluded"


def test_a_limit_is_spread_over_validation_and_test(copy: Path) -> None:
    splits = [item.split for item in conversations("sgd-x-v1", copy, conversations=2).values()]
    assert sorted(splits) == ["test_unseen", "validation_unseen"]


def test_a_variant_is_ingested_without_a_train_split(copy: Path) -> None:
    report = ingest(DataSettings(source="sgd-x-v1", path=copy), Silent())
    assert set(report.conversations) == {"excluded", "test_unseen", "validation_unseen"}
    assert {one.source for one in read_conversations(report.dataset_version)} == {"sgd-x-v1"}


def test_quarantine_names_the_variant(copy: Path) -> None:
    rejected = [item for item in read("sgd-x-v1", copy) if isinstance(item, Quarantined)]
    assert rejected
    assert {item.source for item in rejected} == {"sgd-x-v1"}
    same = {(item.record_id, item.reason) for item in read("sgd", copy) if isinstance(item, Quarantined)}
    assert same < {(item.record_id, item.reason) for item in rejected}


def test_a_name_without_a_new_one_is_quarantined_not_kept(copy: Path) -> None:
    file = copy / "train" / "dialogues_001.json"
    dialogues = json.loads(file.read_text(encoding="utf-8"))
    frames = [f for turn in dialogues[0]["turns"] for f in turn["frames"] if f.get("service_results")]
    frames[0]["service_results"][0]["secret_column"] = "1"
    file.write_text(json.dumps(dialogues), encoding="utf-8")
    rejected = {item.record_id: item for item in read("sgd-x-v1", copy) if isinstance(item, Quarantined)}[
        f"train/{dialogues[0]['dialogue_id']}"
    ]
    assert rejected.reason == "cannot_rename"
    assert "secret_column" in rejected.detail


@pytest.mark.parametrize("spoil", ["services", "slots", "intents", "signature"])
def test_a_schema_in_another_order_is_refused(copy: Path, spoil: str) -> None:
    file = copy / "sgd_x/data/v1/train/schema.json"
    schema = json.loads(file.read_text(encoding="utf-8"))
    if spoil == "services":
        schema.pop()
    elif spoil == "signature":
        schema[0]["slots"].reverse()
    else:
        schema[0][spoil].pop()
    file.write_text(json.dumps(schema), encoding="utf-8")
    with pytest.raises(SourceError, match=r"schema\.json"):
        read("sgd-x-v1", copy)


def test_a_copy_without_the_variants_schemas_says_so() -> None:
    with pytest.raises(SourceError, match=r"sgd_x/data/v2/train/schema\.json"):
        read("sgd-x-v2", MINI)


def test_the_variants_schema_is_part_of_the_fingerprint(copy: Path) -> None:
    def fingerprints() -> tuple[str, str]:
        found = [get_source(s).fingerprint(DataSettings(source=s, path=copy)) for s in ("sgd", "sgd-x-v1")]
        return found[0], found[1]

    before = fingerprints()
    file = copy / "sgd_x/data/v1/test/schema.json"
    file.write_text(file.read_text(encoding="utf-8").replace("a ", "the "), encoding="utf-8")
    after = fingerprints()
    assert before[0] == after[0] != before[1] != after[1]


# --- on the real data


@pytest.mark.real
@pytest.mark.parametrize("variant", VARIANTS)
def test_real_variants_position_by_position(shared_data: Callable[[str], Path], tmp_path: Path, variant: str) -> None:
    root = tmp_path / "sgd"
    _some_of(shared_data("sgd"), root)
    found = conversations(f"sgd-x-{variant}", root)
    assert len(found) > 40
    checked = sum(check_against_raw(found, root, variant, directory) for directory in DIRECTORIES)
    valid = sum(check_valid(conversation) for conversation in found.values())
    assert checked == valid > 80
    for record_id, conversation in found.items():
        assert not leftovers(conversation, root, variant, record_id.split("/")[0])
        assert all(re.fullmatch(rf"[A-Za-z]+_\d{variant[1]}", domain) for domain in conversation.domains)
        assert conversation.split in ("excluded", "validation_unseen", "test_unseen")


def _some_of(origin: Path, root: Path) -> None:
    """A copy with all schemas and every tenth dialogue of some files of each directory."""
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True)
        (root / directory / "schema.json").symlink_to(origin / directory / "schema.json")
        for file in sorted((origin / directory).glob("dialogues_*.json.gz"))[::8]:
            dialogues = json.loads(gzip.decompress(file.read_bytes()))[::40]
            (root / directory / file.name).write_bytes(gzip.compress(json.dumps(dialogues).encode(), 1))
    (root / "sgd_x").symlink_to(origin / "sgd_x")
