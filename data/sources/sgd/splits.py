"""Which split an SGD dialogue belongs to, and which dialogues a limited ingest takes.

Splits follow SGD's files. What is "seen" is decided by ``train/schema.json`` rather than by the dialogues taken, so a
limited ingest puts every dialogue where a full one does. Dev dialogues that mix seen and unseen services, or touch a
service that is unseen in test, are ``excluded``: looking at them would blur the question or leak the answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from data.schema import Split
from data.splits import SHARES, choose, quotas

__all__ = ["RENAMED_SHARES", "SHARES", "RenamedRule", "SplitRule", "choose", "quotas"]

#: The same for an SGD-X variant, which has no other splits.
RENAMED_SHARES: dict[Split, float] = {"validation_unseen": 0.5, "test_unseen": 0.5}


@dataclass(frozen=True)
class SplitRule:
    """Service names that decide: those of train's schema, and those of test's schema which train lacks."""

    train: frozenset[str]
    unseen_in_test: frozenset[str]

    def split(self, directory: str, services: Collection[str]) -> Split:
        """The split of a dialogue from ``train``, ``dev`` or ``test`` with these services."""
        if directory == "train":
            return "train"
        names = set(services)
        all_seen, none_seen = names <= self.train, not names & self.train
        if directory == "test":
            return "test_seen" if all_seen else "test_unseen" if none_seen else "test_mixed"
        if all_seen:
            return "validation_seen"
        return "validation_unseen" if none_seen and not names & self.unseen_in_test else "excluded"


class RenamedRule(SplitRule):
    """Splits of an SGD-X variant, given the original names: no renamed service counts as seen.

    Dialogues of train are ``excluded``: their words are those a model of ``sgd`` was trained on, and training on
    renamed services would make the test's services seen. So are dev dialogues that touch a service unseen in test.
    """

    def split(self, directory: str, services: Collection[str]) -> Split:
        """The split of a dialogue whose original services these are."""
        if directory == "train":
            return "excluded"
        if directory == "test":
            return "test_unseen"
        return "excluded" if set(services) & self.unseen_in_test else "validation_unseen"
