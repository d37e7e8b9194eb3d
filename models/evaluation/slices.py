"""Parts of an evaluation that are looked at on their own, each a condition on its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from models.evaluation.table import exposure

if TYPE_CHECKING:
    import pandas as pd

#: Messages before a turn from which its history counts as long: half of SGD's turns have fewer than 12.
LONG_HISTORY = 16
#: Edges of the history lengths that are plotted, in messages.
HISTORY_EDGES = (0, 4, 8, 12, 16, 24, 1000)


def messages_before(frame: pd.DataFrame) -> Any:
    """How many messages stand before each decision point: its id ends in that number."""
    return frame["decision_point_id"].str.rpartition("#")[2].astype(int)


SLICES: Mapping[str, Callable[[Any], Any]] = {
    "seen": lambda frame: frame["split"].map(exposure) == "seen",
    "unseen": lambda frame: frame["split"].map(exposure) == "unseen",
    "mixed": lambda frame: frame["split"].map(exposure) == "mixed",
    "call turns": lambda frame: frame["kind"] == "call",
    "no-call turns": lambda frame: frame["kind"] == "answer",
    "long history": lambda frame: messages_before(frame) >= LONG_HISTORY,
    "short history": lambda frame: messages_before(frame) < LONG_HISTORY,
}


def part(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of a slice.

    Raises:
        KeyError: No such slice.
    """
    return frame[SLICES[name](frame)] if len(frame) else frame


def calls_begun(frame: pd.DataFrame) -> pd.Series:
    """Whether a call was begun on each turn, well-formed or not; outcomes, which have no text, bring it along.

    What stands in a thought is no action, and a thought that never ends is followed by none.
    """
    if "called" in frame:
        return frame["called"].astype(bool)
    after = frame["text"].where(~frame["thinking"].astype(bool), frame["text"].map(_after_thought))
    return after.str.contains("</?tool_call>")  # as the parser: a stray end is an attempt, too


def _after_thought(text: str) -> str:
    return text.partition("</think>")[2]


def decision_figures(frame: pd.DataFrame) -> dict[str, float]:
    """Precision and recall of the decision to call: of the turns where one was begun, and where one was due."""
    begun = calls_begun(frame)
    due = frame["kind"] == "call"
    right = float((begun & due).sum())
    return {
        "precision": right / float(begun.sum()) if begun.any() else float("nan"),
        "recall": right / float(due.sum()) if due.any() else float("nan"),
    }


def conversation_figures(frame: pd.DataFrame) -> dict[str, float]:
    """Share of conversations with every judged turn right, and the mean turn (from 1) at which others first fail."""
    ordered = frame.assign(at=messages_before(frame)).sort_values(["conversation_id", "at"])
    ordered["turn"] = ordered.groupby("conversation_id").cumcount() + 1
    whole = ordered.groupby("conversation_id")["turn_success"].all()
    wrong = ordered[~ordered["turn_success"].astype(bool)].groupby("conversation_id")["turn"].min()
    return {
        "conversations": float(len(whole)),
        "all_right": float(whole.mean()) if len(whole) else float("nan"),
        "first_failing_turn": float(wrong.mean()) if len(wrong) else float("nan"),
    }
