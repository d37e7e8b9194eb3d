"""Reads a copy of STAR: ``apis/apis/*.json`` and the dialogues, in their folder or in the archive they came in."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from data.mapping.files import MAX_RECORD, Read, fingerprint
from data.mapping.limiting import limited
from data.mapping.plain_json import NotJson, parse
from data.reporting import Reporter
from data.schema import Conversation, Quarantined, ToolSpec
from data.settings import DataSettings
from data.sources.base import SourceError, Unusable
from data.sources.star.dialogue import conversation_of
from data.sources.star.tools import read_tools

EXPECTED = "the folder of a STAR copy: apis/apis/*.json beside dialogues/*.json or dialogues.zip"
_TELL_EVERY = 200


class Star:
    """STAR in its upstream layout."""

    name = "star"
    evaluation_only = False

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over the bytes of the API files and the dialogues."""
        root = _root(settings.path)
        archive = root / "dialogues.zip"
        dialogues = [archive] if archive.is_file() else sorted((root / "dialogues").glob("*.json"))
        return fingerprint([*sorted((root / "apis" / "apis").glob("*.json")), *dialogues])

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield every dialogue and what was quarantined on the way; says what was filtered as repeated."""
        root = _root(settings.path)
        tools = read_tools(root / "apis" / "apis")
        reporter.phase("reading star", unit="dialogues")
        counts: Counter[str] = Counter()
        for item in limited(lambda: self._all(root, tools, reporter), settings.conversations, reporter):
            if isinstance(item, Conversation):
                counts.update(item.metadata["queries"])
            yield item
        reporter.say(
            f"star: dropped {counts['repeated_dropped']:,} repeated and {counts['empty_dropped']:,} empty queries; "
            f"kept {counts['repeated_kept']:,} repeated ones that returned another item"
        )

    def _all(
        self, root: Path, tools: Mapping[str, ToolSpec], reporter: Reporter
    ) -> Iterator[Conversation | Quarantined]:
        for number, read in enumerate(_records(root), start=1):
            yield self.conversation(read, tools)
            if number % _TELL_EVERY == 0:
                reporter.update(number)

    def conversation(self, read: Read, tools: Mapping[str, ToolSpec]) -> Conversation | Quarantined:
        """The conversation of one dialogue, or why it has none. Never raises, whatever it holds."""
        raw = read.record
        stated = raw.get("DialogueID") if isinstance(raw, dict) else None
        record_id = str(stated) if stated is not None else read.place
        try:
            if read.reason is not None:
                raise Unusable(read.reason, read.detail)
            return conversation_of(raw, tools)
        except Unusable as error:
            return self._rejected(record_id, error.reason, error.detail)
        except ValidationError as error:
            return self._rejected(record_id, "not_a_conversation", error.errors()[0]["msg"])

    def _rejected(self, record_id: str, reason: str, detail: str) -> Quarantined:
        return Quarantined(source=self.name, record_id=record_id, reason=reason, detail=detail)


def _root(path: Path | None) -> Path:
    if path is None or not path.is_dir():
        raise SourceError(f"source star needs its files: give --path, {EXPECTED}")
    there = (path / "dialogues.zip").is_file() or (path / "dialogues").is_dir()
    if not there or not (path / "apis" / "apis").is_dir():
        raise SourceError(f"{path} holds no STAR: give --path, {EXPECTED}")
    return path


def _records(root: Path) -> Iterator[Read]:
    """Every dialogue file, read inside the archive where there is one; nothing is unpacked to disk."""
    archive = root / "dialogues.zip"
    if not archive.is_file():
        for file in sorted((root / "dialogues").glob("*.json")):
            yield _parsed(file.name, file.read_bytes() if file.stat().st_size <= MAX_RECORD else None)
        return
    try:
        with zipfile.ZipFile(archive) as members:
            for member in sorted(members.infolist(), key=lambda member: member.filename):
                if member.filename.endswith(".json"):
                    small = member.file_size <= MAX_RECORD
                    yield _parsed(Path(member.filename).name, members.read(member) if small else None)
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"{archive} cannot be read ({error}); restore it, or give --path, {EXPECTED}") from error


def _parsed(name: str, content: bytes | None) -> Read:
    if content is None:
        return Read(name, reason="oversized_record", detail=f"{name} has more than {MAX_RECORD >> 20} MB")
    try:
        return Read(name, parse(content))
    except NotJson as error:
        return Read(name, reason="not_json", detail=f"{name}: {error}")


SOURCE = Star()
