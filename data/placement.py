"""What only the whole of an ingestion can tell: repeated names, conversations to learn from that are judged by, and
which to learn from where they are limited.

A conversation of ``train`` that says the same, or nearly the same, as one models are judged by would give the answer
away. Twins inside the dataset version and conversations of the frozen evaluation set (earlier versions, other sources)
count alike. A conversation that a test or validation split of its own source once held goes back to it, be it that its
name is gone by now and its text is there, or that its text has changed and its name is there.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from data.chunks import JUDGED, Chunk, Item, refused, repeated
from data.duplicates import near_duplicates
from data.evaluation_set import Frozen, signature_matrix
from data.schema import TEST_SPLITS, Quarantined, Split
from data.splits import stable_fraction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Policy = Literal["remove", "report"]
_REASONS = {"exact": "duplicate", "near": "near_duplicate"}


class Placement(NamedTuple):
    """What becomes of the items of the chunks."""

    removed: dict[int, set[str]]
    """Chunk to the conversations of it that are left out; those that move are among them, to be added again."""
    quarantined: list[Quarantined]
    moved: dict[tuple[int, str], Split]
    """(chunk, conversation) to the split it goes to."""
    duplicates: dict[str, int]
    """How many were found, by kind, removed or not."""
    effects: str
    """Hash of what earlier versions and other sources changed, empty if nothing: the version's name depends on it."""
    items: list[Item]
    """What stays, in the splits where it stays."""
    signatures: NDArray[np.uint32]
    """MinHash signature of each of ``items``."""


class _Row(NamedTuple):
    chunk: int
    item: Item


class _Twin(NamedTuple):
    """A learner that repeats or resembles a conversation models are judged by."""

    at: int
    kind: Literal["exact", "near"]
    detail: str


class _Judged(NamedTuple):
    id: str
    split: Split
    content: str


def place(
    chunks: Sequence[Chunk], frozen: Sequence[Frozen], source: str, policy: Policy, learners: int | None = None
) -> Placement:
    """Decide about every item of the chunks of one source. Of several with one name the first stays.

    With ``learners`` so many conversations of ``train`` stay, those ``data.splits.choose`` would take first; the others
    are sound, so they are left out without being quarantined.
    """
    rows, late, signatures = _named_once(chunks)
    names = {row.item.id for row in rows}
    own = {(row.item.id, row.item.content) for row in rows}
    absent = [item for item in frozen if (item.conversation_id, item.content) not in own]
    gone = [item for item in absent if item.source == source and item.conversation_id not in names]
    changed = [item for item in absent if item.source == source and item.conversation_id in names]
    moved = _moved(rows, gone) | _back(rows, changed)
    inside = [twin for twin in _inside(rows, signatures) if twin.at not in moved]
    settled = {*moved, *(twin.at for twin in inside)}
    outside = [twin for twin in _outside(rows, signatures, absent) if twin.at not in settled]
    leaving = [*inside, *outside] if policy == "remove" else []
    left = {*moved, *(twin.at for twin in leaving)}
    left.update(_beyond(rows, left, learners))
    staying = [at for at in range(len(rows)) if at in moved or at not in left]
    return Placement(
        removed=_by_chunk([*late, *(rows[at] for at in left)]),
        quarantined=[
            *(refused(row.item, *repeated(row.item.id), source=source) for row in late),
            *(refused(rows[twin.at].item, _REASONS[twin.kind], twin.detail, source=source) for twin in leaving),
        ],
        moved={(rows[at].chunk, rows[at].item.id): split for at, split in moved.items()},
        duplicates=_counted(inside, outside, rows),
        effects=_effects(rows, moved, outside if policy == "remove" else []),
        items=[rows[at].item._replace(split=moved.get(at, rows[at].item.split)) for at in staying],
        signatures=signatures[staying],
    )


def _named_once(chunks: Sequence[Chunk]) -> tuple[list[_Row], list[_Row], NDArray[np.uint32]]:
    """Items with a name of their own, the later ones of each name, and the signatures of the former."""
    import numpy as np

    rows: list[_Row] = []
    late: list[_Row] = []
    taken: set[str] = set()
    places: list[int] = []
    for number, chunk in enumerate(chunks):
        for item in chunk.items:
            if item.id not in taken:
                places.append(len(rows) + len(late))
            (late if item.id in taken else rows).append(_Row(number, item))
        taken.update(chunk.failed, (item.id for item in chunk.items))
    return rows, late, np.concatenate([chunk.signatures for chunk in chunks])[places]


