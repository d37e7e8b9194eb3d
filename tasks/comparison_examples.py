"""Turns of a comparison that turned right or wrong, quoted: beside its page, since they are the dataset's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.files import write_whole
from models.evaluation import failures
from tasks.before_after import action_text

if TYPE_CHECKING:
    import pandas as pd

    from data.schema import DecisionPoint

#: Turns that are quoted of each kind.
EXAMPLES = 10


def examples(file: Path, found: Mapping[str, pd.DataFrame], points: Mapping[str, DecisionPoint], seed: int) -> None:
    """Ten turns each that turned right and wrong, from SFT to each GRPO arm; beside the page, since they quote data.

    Args:
        file: Where they are written.
        found: Rows with ``cause`` and ``text`` by arm.
        points: Their decision points, as far as the dataset is here: what the user said and what was due.
        seed: The training seed that all rows are of.
    """
    parts = [
        "# Examples\n\nCompletions and turns quote the dataset: do not publish them without its licence. All of seed "
        f"{seed}; of as many causes as possible, so not as often as they occur."
    ]
    for after in ("grpo-thinking", "grpo-plain", "sft-continued"):
        if "sft" not in found or after not in found:
            continue
        for right, heading in ((True, "wrong → right"), (False, "right → wrong")):
            every = failures.turned(found["sft"], found[after], right=right, most=len(found[after]))
            rows = every.head(EXAMPLES).to_dict("records")
            parts.append(f"## sft → {after}, {heading}: {len(rows)} of {len(every)}")
            parts += [_example(row, points.get(row["decision_point_id"])) for row in rows]
    write_whole(file, "\n\n".join(parts) + "\n")


def _example(row: Mapping[Any, Any], point: DecisionPoint | None) -> str:
    causes = [row["cause_before"] or "right", row["cause_after"] or "right"]
    texts = [str(row[side]) for side in ("text_before", "text_after")]
    told = [(f"before, {causes[0]}", texts[0]), (f"after, {causes[1]}", texts[1])]
    if point is not None:
        last = point.history[-1]
        told = [(f"last, by the {last.role}", action_text(last)), ("due", action_text(point.expected)), *told]
    quoted = (f"{what}:\n\n    " + text.replace("\n", "\n    ") for what, text in told)
    return "\n\n".join([f"`{row['decision_point_id']}` ({row['kind']})", *quoted])
