"""The datasets of a comparison: what its arms learn from, and where else they are judged (evaluation only)."""

from __future__ import annotations

from data import snapshot
from data.schema import TEST_SPLITS, VALIDATION_SPLITS, Conversation, Split
from tasks.ingest import dataset, require_trainable

#: The farthest paraphrase of SGD's schemas, and the outside judge.
ELSEWHERE = ("bfcl", "sgd-x-v5")


class OthersHeldOut(ValueError):
    """Two datasets do not hold out the same; the message names them and the way out."""


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


def practised(version: str, judged: str) -> str:
    """A dataset for RL and its twins to learn from: it holds out the very conversations that ``judged`` does.

    Raises:
        MissingUpstream: There is none of that version, or it has no train split.
        OthersHeldOut: It holds out something else, so that arms would not be judged on the same turns.
    """
    found = whole(version)
    if _held_out(found) != _held_out(judged):
        raise OthersHeldOut(
            f"dataset {found} has other conversations in validation and test than {judged}, so its arms would be "
            "judged on other turns; ingest both with the same options but for what changes training conversations "
            "(data.rename_tools)"
        )
    return found


def _held_out(version: str) -> dict[str, Conversation]:
    held_out = snapshot.read_conversations(version, splits=[*VALIDATION_SPLITS, *TEST_SPLITS])
    return {one.id: one for one in held_out}


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
