"""Grounding and kinds of act on recorded answers: how often a right answer is accused, and how fast.

    .venv/bin/python benchmarks/grounding.py --source sgd --path ../shared/data/sgd --conversations 600 --examples 20

What people recorded is right by definition, so each recorded answer with an ungrounded value is a false alarm or a
flaw of the data. Acts found by wording stand against the annotated ones: precision and recall of each. The last line is
JSON; ``answers_a_minute`` counts CPU time of one core with every history new, the hardest case: in GRPO they repeat.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data.schema import DecisionPoint


def answers_of(source: str, path: Path | None, conversations: int) -> list[DecisionPoint]:
    """The answer turns of so many conversations."""
    from data.decision_points import decision_points
    from data.reporting import Silent
    from data.schema import Conversation
    from data.settings import DataSettings
    from data.sources import get_source

    settings = DataSettings(source=source, path=path, conversations=conversations)
    read = (one for one in get_source(source).read(settings, Silent()) if isinstance(one, Conversation))
    return [point for one in read for point in decision_points(one) if point.kind == "answer"]


def acts_table(points: list[DecisionPoint]) -> dict[str, dict[str, float]]:
    """Precision, recall and number of each annotated act."""
    from models.rewards.acts import acts_of

    counts: dict[str, Counter[str]] = {}
    for point in points:
        due, found = set(point.expected.acts), acts_of(point.expected.content or "")
        for act in due | found:
            outcome = "both" if act in due & found else "found" if act in found else "due"
            counts.setdefault(str(act), Counter())[outcome] += 1
    return {
        act: {
            "precision": round(seen["both"] / max(1, seen["both"] + seen["found"]), 3),
            "recall": round(seen["both"] / max(1, seen["both"] + seen["due"]), 3),
            "n": seen["both"] + seen["due"],
        }
        for act, seen in sorted(counts.items())
    }


def main() -> None:
    """Accuse, time, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--source", default="simulated")
    arguments.add_argument("--path", type=Path)
    arguments.add_argument("--conversations", type=int, default=200)
    arguments.add_argument("--examples", type=int, default=10)
    chosen = arguments.parse_args()

    from models.evaluation.statistics import clustered_interval
    from models.rewards.grounding import ungrounded_values

    points = answers_of(chosen.source, chosen.path, chosen.conversations)
    started = time.process_time()
    found = [ungrounded_values(point.history, point.expected.content or "", point.tools) for point in points]
    seconds = time.process_time() - started
    accused = [(values, point.expected.content) for values, point in zip(found, points, strict=True) if values]
    for values, text in accused[: chosen.examples]:
        print(f"{', '.join(values):30} | {text}")
    share = clustered_interval([bool(values) for values in found], [point.conversation_id for point in points])
    result: dict[str, Any] = {
        "benchmark": "grounding",
        "source": chosen.source,
        "answers": len(points),
        "accused": len(accused),
        "accused_share": [round(value, 5) for value in (share.mean, share.low, share.high)],
        "answers_a_minute": round(len(points) / seconds * 60),
        "acts": acts_table(points),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