def _moved(rows: Sequence[_Row], gone: Iterable[Frozen]) -> dict[int, Split]:
    """Rows whose text stood in a split to be judged by under a name that is no more; test goes before validation."""
    splits: dict[str, Split] = {}
    for item in gone:
        if _rank(item.split) > _rank(splits.get(item.content, "train")):
            splits[item.content] = item.split
    return {
        at: splits[row.item.content]
        for at, row in enumerate(rows)
        if _rank(row.item.split) < _rank(splits.get(row.item.content, "train"))
    }


def _back(rows: Sequence[_Row], changed: Iterable[Frozen]) -> dict[int, Split]:
    """Rows of a name that models are judged by, whose words have changed since: an offer of one tool more, or a turn
    more, would else draw their split anew. One that would be learned from now has tools that are seen."""
    splits: dict[str, Split] = {}
    for item in changed:
        if _rank(item.split) > _rank(splits.get(item.conversation_id, "train")):
            splits[item.conversation_id] = item.split
    found: dict[int, Split] = {}
    for at, row in enumerate(rows):
        once = splits.get(row.item.id, "train")
        if row.item.split != "excluded" and _rank(row.item.split) < _rank(once):
            exposure = row.item.split.partition("_")[2] or "seen"
            found[at] = cast(Split, f"{once.partition('_')[0]}_{exposure}")
    return found


def _rank(split: Split) -> int:
    return 2 if split in TEST_SPLITS else 1 if split in JUDGED else 0


def _inside(rows: Sequence[_Row], signatures: NDArray[np.uint32]) -> list[_Twin]:
    """Learners that repeat or resemble a judged conversation of the same version."""
    judged = sorted((at for at, row in enumerate(rows) if row.item.split in JUDGED), key=lambda at: rows[at].item.id)
    named = [_Judged(rows[at].item.id, rows[at].item.split, rows[at].item.content) for at in judged]
    return _twins(rows, signatures, named, signatures[judged])


def _outside(rows: Sequence[_Row], signatures: NDArray[np.uint32], absent: Iterable[Frozen]) -> list[_Twin]:
    """Learners that repeat or resemble a conversation of the evaluation set that this version does not hold."""
    ordered = sorted(absent, key=lambda item: (item.conversation_id, item.content))
    named = [_Judged(item.conversation_id, item.split, item.content) for item in ordered]
    return _twins(rows, signatures, named, signature_matrix(ordered))


def _twins(
    rows: Sequence[_Row], signatures: NDArray[np.uint32], judged: Sequence[_Judged], others: NDArray[np.uint32]
) -> list[_Twin]:
    learners = [at for at, row in enumerate(rows) if row.item.split == "train"]
    first: dict[str, _Judged] = {}
    for one in judged:
        first.setdefault(one.content, one)
    found: dict[int, _Twin] = {}
    for at in learners:
        if (same := first.get(rows[at].item.content)) is not None:
            found[at] = _Twin(at, "exact", f"says the same as {same.id} ({same.split})")
    for near in near_duplicates(signatures[learners], others):
        at, like = learners[near.learner], judged[near.judged]
        found.setdefault(at, _Twin(at, "near", f"{near.similarity:.2f} like {like.id} ({like.split})"))
    return [found[at] for at in sorted(found)]


def _beyond(rows: Sequence[_Row], left: Container[int], limit: int | None) -> list[int]:
    """Learners that stay so far, without the first ``limit`` by the hash of their record."""
    if limit is None:
        return []
    learners = [at for at, row in enumerate(rows) if row.item.split == "train" and at not in left]
    return sorted(learners, key=lambda at: stable_fraction(rows[at].item.record_id))[limit:]


def _by_chunk(rows: Iterable[_Row]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(row.chunk, set()).add(row.item.id)
    return found


def _counted(inside: Iterable[_Twin], outside: Iterable[_Twin], rows: Iterable[_Row]) -> dict[str, int]:
    """Duplicates by kind: of a judged conversation here or elsewhere, and exact ones inside one split."""
    counts = Counter(twin.kind for twin in inside) + Counter(f"{twin.kind}_elsewhere" for twin in outside)
    said = Counter((row.item.split, row.item.content) for row in rows)
    again = sum(number - 1 for number in said.values())
    return dict(sorted((counts + Counter(exact_within_split=again)).items()))


def _effects(rows: Sequence[_Row], moved: Mapping[int, Split], outside: Iterable[_Twin]) -> str:
    told = [f"{rows[at].item.id} to {split}" for at, split in moved.items()]
    told += [f"{rows[twin.at].item.id} {twin.detail}" for twin in outside]
    return hashlib.sha256(json.dumps(sorted(told)).encode()).hexdigest() if told else ""
