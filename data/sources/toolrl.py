"""ToolRL's SFT rows (Qian et al. 2025, arXiv 2504.13958): one action each, with the thought of DeepSeek-R1 behind it.

The thought becomes the rationale of the action, so these rows are a second way to prime a model to think. Tools come in
prose (name, description, parameters without a word on which are required), the history in tags; thoughts inside the
history are upstream's placeholder and are dropped, as no history carries reasoning here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.mapping.facts import with_derived_facts
from data.mapping.files import Read, fingerprint, read_records
from data.mapping.json_schema import schema_of_type
from data.mapping.limiting import limited
from data.mapping.openai import tool_call
from data.mapping.plain_json import NotJson, parse
from data.mapping.turns import joined
from data.reporting import Reporter
from data.schema import Conversation, Message, Quarantined, ToolCall, ToolSpec
from data.settings import DataSettings
from data.sources.base import SourceError, Unusable
from data.splits import content_key, split_by_content

EXPECTED = "a folder with rlla_sft*.json (or .json.gz)"
SYSTEM = "You are a helpful assistant who uses the tools on offer where they help, several at once if need be."
_TOOLS = re.compile(r"\*\*Available Tools\*\*\n[^\n]*\n(.*?)\n\n\*\*", re.DOTALL)
_TOOL = re.compile(r"\d+\. Name: (.*?)\nDescription: (.*?)\nParameters: (.*)", re.DOTALL)
_BLOCK = re.compile(r"<(user|think|tool_call|obs|response)>(.*?)</\1>", re.DOTALL)


class ToolRL:
    """The rows of ``rlla_sft.json``."""

    name = "toolrl"
    evaluation_only = False

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over the bytes of the files."""
        return fingerprint(_files(settings.path))

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield every row as a conversation that ends on its action, and what was quarantined on the way."""
        files = _files(settings.path)
        reporter.phase("reading toolrl", unit="rows")
        yield from limited(lambda: self._all(files), settings.conversations, reporter)

    def _all(self, files: list[Path]) -> Iterator[Conversation | Quarantined]:
        for file in files:
            yield from map(self.conversation, read_records(file))

    def conversation(self, read: Read) -> Conversation | Quarantined:
        """The conversation of one row, or why it has none. Never raises, whatever the row holds."""
        try:
            if read.reason is not None:
                raise Unusable(read.reason, read.detail)
            return _conversation(read.record)
        except Unusable as error:
            return self._rejected(read.place, error.reason, error.detail)
        except ValidationError as error:
            return self._rejected(read.place, "not_a_conversation", error.errors()[0]["msg"])

    def _rejected(self, record_id: str, reason: str, detail: str) -> Quarantined:
        return Quarantined(source=self.name, record_id=record_id, reason=reason, detail=detail)


def _conversation(row: Any) -> Conversation:
    texts = [row.get(name) for name in ("instruction", "input", "output")] if isinstance(row, dict) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise Unusable("not_a_conversation", "a row has the texts instruction, input and output")
    instruction, history, output = map(str, texts)
    reader = _Reader()
    system = Message(role="system", content=SYSTEM)
    before = [message for message in reader.messages(history) if message.role != "system"]
    told = [message.model_copy(update={"rationale": None}) for message in before]
    action = reader.messages(output)
    if len(action) != 1 or action[0].role != "assistant":
        raise Unusable("not_one_action", f"output holds {len(action)} messages, not one action")
    turns, _ = joined([system, *told])
    conversation = Conversation(
        id="",
        source="toolrl",
        record_id="",
        split="excluded",
        domains=(),
        tools=_tools(instruction),
        messages=with_derived_facts([*turns, action[0]]),
    )
    name = f"content-{content_key(conversation)[:16]}"
    split = split_by_content(conversation)
    return conversation.model_copy(update={"id": f"toolrl/{name}", "record_id": name, "split": split})


class _Reader:
    """Reads tagged text into messages, numbering calls on."""

    def __init__(self) -> None:
        self._calls = 0
        self._open: tuple[ToolCall, ...] = ()

    def messages(self, text: str) -> list[Message]:
        """Messages in order: a thought, calls and a response in a row are one assistant message."""
        found: list[Message] = []
        for tag, content in _blocks(text):
            match tag:
                case "user":
                    found.append(Message(role="user", content=content))
                case "obs":
                    found += self._results(content)
                case _:
                    self._extend(found, tag, content)
        return found

    def _extend(self, found: list[Message], tag: str, content: str) -> None:
        """Add a think, tool_call or response block to the assistant message that is being written."""
        begun = found and found[-1].role == "assistant" and not (tag == "think" or found[-1].content)
        message = found.pop() if begun else Message(role="assistant")
        if tag == "think":
            message = message.model_copy(update={"rationale": content or None})
        elif tag == "response":
            message = message.model_copy(update={"content": content})
        else:
            self._open = tuple(self._call(line) for line in content.splitlines() if line.strip())
            message = message.model_copy(update={"tool_calls": self._open})
        found.append(message)

    def _call(self, line: str) -> ToolCall:
        self._calls += 1
        try:
            entry = parse(line)
        except NotJson as error:
            raise Unusable("malformed_call", f"a line of tool_call is not JSON ({error}): {line[:80]}") from error
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Unusable("malformed_call", f"a call has a name and parameters: {line[:80]}")
        return tool_call(f"call_{self._calls}", entry["name"], entry.get("parameters"))

    def _results(self, content: str) -> list[Message]:
        """One result per open call: entries of the list are matched by order, a single text answers all."""
        try:
            entries = parse(content)
        except NotJson:
            entries = None
        calls, self._open = self._open, ()
        if not isinstance(entries, list) or len(entries) != len(calls):
            entries = [content] * len(calls)
        texts = [entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False) for entry in entries]
        return [
            Message(role="tool", tool_call_id=call.id, content=text) for call, text in zip(calls, texts, strict=True)
        ]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    yield from ((match[1], match[2].strip()) for match in _BLOCK.finditer(text))


def _tools(instruction: str) -> tuple[ToolSpec, ...]:
    listed = _TOOLS.search(instruction)
    if listed is None:
        raise Unusable("malformed_tools", "instruction has no section Available Tools")
    return tuple(_tool(entry) for entry in re.split(r"\n(?=\d+\. Name: )", listed[1]))


def _tool(entry: str) -> ToolSpec:
    match = _TOOL.fullmatch(entry.strip())
    if match is None:
        raise Unusable("malformed_tools", f"a tool is Name, Description, Parameters: {entry[:80]}")
    try:
        written = parse(match[3])
    except NotJson as error:
        raise Unusable("malformed_tools", f"parameters of {match[1]} are not JSON ({error})") from error
    if not isinstance(written, dict) or not all(isinstance(argument, dict) for argument in written.values()):
        raise Unusable("malformed_tools", f"parameters of {match[1]} are no arguments by name")
    properties = {name: _argument(argument) for name, argument in written.items()}
    return ToolSpec(
        name=match[1], description=match[2], parameters={"type": "object", "properties": properties, "required": []}
    )


def _argument(written: dict[str, Any]) -> dict[str, Any]:
    """Upstream writes ``default: ""`` where there is none."""
    found = schema_of_type(written.get("type", ""))
    if isinstance(description := written.get("description"), str) and description:
        found["description"] = description
    if written.get("default") not in ("", None):
        found["default"] = written["default"]
    return found


def _files(path: Path | None) -> list[Path]:
    if path is None or not path.is_dir():
        raise SourceError(f"source toolrl needs its files: give --path, {EXPECTED}")
    if not (found := sorted({*path.glob("rlla_sft*.json"), *path.glob("rlla_sft*.json.gz")})):
        raise SourceError(f"{path} holds no rlla_sft.json: give --path, {EXPECTED}")
    return found


SOURCE = ToolRL()
