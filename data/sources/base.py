"""What every source of conversations offers, and how it says that it cannot.

A source turns whatever lies on disk (or what a generator makes up) into canonical conversations, one at a time.
A record it cannot use becomes a ``Quarantined`` row and the rest goes on; only a source that cannot be read at all
raises. A large source may also offer itself in parts, which ingestion then reads in several processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from data.reporting import Reporter
from data.schema import Conversation, Frozen, Quarantined
from data.settings import DataSettings


class SourceError(Exception):
    """The source as a whole cannot be read; the message says what is wrong and what to do."""


class UnknownSource(SourceError, ValueError):
    """No source has this name."""


class Unusable(Exception):
    """A record that does not become a conversation: a short stable code and a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Source(Protocol):
    """One origin of conversations. A module ``data/sources/NAME`` exposes one as ``SOURCE``."""

    name: str
    evaluation_only: bool
    """Whether nothing of it may ever be trained on; such a source yields no conversation of split ``train``."""

    def fingerprint(self, settings: DataSettings) -> str:
        """Hash of everything outside the code that shapes what ``read`` yields: raw bytes, or generator parameters.

        Raises:
            SourceError: The source cannot be found.
        """

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield every conversation, up to ``settings.conversations`` chosen by a stable hash and spread over splits.

        Raises:
            SourceError: The source cannot be found or lacks what all its records need.
        """


@runtime_checkable
class Fetching(Protocol):
    """A source that can bring its own files here: what ``fetch`` has fetched, ``fingerprint`` and ``read`` find."""

    def fetch(self, settings: DataSettings, reporter: Reporter) -> Any:
        """Download what is missing, with progress; nothing to do where ``settings.path`` names the files.

        Raises:
            SourceError: It cannot be had; the message names ``--path``.
        """


@dataclass(frozen=True)
class Part:
    """A piece of a source that another process can read by itself; it travels there pickled."""

    name: str
    """What a person calls it, such as a file's name."""
    weight: int
    """Bytes to read, or anything in proportion to the work."""
    content: Any
    """What the source needs to find its records again."""


@dataclass(frozen=True)
class Tally:
    """Something counted while reading that concerns no record in particular."""

    what: str
    count: int


@runtime_checkable
class Partitioned(Protocol):
    """A source that is more than one process can read in good time. ``read`` is all its parts, one after the other."""

    name: str

    def parts(self, settings: DataSettings, reporter: Reporter) -> Iterator[Part | Quarantined]:
        """The parts in the order of ``read``, and what cannot even become part of one.

        Raises:
            SourceError: As for ``read``.
        """

    def read_part(self, part: Part, settings: DataSettings) -> Iterator[Conversation | Quarantined | Tally]:
        """Yield what one part holds; runs in a process of its own, knowing only its arguments.

        Raises:
            SourceError: As for ``read``.
        """

    def remarks(self, tallies: Mapping[str, int]) -> Iterator[str]:
        """What to say at the end, given the sum of each tally of all parts."""


class RawPlace(Frozen):
    """Where a raw record lies."""

    file: str
    position: int
    """Index of the record in its file, from 0."""
    sha256: str
    """Of the record as canonical JSON (sorted keys, UTF-8)."""
    record: Any
    """The record itself, as upstream wrote it."""


@runtime_checkable
class Locating(Protocol):
    """A source that can find a raw record again."""

    def locate(self, settings: DataSettings, record_id: str) -> RawPlace | None:
        """The record of this id in the source's files, or None.

        Raises:
            SourceError: The files are not where ``settings`` says.
        """
