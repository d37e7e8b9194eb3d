"""Conversations of the practice source: repeatable, valid, grounded, varied, and split without leaking tools."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import jsonschema
import pytest

from data.decision_points import decision_points
from data.practice.declarations import Slot
from data.practice.domains import DOMAINS
from data.quality import check
from data.reporting import Silent
from data.schema import ASKING_ACTS, SPLITS, Conversation, Fact, Message
from data.settings import DataSettings
from data.sources.simulated import SOURCE, split_of

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {name: tool.domain for domain in DOMAINS.values() for name, tool in domain.tools.items()}
SEEN = {"hotel", "bank", "telecom", "retail"}
IN_VALIDATION = {"spa", "roaming", "clinic"}
IN_TEST = {"shuttle", "dispute", "cancel", "municipal"}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DIGEST = """
import hashlib
from data.reporting import Silent
from data.settings import DataSettings
from data.sources.simulated import SOURCE
rows = [c.model_dump_json() for c in SOURCE.read(DataSettings(conversations=60, seed=5), Silent())]
print(hashlib.sha256("\\n".join(rows).encode()).hexdigest())
"""


def read(**changes: object) -> list[Conversation]:
    settings = DataSettings.model_validate(changes)
    return [conversation for conversation in SOURCE.read(settings, Silent()) if isinstance(conversation, Conversation)]


@pytest.fixture(scope="module")
def conversations() -> list[Conversation]:
    return read(conversations=500)


def assistant(conversations: list[Conversation]) -> list[Message]:
    return [message for c in conversations for message in c.messages if message.role == "assistant"]


def test_same_seed_same_bytes_in_any_process():
    digests = set()
    for hash_seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout.strip())
    rows = [conversation.model_dump_json() for conversation in read(conversations=60, seed=5)]
    digests.add(hashlib.sha256("\n".join(rows).encode()).hexdigest())
    assert len(digests) == 1


def test_another_seed_is_another_world_and_another_fingerprint():
    assert read(conversations=1, seed=0) != read(conversations=1, seed=1)
    prints = [
        SOURCE.fingerprint(DataSettings(seed=seed, conversations=n)) for seed, n in ((0, 9), (1, 9), (0, 8), (0, 9))
    ]
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3


def test_fewer_conversations_are_the_first_of_more(conversations: list[Conversation]):
    assert read(conversations=10) == conversations[:10]
    assert [c.id for c in conversations[:2]] == ["simulated/0", "simulated/1"]


def test_nothing_is_quarantined_and_every_call_fits_its_schema(conversations: list[Conversation]):
    assert [check(conversation) for conversation in conversations if check(conversation)] == []
    for conversation in conversations:
        for message in conversation.messages:
            for call in message.tool_calls:
                tool = conversation.tool(call.name)
                assert tool is not None
                schema = {**tool.parameters, "additionalProperties": False}
                jsonschema.validate(call.arguments, schema, format_checker=jsonschema.FormatChecker())
                assert json.loads(call.arguments_raw) == call.arguments


def test_argument_types_are_real():
    kinds = {
        (sub["type"], "enum" if "enum" in sub else sub.get("format", ""))
        for domain in DOMAINS.values()
        for tool in domain.tools.values()
        for sub in tool.spec.parameters["properties"].values()
    }
    assert {("string", ""), ("integer", ""), ("boolean", ""), ("string", "enum"), ("string", "date")} <= kinds


def test_splits_have_their_shares_and_even_a_few_conversations_fill_them(conversations: list[Conversation]):
    counts = Counter(conversation.split for conversation in conversations)
    assert counts == {
        "train": 280,
        "validation_seen": 60,
        "validation_unseen": 60,
        "test_seen": 30,
        "test_unseen": 40,
        "test_mixed": 30,
    }
    assert {split_of(number) for number in range(24)} == set(SPLITS) - {"excluded"}


def test_held_out_tools_are_neither_offered_nor_called_nor_named_before(conversations: list[Conversation]):
    assert sum(len(domain.tools) for domain in DOMAINS.values()) == len(FAMILIES)  # no name twice
    assert {*FAMILIES.values()} == SEEN | IN_VALIDATION | IN_TEST
    allowed = {
        "train": SEEN,
        "validation_seen": SEEN,
        "test_seen": SEEN,
        "validation_unseen": SEEN | IN_VALIDATION,
        "test_unseen": SEEN | IN_TEST,
        "test_mixed": SEEN | IN_TEST,
    }
    held_out = [name for name, family in FAMILIES.items() if family not in SEEN]
    assert len(held_out) >= 20
    for conversation in conversations:
        assert {FAMILIES[tool.name] for tool in conversation.tools} <= allowed[conversation.split]
        if conversation.split == "train":
            assert not any(f'"{name}"' in conversation.model_dump_json() for name in held_out)
    met = {split: {name for c in conversations if c.split == split for name in c.domains} for split in allowed}
    assert met["train"] == met["validation_seen"] == met["test_seen"] == SEEN
    assert met["validation_unseen"] == IN_VALIDATION
    assert met["test_unseen"] == IN_TEST
    for conversation in conversations:
        if conversation.split == "test_mixed":
            assert len({*conversation.domains} & SEEN) == len({*conversation.domains} & IN_TEST) == 1


def test_decision_points_count_under_the_domain_of_their_tool(conversations: list[Conversation]):
    for conversation in conversations:
        for point in decision_points(conversation):
            assert point.domain in conversation.domains
            if point.tool and FAMILIES[point.tool] in {"spa", "roaming", "shuttle", "dispute", "cancel"}:
                assert point.domain == FAMILIES[point.tool]


def test_offered_tools_vary_in_number_choice_and_order(conversations: list[Conversation]):
    offers = [tuple(tool.name for tool in conversation.tools) for conversation in conversations]
    assert {len(offer) for offer in offers} >= {3, 4}
    assert len(set(offers)) > 150
    for conversation in conversations:
        called = {call.name for message in conversation.messages for call in message.tool_calls}
        assert len(conversation.tools) > len(called)


def test_about_half_of_the_turns_are_calls(conversations: list[Conversation]):
    messages = assistant(conversations)
    assert 0.4 <= sum(bool(message.tool_calls) for message in messages) / len(messages) <= 0.55
    for conversation in conversations:
        kinds = {bool(message.tool_calls) for message in conversation.messages if message.role == "assistant"}
        assert kinds == {True, False}
        assert 4 <= len(conversation.messages) <= 48


def test_language_is_varied(conversations: list[Conversation]):
    users = [message.content for c in conversations for message in c.messages if message.role == "user"]
    answers = [message.content for message in assistant(conversations) if message.content]
    assert len(set(users)) > 2 * len(conversations)
    assert len(set(users)) / len(users) > 0.6
    assert len(set(answers)) / len(answers) > 0.8
    assert not [text for text in [*users, *answers] if text and re.search(r"[\[\]{}|]|\s,|,,|,\.|  ", text)]


def test_answers_that_ask_hold_a_question_mark(conversations: list[Conversation]):
    for message in assistant(conversations):
        if ASKING_ACTS & set(message.acts) or "confirm" in message.acts:
            assert "?" in (message.content or "")
        assert ("request" in message.acts) == bool(message.requested)


def test_every_fact_is_spoken_and_grounded(conversations: list[Conversation]):
    for conversation in conversations:
        slots = DOMAINS[conversation.metadata["task"].split("/")[0]].slots
        for index, message in enumerate(conversation.messages):
            text = (message.content or "").lower()
            for fact in message.facts:
                spoken = fact.name if fact.kind == "boolean" else fact.forms[0]
                assert spoken.lower() in text, (conversation.id, index, fact)
                before = conversation.messages[:index]
                assert grounded(fact, slots.get(fact.name), before), (conversation.id, index, fact)


def grounded(fact: Fact, slot: Slot | None, history: tuple[Message, ...]) -> bool:
    """Whether a form, its number or the user's word for it came before, or a date follows from what the user said."""
    parts = [message.content or "" for message in history]
    parts += [call.arguments_raw for message in history for call in message.tool_calls]
    known = "\n".join(parts).lower()
    if fact.kind == "boolean":
        return fact.name in known
    numbers = re.findall(r"\d+", fact.forms[0]) if slot and slot.kind == "count" else []
    if any(form.lower() in known for form in fact.forms) or any(re.search(rf"\b{n}\b", known) for n in numbers):
        return True
    for value, synonyms in slot.synonyms.items() if slot else ():
        if fact.forms == slot.forms(value) and any(words.lower() in known for words in synonyms):
            return True
    return slot is not None and slot.kind == "date" and fact.forms[-1] in relative_dates(history)


