"""A limited number of conversations out of a source whose splits are known only once each one is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from data.schema import Conversation, Quarantined, Split
from data.splits import SHARES, choose

Item = Conversation | Quarantined


def limited(
    build: Callable[[], Iterable[Item]], limit: int | None, shares: Mapping[Split, float] = SHARES
) -> Iterator[Item]:
    """All items ``build`` yields; with a limit it is run twice, first to see what there is, then for what is taken.

    Two passes instead of one list, so that memory holds ids, not conversations. Quarantined rows are always yielded.
    """
    if limit is None:
        yield from build()
        return
    places = ((item.record_id, item.split) for item in build() if isinstance(item, Conversation))
    chosen = choose(places, limit, shares)
    yield from (item for item in build() if isinstance(item, Quarantined) or item.record_id in chosen)
