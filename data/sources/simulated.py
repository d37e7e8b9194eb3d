"""The practice source: oracle conversations in the contact centre's domains, made from a seed. Needs no download.

Splits come in fixed shares at any number of conversations. Training and the ``_seen`` splits draw on seen tools only;
some domains and families of tools are first met in ``validation_unseen``, others in the test splits, and neither is
ever offered before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from random import Random

from data.practice.declarations import Domain, Slice
from data.practice.domains import DOMAINS
from data.practice.drawing import draw_task
from data.practice.gold import play_oracle
from data.reporting import Reporter
from data.schema import Conversation, Quarantined, Split
from data.settings import DataSettings

DEFAULT_CONVERSATIONS = 1500
#: Conversations of each split in every fifty.
SHARES: dict[Split, int] = {
    "train": 28,
    "validation_seen": 6,
    "validation_unseen": 6,
    "test_seen": 3,
    "test_unseen": 4,
    "test_mixed": 3,
}
SLICES: dict[Split, Slice] = {
    "train": "seen",
    "validation_seen": "seen",
    "validation_unseen": "unseen_in_validation",
    "test_seen": "seen",
    "test_unseen": "unseen_in_test",
    "test_mixed": "mixed",
}


def _cycle() -> tuple[Split, ...]:
    """Fifty splits in their shares, evenly interleaved, so that any first few conversations hold them all."""
    taken = dict.fromkeys(SHARES, 0)
    total = sum(SHARES.values())
    order: list[Split] = []
    for number in range(1, total + 1):
        split = max(SHARES, key=lambda name: SHARES[name] * number / total - taken[name])
        taken[split] += 1
        order.append(split)
    return tuple(order)


_CYCLE = _cycle()


def split_of(number: int) -> Split:
    """The split of the conversation with this number; it depends on nothing else."""
    return _CYCLE[number % len(_CYCLE)]


class Simulated:
    """Oracle conversations of the practice domains."""

    name = "simulated"
    evaluation_only = False

    def __init__(self, domains: Mapping[str, Domain] = DOMAINS) -> None:
        """Conversations of these domains, in equal shares of those that have errands of a split."""
        self.domains = domains

    def fingerprint(self, settings: DataSettings) -> str:
        """Hash of the generator's parameters; its code is hashed into the dataset version elsewhere."""
        parameters = {
            "domains": sorted(self.domains),
            "conversations": settings.conversations or DEFAULT_CONVERSATIONS,
            "seed": settings.seed,
            "max_result_rows": settings.max_result_rows,
            "shares": SHARES,
        }
        return hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()

    def read(self, settings: DataSettings, reporter: Reporter) -> Iterator[Conversation | Quarantined]:
        """Yield ``settings.conversations`` conversations (1,500 by default), numbered from 0."""
        total = settings.conversations or DEFAULT_CONVERSATIONS
        reporter.phase("Simulating conversations", total=total, unit="conversations")
        for number in range(total):
            yield self.conversation(number, settings)
            reporter.update(number + 1)

    def conversation(self, number: int, settings: DataSettings) -> Conversation:
        """The conversation with this number."""
        split = split_of(number)
        seed = f"{settings.seed}:{number}"
        able = [domain for domain in self.domains.values() if domain.errands.get(SLICES[split])]
        domain = Random(f"{self.name}:{seed}").choice(able)
        task = draw_task(domain, SLICES[split], seed, max_rows=settings.max_result_rows)
        played = play_oracle(task, seed, unjudged=not task.needs_gold)
        played.close()
        return Conversation(
            id=f"{self.name}/{number}",
            source=self.name,
            record_id=str(number),
            split=split,
            domains=task.domains,
            tools=task.tools,
            messages=tuple(played.messages),
            metadata={"task": task.id},
        )


SOURCE = Simulated()
