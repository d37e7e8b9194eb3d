"""Reads a copy of SGD: two passes over its files, the first to see what is there, the second to build what is taken.

Nothing is kept between records but their ids and places, so memory stays flat whatever the size. What cannot be used is
yielded as a quarantined row: a file that cannot be read (one row for the whole file), a record that is no dialogue, a
dialogue that does not fit its schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.reporting import Reporter, Silent
from data.schema import Conversation, Quarantined
from data.settings import DataSettings
from data.sources.sgd import download
from data.sources.sgd.dialogue import Unusable, conversation_of
from data.sources.sgd.index import Place, records_at, scan
from data.sources.sgd.raw import DIRECTORIES, RawDialogue, dialogue_files, sgd_root
from data.sources.sgd.splits import RENAMED_SHARES, SHARES, RenamedRule, SplitRule, choose
from data.sources.sgd.tools import Services, read_services
from data.sources.sgd.variants import Renaming, read_renaming, schema_file

_TELL_EVERY = 50  # conversations


class SGD:
    """The Schema-Guided Dialogue dataset in its upstream layout, with its own schemas or those of an SGD-X variant."""

    def __init__(self, variant: str | None = None) -> None:
        """``variant``: one of ``variants.VARIANTS``, or None for the original names."""
        self.name = f"sgd-x-{variant}" if variant else "sgd"
        self.variant = variant
        self.evaluation_only = variant is not None

    def fetch(self, settings: DataSettings, reporter: Reporter) -> Path:
        """Directory of the copy: the one given, else upstream's at a pinned commit, downloaded once.

        Raises:
            SourceError: The directory is no copy of SGD, or the download failed; the message names ``--path``.
        """
        return sgd_root(settings.path or download.fetch(download.upstream(), reporter))

    def fingerprint(self, settings: DataSettings) -> str:
        """SHA-256 over names and bytes of all schemas and dialogue files, packed or not as they lie there."""
        root = self.fetch(settings, Silent())
        digest = hashlib.sha256()
        for path in _raw_files(root, self.variant):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(_digest(path))
        return digest.hexdigest()

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield the conversations of the copy and what was quarantined on the way."""
        root = self.fetch(settings, reporter)
        services = _services(root, reporter)
        names = _names(root, list(services), self.variant) if self.variant else {}
        rule = _rule(services, RenamedRule if self.variant else SplitRule)
        places: list[Place] = []
        for found in scan(root, list(services), rule, reporter):
            if isinstance(found, Place):
                places.append(found)
            else:
                yield found.model_copy(update={"source": self.name})
        shares = RENAMED_SHARES if self.variant else SHARES
        chosen = choose(((place.record_id, place.split) for place in places), settings.conversations, shares)
        reporter.phase(f"reading {self.name}", total=len(chosen), unit="conversations")
        facts, dropped = 0, 0
        wanted = (place for place in places if place.record_id in chosen)
        for done, (place, record) in enumerate(records_at(wanted), start=1):
            known, renaming = names.get(place.directory, (services[place.directory], None))
            item, lost = build(record, known, place, settings.max_result_rows, renaming, self.name)
            yield item
            dropped += lost
            facts += _count_facts(item)
            if done % _TELL_EVERY == 0 or done == len(chosen):
                reporter.update(done)
        if dropped:
            reporter.say(
                f"{self.name}: {dropped:,} of {facts + dropped:,} facts ({dropped / (facts + dropped):.1%}) are "
                f"nowhere the agent can look (results keep {settings.max_result_rows} rows) and are not demanded of it"
            )


def _raw_files(root: Path, variant: str | None) -> Iterator[Path]:
    for directory in DIRECTORIES:
        schemas = [root / directory / "schema.json"]
        if variant:
            schemas.append(schema_file(root, variant, directory))
        yield from (schema for schema in schemas if schema.is_file())
        yield from dialogue_files(root, directory)


def _digest(path: Path) -> bytes:
    """SHA-256 of a file; one that cannot be opened (read says so) counts as what it is: unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b"unreadable"


def _services(root: Path, reporter: Reporter) -> dict[str, Services]:
    """Services per split directory; an absent directory is remarked on and left out."""
    services: dict[str, Services] = {}
    for directory in DIRECTORIES:
        if (root / directory).is_dir():
            services[directory] = read_services(root / directory / "schema.json")
        else:
            reporter.say(f"sgd: {root / directory} is absent, so its splits stay empty")
    return services


def _names(root: Path, directories: list[str], variant: str) -> dict[str, tuple[Services, Renaming]]:
    """Per split directory the variant's services, and how it renames the original's."""
    schemas = {directory: schema_file(root, variant, directory) for directory in directories}
    return {
        directory: (read_services(schema), read_renaming(root / directory / "schema.json", schema))
        for directory, schema in schemas.items()
    }


def _rule(services: dict[str, Services], kind: type[SplitRule]) -> SplitRule:
    train = frozenset(services["train"])
    return kind(train=train, unseen_in_test=frozenset(services.get("test", {})) - train)


def build(
    record: Any,
    services: Services,
    place: Place,
    max_result_rows: int,
    renaming: Renaming | None = None,
    source: str = "sgd",
) -> tuple[Conversation | Quarantined, int]:
    """The conversation of a raw record with its count of dropped facts, or why there is none. Never raises.

    ``services`` are those the conversation speaks of: after ``renaming``, if there is one.
    """
    try:
        dialogue = RawDialogue.model_validate(record)
        return conversation_of(
            renaming.dialogue(dialogue) if renaming else dialogue,
            services,
            record_id=place.record_id,
            split=place.split,
            max_result_rows=max_result_rows,
            source=source,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason, detail = "not_a_dialogue", f"{where or 'dialogue'}: {first['msg']}"
    except Unusable as error:
        reason, detail = error.reason, error.detail
    except RecursionError:
        reason, detail = "not_a_dialogue", "some value is nested too deeply"
    return Quarantined(source=source, record_id=place.record_id, reason=reason, detail=detail), 0


def _count_facts(item: Conversation | Quarantined) -> int:
    return sum(len(message.facts) for message in item.messages) if isinstance(item, Conversation) else 0


SOURCE = SGD()
