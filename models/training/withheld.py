"""Practice in asking: call turns once more, a required value taken out of what the user said, so that asking is right.

Such turns are rare in recorded conversations, and no recorded answer tells what to say at one; an outcome does. RL on
recorded turns alone did not learn to ask there (docs/log.md, 2026-11-28). A turn like that has the id of the turn it
comes from and ``MARK``, is a function of it, and can so be made again wherever its rollouts are read.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping

from data.schema import DecisionPoint
from models.evaluation.variants import WITHHELD, without_required_information

#: What an id ends with. Its conversation and message stay readable before it, for whoever forgets a conversation.
MARK = "~withheld"
#: What the user says instead of the value. None is what evaluations put there: to be learned is that a value is
#: missing, not that certain words mean so.
INSTEAD = ("the same as last time", "what I always take", "you know which", "the one I told your colleague")


def withheld_turns(points: Iterable[DecisionPoint]) -> list[DecisionPoint]:
    """Of the call turns among ``points`` those that can be asked about, with their value taken out."""
    return [changed for point in points if (changed := _without_value(point)) is not None]


def _without_value(point: DecisionPoint) -> DecisionPoint | None:
    changed = without_required_information(point)
    if changed is None:
        return None
    # One phrase for a conversation, so that its turns go on sharing their history.
    words = random.Random(f"withheld-{point.conversation_id}").choice(INSTEAD)
    history = tuple(
        message.model_copy(update={"content": (message.content or "").replace(WITHHELD, words)})
        if message.role == "user"
        else message
        for message in changed.history
    )
    return changed.model_copy(update={"id": point.id + MARK, "history": history})


def recorded_ids(wanted: Iterable[str]) -> set[str]:
    """The ids of the recorded turns that turns of practice are or come from."""
    return {one.removesuffix(MARK) for one in wanted}


def as_practised(recorded: Mapping[str, DecisionPoint], wanted: Iterable[str]) -> dict[str, DecisionPoint]:
    """Turns of practice by id, made from the recorded turns of ``recorded_ids``; what cannot be made is left out."""
    names = set(wanted)
    made = withheld_turns(recorded[one.removesuffix(MARK)] for one in names if _comes_from(one, recorded))
    kept = {one: recorded[one] for one in names if one in recorded}
    return kept | {point.id: point for point in made}


def _comes_from(name: str, recorded: Mapping[str, DecisionPoint]) -> bool:
    return name.endswith(MARK) and name.removesuffix(MARK) in recorded


def is_withheld(point: DecisionPoint) -> bool:
    """Whether a turn of practice is one of these."""
    return point.id.endswith(MARK)
