"""Splits for sources that bring none: decided by what a conversation says, and by nothing else.

A stable hash of the canonical content places a conversation, so it is in the same split in every later version, on
every machine, whatever grew around it; exact copies fall together. A domain is held out of training by the hash of its
name: what touches it is never trained on. Nothing here looks at another conversation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal

from data.schema import Conversation, Message, Split

#: Shares of the conversations whose domains are all seen; what is left is test.
TRAIN_SHARE = 0.8
VALIDATION_SHARE = 0.1
#: Shares of domains held out of training, for validation and for test.
UNSEEN_IN_VALIDATION = 0.1
UNSEEN_IN_TEST = 0.1
#: Share of an evaluation-only source that may be looked at while developing.
EVALUATION_VALIDATION_SHARE = 0.2

#: How a limited number of conversations is shared out; ``excluded`` gets none.
SHARES: dict[Split, float] = {
    "train": 0.56,
    "validation_seen": 0.12,
    "validation_unseen": 0.12,
    "test_seen": 0.06,
    "test_unseen": 0.08,
    "test_mixed": 0.06,
}
#: The same for a source that is for evaluation only.
EVALUATION_SHARES: dict[Split, float] = {"validation_unseen": 0.5, "test_unseen": 0.5}

DomainSlice = Literal["seen", "unseen_in_validation", "unseen_in_test"]


def split_by_content(conversation: Conversation, *, together: str | None = None) -> Split:
    """The split of a conversation from a source without official ones.

    Args:
        conversation: Its messages, tool names and domains decide; its id, source and present split do not.
        together: What has to stay in one split, hashed in place of the content: a task that was run several times.

    Returns:
        With seen domains only (or none stated): ``train`` 80 %, ``validation_seen`` 10 %, ``test_seen`` 10 %. With
        domains held out for test: ``test_unseen``, or ``test_mixed`` beside seen ones. With domains held out for
        validation alone: ``validation_unseen``; beside seen ones ``excluded``, for it would blur the question.
    """
    slices = {domain_slice(domain) for domain in conversation.domains}
    if "unseen_in_test" in slices:
        return "test_unseen" if "seen" not in slices else "test_mixed"
    if "unseen_in_validation" in slices:
        return "validation_unseen" if "seen" not in slices else "excluded"
    place = stable_fraction(f"split\0{content_key(conversation) if together is None else together}")
    if place < TRAIN_SHARE:
        return "train"
    return "validation_seen" if place < TRAIN_SHARE + VALIDATION_SHARE else "test_seen"


def split_for_evaluation(conversation: Conversation, *, together: str | None = None) -> Split:
    """The split of a conversation that is never trained on: ``validation_unseen`` (20 %) or ``test_unseen``."""
    place = stable_fraction(f"evaluation\0{content_key(conversation) if together is None else together}")
    return "validation_unseen" if place < EVALUATION_VALIDATION_SHARE else "test_unseen"


def domain_slice(domain: str) -> DomainSlice:
    """Whether a domain is trained on, or first met in validation or in test; its name alone decides."""
    place = stable_fraction(f"unseen\0{domain}")
    if place < UNSEEN_IN_VALIDATION:
        return "unseen_in_validation"
    return "unseen_in_test" if place < UNSEEN_IN_VALIDATION + UNSEEN_IN_TEST else "seen"


def content_key(conversation: Conversation) -> str:
    """SHA-256 (hex) of what is said and called, and the names of the tools; ids and annotations do not count."""
    said = [_said(message) for message in conversation.messages]
    tools = sorted(tool.name for tool in conversation.tools)
    return hashlib.sha256(_canonical([said, tools])).hexdigest()


def stable_fraction(text: str) -> float:
    """A number in [0, 1) that depends on the text only, evenly spread."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64


def _said(message: Message) -> list[object]:
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    return [message.role, " ".join((message.content or "").split()), calls]


def _canonical(value: Iterable[object]) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode()


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
