"""Rewards against people: AUC of scores that never saw gold on Taskmaster's human 0/1 judgements.

    .venv/bin/python benchmarks/people.py --path ../shared/data/taskmaster

Per corpus and kind of action: rows, how many were judged good, and each score's AUC with its 95 % interval, on the half
that was not looked at while constants were chosen (``--half all`` for all rows). A constant has 0.5. Then, where a
context has an action judged good, every reward variant with that action as gold, on the context's other actions.
The last line is JSON with all figures.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.rewards.people import Agreement


def shown(found: Agreement) -> str:
    """One line of the table."""
    auc = found.auc
    line = f"{found.corpus}  {found.rows:4}  n {auc.n:4}  good {found.good:4}  {found.score:15}"
    line += f"  AUC {auc.mean:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    if found.above_validity is not None:
        above = found.above_validity
        line += f"  above validity {above.mean:+.3f} [{above.low:+.3f}, {above.high:+.3f}]"
    return line


def as_json(found: Agreement, part: str) -> dict[str, Any]:
    """The figures of one line."""
    auc = found.auc
    numbers = [None if math.isnan(value) else round(value, 4) for value in (auc.mean, auc.low, auc.high)]
    return {
        "part": part,
        "corpus": found.corpus,
        "rows": found.rows,
        "half": found.half,
        "score": found.score,
        "n": auc.n,
        "good": found.good,
        "openings": auc.clusters,
        "auc": numbers,
    }


def main() -> None:
    """Read the judgements, print both tables."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--path", type=Path, default=Path("../shared/data/taskmaster"))
    arguments.add_argument("--half", choices=["tuning", "reporting", "all"], default="reporting")
    arguments.add_argument("--seed", type=int, default=0)
    chosen = arguments.parse_args()

    from data.judgements import CORPORA, read_judgements
    from models.rewards.people import against_reference, agreements

    figures: list[dict[str, Any]] = []
    for corpus in CORPORA:
        rows = read_judgements(chosen.path, corpus)
        parts = {
            "without gold": agreements(rows, chosen.half, seed=chosen.seed),
            "a good action as gold": against_reference(rows, seed=chosen.seed),
        }
        for part, found in parts.items():
            print(f"\n{corpus}, {part} ({chosen.half if part == 'without gold' else 'all rows'})")
            print("\n".join(map(shown, found)))
            figures += [as_json(one, part) for one in found]
    print(json.dumps({"benchmark": "people", "seed": chosen.seed, "figures": figures}))


if __name__ == "__main__":
    main()
