"""Anybody's own conversations: OpenAI chat messages with ``tools``, or ShareGPT/Hermes ones, as JSON lines or Parquet.

    {"messages": [...], "tools": [...], "metadata": {"id": "4711", "domain": "booking", "facts": [...]}}

Everything in ``metadata`` is optional and kept. ``id`` names the conversation (else its content does), ``domain`` says
what it is about (a share of the domains is held out of training, to judge on unseen ones), ``facts`` states what
answers must convey: ``{"message": 5, "name": "price", "value": "$120", "forms": ["120 dollars"]}``, counting messages
from 0. Where none is stated for an answer they are derived from its tool results, see data/mapping/facts.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.mapping import sharegpt
from data.mapping.facts import with_derived_facts
from data.mapping.files import Read, fingerprint, read_records, record_files
from data.mapping.limiting import limited
from data.mapping.openai import messages_of, tools_of
from data.mapping.rationales import with_derived_rationales
from data.mapping.turns import joined
from data.reporting import Reporter
from data.schema import Conversation, Fact, Message, Quarantined
from data.settings import DataSettings
from data.sources.base import Unusable
from data.splits import content_key, split_by_content

EXPECTED = "a file or folder of .jsonl, .json (each also .gz) or .parquet with OpenAI messages and tools"
_TELL_EVERY = 500  # records


class OpenAIConversations:
    """Conversations in OpenAI's or ShareGPT's form."""

    name = "openai"
    evaluation_only = False

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over the bytes of all files."""
        return fingerprint(record_files(settings.path, self.name, EXPECTED))

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield every conversation of the files and what was quarantined on the way."""
        files = record_files(settings.path, self.name, EXPECTED)
        reporter.phase("reading conversations", unit="records")
        yield from limited(lambda: self._all(files, settings, reporter), settings.conversations, reporter)

    def _all(
        self, files: list[Path], settings: DataSettings, reporter: Reporter
    ) -> Iterator[Conversation | Quarantined]:
        records = (read for file in files for read in read_records(file, under=settings.path))
        for number, read in enumerate(records, start=1):
            yield self.conversation(read, domains_from=settings.domains_from)
            if number % _TELL_EVERY == 0:
                reporter.update(number)

    def conversation(self, read: Read, *, domains_from: str = "metadata") -> Conversation | Quarantined:
        """The conversation of one record, or why it has none. Never raises, whatever the record holds."""
        if read.reason is not None:
            return self._rejected(read.place, read.reason, read.detail)
        record_id = _stated_id(read.record)
        try:
            return _conversation(self.name, read.record, record_id, domains_from)
        except Unusable as error:
            return self._rejected(record_id or read.place, error.reason, error.detail)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            return self._rejected(record_id or read.place, "not_a_conversation", f"{where}: {first['msg']}")

    def _rejected(self, record_id: str, reason: str, detail: str) -> Quarantined:
        return Quarantined(source=self.name, record_id=record_id, reason=reason, detail=detail)


def _stated_id(record: Any) -> str | None:
    """The id a record states: ``metadata.id``, ``id`` or ``conversation_id``."""
    if not isinstance(record, dict):
        return None
    metadata = record.get("metadata")
    inner = metadata.get("id") if isinstance(metadata, dict) else None
    places = (inner, record.get("id"), record.get("conversation_id"))
    return next((str(place) for place in places if isinstance(place, str | int) and place != ""), None)


def _conversation(source: str, record: Any, record_id: str | None, domains_from: str) -> Conversation:
    if not isinstance(record, dict):
        raise Unusable("not_a_conversation", f"a record is an object, not {type(record).__name__}")
    if "messages" not in record and "conversations" in record:
        record = sharegpt.as_openai(record)
    written = record.get("messages")
    if not isinstance(written, list) or not written:
        raise Unusable("not_a_conversation", "the record has no list of messages (or ShareGPT conversations)")
    metadata = _metadata(record)
    tools = tools_of(record.get("tools", record.get("functions")))
    messages = _with_stated_facts(messages_of(written), metadata.get("facts"))
    turns, count = joined(messages)
    turns = with_derived_rationales(with_derived_facts(turns), tools)
    domains = tuple(tool.name for tool in tools) if domains_from == "tools" else _domains(metadata)
    kept = {name: value for name, value in metadata.items() if name not in ("id", "facts")}
    conversation = Conversation(
        id="",
        source=source,
        record_id="",
        split="excluded",
        domains=domains,
        tools=tools,
        messages=turns,
        metadata={**kept, "joined_messages": count} if count else kept,
    )
    name = record_id or f"content-{content_key(conversation)[:16]}"
    split = split_by_content(conversation)
    return conversation.model_copy(update={"id": f"{source}/{name}", "record_id": name, "split": split})


def _metadata(record: dict[str, Any]) -> dict[str, Any]:
    metadata = record.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise Unusable("malformed_metadata", f"metadata is an object, not {type(metadata).__name__}")
    return metadata


def _domains(metadata: dict[str, Any]) -> tuple[str, ...]:
    stated = metadata.get("domains", metadata.get("domain"))
    if stated is None:
        return ()
    listed = stated if isinstance(stated, list) else [stated]
    if not all(isinstance(domain, str) and domain for domain in listed):
        raise Unusable("malformed_metadata", "metadata.domain is a name, metadata.domains a list of names")
    return tuple(dict.fromkeys(listed))


def _with_stated_facts(messages: tuple[Message, ...], stated: Any) -> tuple[Message, ...]:
    """The messages with the facts their record states; each must belong to an answer."""
    if stated is None:
        return messages
    if not isinstance(stated, list):
        raise Unusable("malformed_facts", "metadata.facts is a list of {message, name, value}")
    facts: dict[int, list[Fact]] = {}
    for entry in stated:
        index, fact = _fact(entry)
        if not 0 <= index < len(messages) or messages[index].role != "assistant" or messages[index].tool_calls:
            raise Unusable("malformed_facts", f"fact {fact.name} belongs to message {index}, which is no answer")
        facts.setdefault(index, []).append(fact)
    return tuple(
        message.model_copy(update={"facts": tuple(facts.get(index, ())), "derived": index not in facts})
        if message.role == "assistant" and not message.tool_calls
        else message
        for index, message in enumerate(messages)
    )


def _fact(entry: Any) -> tuple[int, Fact]:
    index = entry.get("message") if isinstance(entry, dict) else None
    if not isinstance(index, int) or isinstance(index, bool):
        raise Unusable("malformed_facts", "a fact names its message by number, counting from 0")
    value, forms = entry.get("value"), entry.get("forms", [])
    if not isinstance(forms, list):
        raise Unusable("malformed_facts", "forms is a list of spellings")
    kind = "boolean" if isinstance(value, bool) else entry.get("kind", "value")
    spellings = [*([] if value is None else [value]), *forms]
    written = tuple(dict.fromkeys(str(form) for form in spellings if str(form).strip()))
    return index, Fact.model_validate({"name": entry.get("name", "value"), "kind": kind, "forms": written})


SOURCE = OpenAIConversations()
