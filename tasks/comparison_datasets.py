"""Where else the arms of a comparison are judged: whatever evaluation-only datasets are published."""

from __future__ import annotations

from data import snapshot
from data.schema import Split
from tasks.ingest import dataset, require_trainable

#: The farthest paraphrase of SGD's schemas, and the outside judge.
ELSEWHERE = ("bfcl", "sgd-x-v5")


def elsewhere() -> dict[str, str]:
    """Newest dataset version of each source in ``ELSEWHERE`` that was ingested."""
    return {source: version for source in ELSEWHERE if (version := snapshot.latest(source)) is not None}


def whole(version: str) -> str:
    """A published dataset that may be trained on.

    Raises:
        MissingUpstream: There is none of that version, or it has no train split.
    """
    found = dataset(version)
    require_trainable(found)
    return found


def overlap(training: str, judged: str) -> int:
    """How many of the judged conversations begin as a training conversation does: the same first words of the user."""
    from data.snapshot import read_conversations
    from models.wording import normalise

    def openings(version: str, splits: list[Split] | None) -> list[str]:
        said = (
            next((message.content for message in one.messages if message.role == "user"), None)
            for one in read_conversations(version, splits=splits)
        )
        return [normalise(text or "") for text in said]

    known = set(openings(training, ["train"]))
    return sum(opening in known for opening in openings(judged, None))