def relative_dates(history: tuple[Message, ...]) -> set[str]:
    """The days that relative words of the user mean, worked out from the date in the system message."""
    today = date.fromisoformat(re.findall(r"\d{4}-\d\d-\d\d", history[0].content or "")[0])
    assert WEEKDAYS[today.weekday()].capitalize() in (history[0].content or "")
    said = " ".join(message.content or "" for message in history if message.role == "user").lower()
    days = {today + timedelta(days=n) for n, word in enumerate(("today", "tomorrow")) if word in said}
    for number, weekday in enumerate(WEEKDAYS):
        if f"{weekday} next week" in said:
            days.add(today + timedelta(days=7 - today.weekday() + number))
        if weekday in said:
            days.add(today + timedelta(days=(number - today.weekday()) % 7 or 7))
    return {day.isoformat() for day in days}


def test_every_assistant_message_has_a_short_rationale_with_its_arguments(conversations: list[Conversation]):
    for message in assistant(conversations):
        rationale = message.rationale or ""
        assert 0 < len(rationale.split()) <= 40
        for call in message.tool_calls:
            for value in call.arguments.values():
                assert str(value).lower() in rationale.lower()


def test_results_keep_at_most_the_rows_asked_for():
    for conversation in read(conversations=60, max_result_rows=2):
        for message in conversation.messages:
            if message.role == "tool":
                assert len(json.loads(message.content or "").get("results", [])) <= 2
