"""Does a model do what its thought says? Actions beside what the thought before them announces.

A thought that finds that a value is missing helps only if asking follows it (docs/log.md, 2026-11-29: on unseen tools a
quarter of such thoughts were followed by a call), and one that lists a call's arguments only if the call has these (on
unseen tools a third of the calls had others, 2026-11-30, and 3 % of those were right). Read from the thought's own
words, so it says something of models whose thoughts still speak as they were primed to; how many announce nothing is
told beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

Announced = Literal["call", "question"]

#: "so I call it", "I first ask to confirm"; not "I call nothing". An adverb may stand between.
_ANNOUNCING = re.compile(r"\bI (?:\w+ )?(?:(?P<call>call)(?! nothing)|(?P<question>ask|confirm))\b")


def announced(reasoning: Any) -> Announced | None:
    """What a thought says will follow it, by its last words that say so: ``call``, ``question``, or None.

    Args:
        reasoning: The thought; what is no text announces nothing.
    """
    found = list(_ANNOUNCING.finditer(reasoning)) if isinstance(reasoning, str) else []
    if not found:
        return None
    return "call" if found[-1]["call"] else "question"


#: ``name=value`` in a thought, less what it does not know: ``name=?``.
_TOLD = re.compile(r"(?<![\w.])(?P<name>[A-Za-z_]\w*)=(?!\?)")


def same_arguments(reasoning: Any, action: Any) -> bool | None:
    """Whether a turn's calls have the arguments that the thought before them gives values to, no more and no fewer.

    None where the thought names none, or no call can be read. By name alone: a value may be written otherwise.

    Args:
        reasoning: The thought.
        action: Calls as JSON.
    """
    if not isinstance(reasoning, str) or not isinstance(action, str) or not action.startswith("["):
        return None
    told = {found["name"] for found in _TOLD.finditer(reasoning)}
    try:
        calls = json.loads(action)
    except ValueError:  # an answer that begins with a bracket
        return None
    given = [call["arguments"] for call in calls if isinstance(call, dict) and isinstance(call.get("arguments"), dict)]
    return told == {name for one in given for name in one} if told and given else None


def heeded(announcement: Announced, called: bool) -> bool:
    """Whether the action is of the kind that was announced: a call after ``call``, none after ``question``."""
    return called == (announcement == "call")


@dataclass(frozen=True)
class Heeding:
    """Turns whose thought announces one kind of action."""

    thoughts: int
    followed: int
    """Turns with an action of that kind: a call after ``call``, none after ``question``."""
    right: float
    """Turn success where the thought was followed, NaN where none was."""
    right_against: float
    """Turn success where it was not."""
    same: int = 0
    """Of the calls that followed and whose arguments the thought names, those with these very arguments."""
    named: int = 0
    """How many those calls are; 0 for questions."""


def heeding(frames: Iterable[pd.DataFrame]) -> dict[Announced, Heeding]:
    """What is announced, and what followed, over all frames of outcomes; only what is announced at all."""
    import pandas as pd

    kept = [frame for frame in frames if len(frame) and frame["announced"].notna().any()]
    if not kept:
        return {}
    every = pd.concat(kept)
    found: dict[Announced, Heeding] = {}
    for kind in get_args(Announced):
        rows = every[every["announced"] == kind]
        followed = rows["called"].astype(bool) == (kind == "call")
        same = rows.loc[followed, "same_arguments"].dropna().astype(bool)
        if len(rows):
            found[kind] = Heeding(
                thoughts=len(rows),
                followed=int(followed.sum()),
                right=float(rows.loc[followed, "turn_success"].astype(float).mean()),
                right_against=float(rows.loc[~followed, "turn_success"].astype(float).mean()),
                same=int(same.sum()),
                named=len(same),
            )
    return found
