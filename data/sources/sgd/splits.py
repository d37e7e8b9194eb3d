"""Which split an SGD dialogue belongs to, and which dialogues a limited ingest takes.

Splits follow SGD's files. What is "seen" is decided by ``train/schema.json`` rather than by the dialogues taken, so a
limited ingest puts every dialogue where a full one does. Dev dialogues that mix seen and unseen services, or touch a
service that is unseen in test, are ``excluded``: looking at them would blur the question or leak the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from data.schema import Split

#: How a limited number of conversations is shared out; ``excluded`` gets none.
SHARES: dict[Split, float] = {
    "train": 0.56,
    "validation_seen": 0.12,
    "validation_unseen": 0.12,
    "test_seen": 0.06,
    "test_unseen": 0.08,
    "test_mixed": 0.06,
}
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


def quotas(limit: int, available: Mapping[Split, int], shares: Mapping[Split, float] = SHARES) -> dict[Split, int]:
    """Conversations to take per split, ``limit`` at most in all.

    Shares are rounded by largest remainder; what a split cannot fill goes to the first split, then to the others.
    """
    exact = {split: share * limit for split, share in shares.items()}
    wanted = {split: int(value + 1e-9) for split, value in exact.items()}
    by_remainder = sorted(shares, key=lambda split: wanted[split] - exact[split])
    for split in by_remainder[: limit - sum(wanted.values())]:
        wanted[split] += 1
    taken: dict[Split, int] = {split: min(count, available.get(split, 0)) for split, count in wanted.items()}
    for split in shares:
        spare = limit - sum(taken.values())
        taken[split] += min(spare, available.get(split, 0) - taken[split])
    return taken


def choose(
    records: Iterable[tuple[str, Split]], limit: int | None, shares: Mapping[Split, float] = SHARES
) -> frozenset[str]:
    """Record ids to take: all, or ``limit`` by the hash of their id, so that a larger limit extends a smaller one."""
    by_split: dict[Split, list[str]] = {}
    for record_id, split in records:
        by_split.setdefault(split, []).append(record_id)
    if limit is None:
        return frozenset(record_id for ids in by_split.values() for record_id in ids)
    taken = quotas(limit, {split: len(ids) for split, ids in by_split.items()}, shares)
    return frozenset(
        record_id
        for split, count in taken.items()
        for record_id in sorted(by_split.get(split, []), key=_stable_hash)[:count]
    )


def _stable_hash(record_id: str) -> bytes:
    return hashlib.sha256(record_id.encode()).digest()
