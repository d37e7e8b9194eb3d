"""The same turns under several models, side by side: what each said, and whether it was right.

For people: a table in MLflow, and the conversations that the weekly report tells. Turns on which the models differ come
first, won before lost, and of those the ones with the shortest history, since they have to be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data import snapshot
from data.json_text import to_json
from data.schema import DecisionPoint, Message
from tasks.judged import SideBySide

if TYPE_CHECKING:
    import pandas as pd

MOST_TURNS = 40


@dataclass(frozen=True)
class Said:
    """What one model did at a turn."""

    model: str
    text: str
    reasoning: str | None
    right: bool


@dataclass(frozen=True)
class Turn:
    """One decision point and what each model did there, in the order of the models."""

    point: DecisionPoint
    domain: str
    split: str
    said: tuple[Said, ...]

    @property
    def change(self) -> str:
        """From the first model to the last: ``won``, ``lost``, ``right`` or ``wrong`` on both."""
        before, after = self.said[0].right, self.said[-1].right
        return {(False, True): "won", (True, False): "lost", (True, True): "right", (False, False): "wrong"}[
            (before, after)
        ]

    @property
    def expected(self) -> str:
        """The recorded action."""
        return action_text(self.point.expected)


def action_text(message: Message) -> str:
    """Calls as ``Tool(argument="value")``, one a line, or the text of an answer."""
    if not message.tool_calls:
        return message.content or ""
    return "\n".join(
        f"{call.name}({', '.join(f'{key}={to_json(value)}' for key, value in call.arguments.items())})"
        for call in message.tool_calls
    )


def turns(found: SideBySide, most: int = MOST_TURNS) -> list[Turn]:
    """Turns that all evaluations judged; those on which the first and the last differ first.

    Empty where the snapshot that holds their histories is gone.
    """
    frames = [frame.set_index("decision_point_id") for frame in found.frames]
    if not frames or frames[-1].empty:
        return []
    shared = list(frames[-1].index)
    version = str(frames[-1]["dataset_version"].iloc[0])
    try:
        points = snapshot.read_points_by_id(version, shared)
    except snapshot.SnapshotMissing:  # removed by `apprentice data gc`: the numbers stay, the turns cannot be told
        return []
    told = [_turn(points[name], name, frames, found.names) for name in shared if name in points]
    rank = {"won": 0, "lost": 1, "wrong": 2, "right": 3}
    return sorted(told, key=lambda turn: (rank[turn.change], len(turn.point.history), turn.point.id))[:most]


def table(chosen: Sequence[Turn]) -> pd.DataFrame:
    """One row per turn: the user's last words, what was due, and for each model what it wrote and whether rightly."""
    import pandas as pd

    rows = [
        {
            "change": turn.change,
            "decision_point_id": turn.point.id,
            "domain": turn.domain,
            "split": turn.split,
            "last message": _last(turn.point),
            "expected": turn.expected,
            **{f"{said.model}: {what}": value for said in turn.said for what, value in _cells(said).items()},
        }
        for turn in chosen
    ]
    return pd.DataFrame(rows)


def _cells(said: Said) -> dict[str, object]:
    return {"text": said.text, "right": said.right}


def _last(point: DecisionPoint) -> str:
    message = point.history[-1]
    return f"{message.role}: {action_text(message)}"


def _turn(point: DecisionPoint, name: str, frames: Sequence[pd.DataFrame], called: Mapping[str, str]) -> Turn:
    rows = [frame.loc[name] for frame in frames]
    said = tuple(
        Said(
            called[str(row["run_id"])],
            str(row["text"]),
            row["reasoning"] if isinstance(row["reasoning"], str) else None,
            bool(row["turn_success"]),
        )
        for row in rows
    )
    return Turn(point, str(rows[-1]["domain"]), str(rows[-1]["split"]), said)
