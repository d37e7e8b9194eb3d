"""What every source of conversations offers, and how it says that it cannot.

A source turns whatever lies on disk (or what a generator makes up) into canonical conversations, one at a time.
A record it cannot use becomes a ``Quarantined`` row and the rest goes on; only a source that cannot be read at all
raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from data.reporting import Reporter
from data.schema import Conversation, Quarantined
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
