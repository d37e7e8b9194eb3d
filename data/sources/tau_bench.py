"""tau-bench (Yao et al. 2024, arXiv 2406.12045): recorded airline runs of GPT-4o with policy, tools and reward.

Messages are OpenAI's already. A run is kept whole with its 0/1 reward as metadata; only runs that reached reward 1 are
gold, the others are ``excluded`` (stored and queryable, never learned from nor judged by). The trials of one task stay
in one split. Contexts are long (median 5,500 tokens): small models train on what fits their ``max_length``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.mapping.facts import with_derived_facts
from data.mapping.files import Read, fingerprint, read_records
from data.mapping.limiting import limited
from data.mapping.openai import messages_of, tools_of
from data.mapping.plain_json import NotJson, parse
from data.mapping.rationales import with_derived_rationales
from data.mapping.turns import joined
from data.reporting import Reporter
from data.schema import Conversation, Message, Quarantined, ToolSpec
from data.settings import DataSettings
from data.sources.base import SourceError, Unusable
from data.splits import split_by_content

DOMAIN = "airline"
EXPECTED = "a folder with gpt-4o-airline*.json (or .json.gz) and airline/tools.json (its 14 tools in OpenAI form)"
#: What the simulated user says to end the run; nobody types it.
_STOP = re.compile(r"\s*###\w+###\s*")
#: Tools that change the database or leave the conversation; upstream's code says so, its tool list does not.
_WRITES = re.compile(r"(?:book|cancel|update|send|transfer|modify|exchange|return)_")


class TauBench:
    """Recorded runs of tau-bench's airline domain."""

    name = "tau-bench"
    evaluation_only = False

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over the bytes of the run files and the tools."""
        root = _root(settings.path)
        return fingerprint([*_run_files(root), root / DOMAIN / "tools.json"])

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield every run and what was quarantined on the way."""
        root = _root(settings.path)
        tools = _tools(root / DOMAIN / "tools.json")
        reporter.phase("reading tau-bench", unit="runs")
        yield from limited(lambda: self._all(root, tools), settings.conversations, reporter)

    def _all(self, root: Path, tools: tuple[ToolSpec, ...]) -> Iterator[Conversation | Quarantined]:
        for file in _run_files(root):
            for read in read_records(file):
                yield self.conversation(read, tools)

    def conversation(self, read: Read, tools: tuple[ToolSpec, ...]) -> Conversation | Quarantined:
        """The conversation of one run, or why it has none. Never raises, whatever the run holds."""
        run = read.record if isinstance(read.record, dict) else {}
        record_id = f"{DOMAIN}/{run.get('task_id')}/{run.get('trial')}" if "task_id" in run else read.place
        try:
            if read.reason is not None:
                raise Unusable(read.reason, read.detail)
            return _conversation(run, record_id, tools)
        except Unusable as error:
            return self._rejected(record_id, error.reason, error.detail)
        except ValidationError as error:
            return self._rejected(record_id, "not_a_conversation", error.errors()[0]["msg"])

    def _rejected(self, record_id: str, reason: str, detail: str) -> Quarantined:
        return Quarantined(source=self.name, record_id=record_id, reason=reason, detail=detail)


def _conversation(run: dict[str, Any], record_id: str, tools: tuple[ToolSpec, ...]) -> Conversation:
    written, task, reward = run.get("traj"), run.get("task_id"), run.get("reward")
    if not isinstance(written, list) or task is None:
        raise Unusable("not_a_conversation", "a run has a task_id and traj, a list of messages")
    if isinstance(reward, bool) or not isinstance(reward, int | float):
        raise Unusable("no_reward", f"reward is a number, not {reward!r}")
    turns, _ = joined(_without_stop(messages_of(written)))
    conversation = Conversation(
        id=f"tau-bench/{record_id}",
        source="tau-bench",
        record_id=record_id,
        split="excluded",
        domains=(DOMAIN,),
        tools=tools,
        messages=with_derived_rationales(with_derived_facts(turns), tools),
        metadata={"reward": float(reward), "task_id": task, "trial": run.get("trial"), "model": "gpt-4o"},
    )
    split = split_by_content(conversation, together=f"tau-bench/{DOMAIN}/{task}") if reward == 1 else "excluded"
    return conversation.model_copy(update={"split": split})


def _without_stop(messages: tuple[Message, ...]) -> Iterator[Message]:
    """The simulator's stop signs are cut out of what the user says; a message that is nothing else goes."""
    for message in messages:
        said = message.content or ""
        if message.role != "user" or not _STOP.search(said):
            yield message
        elif rest := _STOP.sub(" ", said).strip():
            yield message.model_copy(update={"content": rest})


def _root(path: Path | None) -> Path:
    if path is None or not path.is_dir():
        raise SourceError(f"source tau-bench needs its files: give --path, {EXPECTED}")
    if not _run_files(path) or not (path / DOMAIN / "tools.json").is_file():
        raise SourceError(f"{path} holds no tau-bench: give --path, {EXPECTED}")
    return path


def _run_files(root: Path) -> list[Path]:
    return sorted({*root.glob("gpt-4o-airline*.json"), *root.glob("gpt-4o-airline*.json.gz")})


def _tools(file: Path) -> tuple[ToolSpec, ...]:
    """The domain's tools, those that write marked.

    Raises:
        SourceError: The file is no tool list.
    """
    try:
        tools = tools_of(parse(file.read_bytes()))
    except (OSError, NotJson, Unusable) as error:
        raise SourceError(f"{file} is no list of tools in OpenAI form ({error}); give --path, {EXPECTED}") from error
    return tuple(tool.model_copy(update={"is_write": bool(_WRITES.match(tool.name))}) for tool in tools)


SOURCE = TauBench()
