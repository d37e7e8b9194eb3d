"""A limited number of conversations out of a source whose splits are known only once each one is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from data.reporting import Reporter
from data.schema import Conversation, Quarantined, Split
from data.splits import SHARES, choose

Item = Conversation | Quarantined


def limited(
    build: Callable[[], Iterable[Item]],
    limit: int | None,
    reporter: Reporter,
    shares: Mapping[Split, float] = SHARES,
) -> Iterator[Item]:
    """All items ``build`` yields; with a limit it is run twice, first to see what there is, then for what is taken.

    Two passes instead of one list, so that memory holds ids, not conversations. Quarantined rows are always yielded,
    and how many conversations are left out is said.
    """
    if limit is None:
        yield from build()
        return
    places = [(item.record_id, item.split) for item in build() if isinstance(item, Conversation)]
    chosen = choose(places, limit, shares)
    within = [record_id for record_id, split in places if split in shares]
    if left_out := sum(record_id not in chosen for record_id in within):
        reporter.say(
            f"{left_out:,} of {len(within):,} conversations are left out, for data.conversations is {limit}; "
            "--set data.conversations=null takes all"
        )
    yield from (item for item in build() if isinstance(item, Quarantined) or item.record_id in chosen)
