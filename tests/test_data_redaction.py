"""Redaction: the hook sees every text before anything is stored, and pseudonyms stay the same wherever they stand."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import paths, snapshot
from data.decision_points import decision_points
from data.ingest import ingest
from data.pseudonyms import is_card, pseudonymise
from data.quality import check
from data.redaction import BUILT_IN, Redaction, RedactionError, load_redaction, redacted
from data.reporting import Silent
from data.schema import Conversation, Fact, Message, Quarantined, ToolCall, ToolSpec
from data.settings import DataSettings, RewardWeights
from data.sources.simulated import Simulated
from data.versions import compute_version
from models.rewards.gold import audit
from models.rewards.variants import load_reward

GRADED = load_reward("graded", RewardWeights())
SECRETS = ("mara.voss@post.example", "(415) 555-0123", "4155550123", "4111 1111 1111 1111", "4111111111111111")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRENTICE_REDACTION_KEY", "a key of the tests")


# --- pseudonyms


@pytest.mark.parametrize(
    "text",
    [
        "mail mara.voss@post.example, please",
        "Mara.Voss+x@sub.post.example.",
        "call (415) 555-0123",
        "+1 415-555-0123",
        "1-415-555-0123 or 415.555.0123",
        "4155550123",
        "555-0123",
        "+44 20 7946 0958",
        "0044 20 7946 0958",
        "020 7946 0958",
        "0171/2345678",
        "+49 (30) 901820",
        "4111 1111 1111 1111",
        "card 4111-1111-1111-1111!",
        "378282246310005",
    ],
)
def test_what_identifies_is_replaced(text: str) -> None:
    changed = pseudonymise(text)
    found = re.findall(r"[\d@][\d@ ().+/-]{5,}[\d@]|[\w.+-]+@[\w.]+", text)
    assert changed != text
    assert not any(piece in changed for piece in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "on 2019-03-01 at 17:30",
        "from 03/01/2019 to 2019-03-12 18:00",
        "room 1204, $1,234.56, 37.7749, -122.4194",
        "flight 815, 10:30 am, 4 stars, 94103-1234",
        "2019-03-01T17:30:00Z 1551398400",
        "order 123456789",
        "version 1.2.3.4 and 192.168.10.254",
        "not@ an address, @handle, a@b",
        "4111 1111 1111 1112 has a wrong check digit",
    ],
)
def test_what_does_not_identify_stays_to_the_letter(text: str) -> None:
    assert pseudonymise(text) == text


def test_one_number_is_one_pseudonym_however_it_is_spelled() -> None:
    spelled = ["+1 415-555-0123", "(415) 555-0123", "4155550123", "415.555.0123", "555-0123"]
    tails = {re.sub(r"\D", "", pseudonymise(text))[-7:] for text in spelled}
    assert len(tails) == 1
    assert tails != {"5550123"}
    assert pseudonymise("Mara.Voss@Post.Example") == pseudonymise("mara.voss@post.example")
    assert pseudonymise("mara.voss@post.example") != pseudonymise("mara.vos@post.example")
    cards = {re.sub(r"\D", "", pseudonymise(text)) for text in ("4111 1111 1111 1111", "4111111111111111")}
    assert len(cards) == 1


def test_form_is_kept_so_that_schemas_and_validators_accept_it() -> None:
    assert re.fullmatch(r"\(415\) [2-9]\d\d-\d{4}", pseudonymise("(415) 555-0123"))
    card = pseudonymise("4111 1111 1111 1111")
    assert re.fullmatch(r"4\d{3} \d{4} \d{4} \d{4}", card)
    assert is_card(re.sub(" ", "", card))
    assert re.fullmatch(r"[\w-]+@example\.com", pseudonymise("mara.voss@post.example"))


@given(st.from_regex(r"[2-9]\d\d-[2-9]\d\d-\d{4}", fullmatch=True), st.text(" abc.,!?\n", max_size=5))
def test_a_phone_number_never_survives(number: str, around: str) -> None:
    changed = pseudonymise(f"{around} {number} {around}")
    assert number not in changed
    assert changed.startswith(f"{around} ")
    assert pseudonymise(number) in changed


def test_another_key_gives_other_pseudonyms_and_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DataSettings(redact=BUILT_IN)
    before = pseudonymise("555-0123"), compute_version("s", "f", settings)
    assert compute_version("s", "f", settings) == before[1]
    assert compute_version("s", "f", DataSettings()) != before[1]
    monkeypatch.setenv("APPRENTICE_REDACTION_KEY", "another")
    assert pseudonymise("555-0123") != before[0]
    assert compute_version("s", "f", settings) != before[1]


def test_without_a_key_one_is_made_for_the_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPRENTICE_REDACTION_KEY")
    assert pseudonymise("555-0123") == pseudonymise("555-0123") != "555-0123"
    assert paths.redaction_key().stat().st_mode & 0o077 == 0


# --- the hook


def personal() -> Conversation:
    """A conversation with the same person in every place that can hold one."""
    call = {"email": "mara.voss@post.example", "phone": "(415) 555-0123", "number": 4155550123}
    card = {"card": "4111111111111111"}
    results = {"results": [{"contact": "Mara.Voss@post.example\n4155550123", **card}], "total": 1}
    schema = {"email": {"type": "string"}, "phone": {"type": "string"}, "number": {"type": "integer"}}
    offered = {**schema, "phone": {"type": "string", "enum": ["(415) 555-0123", "none"]}}
    return Conversation(
        id="mine/mara.voss@post.example",
        source="mine",
        record_id="mara.voss@post.example",
        split="train",
        domains=("crm",),
        tools=(
            ToolSpec(
                name="find", description="Ask 555-0123 for help", parameters={"type": "object", "properties": offered}
            ),
        ),
        messages=(
            Message(role="system", content="You help."),
            Message(role="user", content="I am mara.voss@post.example, call me at (415) 555-0123 or 415-555-0123."),
            Message(
                role="assistant",
                tool_calls=(ToolCall(id="c1", name="find", arguments=call, arguments_raw=json.dumps(call)),),
                rationale="Known: phone=(415) 555-0123.",
            ),
            Message(role="tool", tool_call_id="c1", content=json.dumps(results).replace("@", "\\u0040")),
            Message(
                role="assistant",
                content="Your card is 4111 1111 1111 1111, and I have (415) 555-0123.",
                facts=(
                    Fact(name="card", kind="value", forms=("4111 1111 1111 1111", "4111111111111111")),
                    Fact(name="phone", kind="value", forms=("(415) 555-0123",)),
                ),
            ),
        ),
        metadata={"agent": {"mail": "mara.voss@post.example"}, "score": 0.5, "done": True},
    )


def one(item: Conversation | Quarantined, hook: Redaction | None = None) -> Any:
    (found,) = redacted([item], hook or load_redaction(BUILT_IN))
    return found


def test_nothing_personal_is_left_anywhere_and_the_record_stays_sound() -> None:
    found = one(personal())
    text = found.model_dump_json()
    for secret in (*SECRETS, "voss", "555-0123", "5550123"):
        assert secret not in text.replace("\\\\u0040", "@").lower()
    assert check(found) is None
    assert check(personal()) is None


def test_calls_results_facts_and_words_speak_of_the_same_pseudonyms() -> None:

    found = one(personal())
    _, user, call, result, answer = found.messages
    arguments = call.tool_calls[0].arguments
    assert arguments["email"] in user.content
    assert arguments["phone"] in user.content
    assert json.loads(call.tool_calls[0].arguments_raw) == arguments
    assert str(arguments["number"]) == re.sub(r"\D", "", arguments["phone"])
    assert isinstance(arguments["number"], int)
    assert arguments["phone"] in found.tools[0].parameters["properties"]["phone"]["enum"]
    row = json.loads(result.content)["results"][0]
    assert row["contact"].split("\n") == [arguments["email"], str(arguments["number"])]
    assert row["card"] == answer.facts[0].forms[1]
    assert all(fact.forms[0] in answer.content for fact in answer.facts)
    assert found.record_id == found.metadata["agent"]["mail"] == arguments["email"]
    assert audit(decision_points(found), GRADED).failures == audit(decision_points(personal()), GRADED).failures


def test_a_conversation_without_personal_data_is_the_same_to_the_byte(tiny_conversations: list[Conversation]) -> None:
    assert list(redacted(tiny_conversations, load_redaction(BUILT_IN))) == tiny_conversations


def test_details_of_rejected_records_are_redacted_too() -> None:
    found = one(Quarantined(source="s", record_id="mara@post.example", reason="r", detail="turn 'call 555-0123'"))
    assert "555-0123" not in found.detail
    assert "mara" not in found.record_id


def hook(function: Callable[[str], Any]) -> Redaction:
    return Redaction("tests:hook", function)


def test_a_hook_that_fails_lets_nothing_pass() -> None:
    def fails(text: str) -> str:
        raise ValueError(text)

    for function in (fails, lambda text: None):
        found = one(personal(), hook(function))
        assert isinstance(found, Quarantined)
        assert found.reason == "redaction_failed"
        assert "voss" not in found.model_dump_json()


def test_a_users_own_function_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "own_redaction.py"
    module.write_text("def clean(text):\n    return text.replace('Mara', 'X')\n", encoding="utf-8")
    loaded = load_redaction("own_redaction:clean")
    try:
        assert loaded.function("Mara") == "X"
        before = compute_version("s", "f", DataSettings(redact="own_redaction:clean"))
        module.write_text("def clean(text):\n    return text.replace('Mara', 'Y')\n", encoding="utf-8")
        assert compute_version("s", "f", DataSettings(redact="own_redaction:clean")) != before
    finally:
        sys.modules.pop("own_redaction")
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    "spec", ["nonsense", "no_such_module:f", "data.pseudonyms:nothing", "data.pseudonyms:KEY_VARIABLE"]
)
def test_a_hook_that_cannot_be_used_stops_before_anything_is_read(spec: str) -> None:
    with pytest.raises(RedactionError, match=r"data\.redact="):
        ingest(DataSettings(redact=spec), Silent())
    assert snapshot.latest() is None


# --- through an ingestion


class Personal(Simulated):
    """A source of one conversation full of personal data, and one rejected record that quotes some."""

    name = "personal"

    def read(self, settings: DataSettings, reporter: Any) -> Iterator[Conversation | Quarantined]:
        yield personal()
        yield Quarantined(
            source="personal", record_id="2", reason="unknown_act", detail="turn 'mara.voss@post.example'"
        )
        yield personal().model_copy(update={"id": "mine/3", "record_id": "3", "domains": ("voss",), "messages": ()})


def test_no_file_under_var_holds_what_was_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    from data import ingest as ingest_module

    monkeypatch.setattr(ingest_module, "get_source", lambda name: Personal())
    plain = ingest(DataSettings(conversations=1), Silent()).dataset_version
    private = ingest(DataSettings(conversations=1, redact=BUILT_IN), Silent()).dataset_version
    assert plain != private

    def stored(version: str) -> str:
        tables = [pq.read_table(file).to_pylist() for file in paths.dataset(version).glob("*.parquet")]
        return json.dumps(tables, default=str)

    assert all(secret in stored(plain) for secret in SECRETS)
    assert not any(secret in stored(private) for secret in (*SECRETS, "555-0123"))


@pytest.mark.real
def test_real_gold_is_as_right_as_before(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    from data.sources import get_source

    for directory in ("train", "dev"):
        (tmp_path / directory).mkdir()
        for name in ("schema.json", "dialogues_001.json.gz"):
            (tmp_path / directory / name).symlink_to(shared_data("sgd") / directory / name)
    settings = DataSettings(source="sgd", path=tmp_path, conversations=60)
    before = [item for item in get_source("sgd").read(settings, Silent()) if isinstance(item, Conversation)]
    after = [item for item in redacted(before, load_redaction(BUILT_IN)) if isinstance(item, Conversation)]
    assert len(after) == len(before)
    assert before != after  # places have phone numbers
    for conversation in after:
        assert check(conversation) is None
    reports = [audit([p for c in each for p in decision_points(c)], GRADED) for each in (before, after)]
    assert reports[0].failures == reports[1].failures
