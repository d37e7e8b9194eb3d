"""What is drawn in the place of a group without variance: the same prompt again, or another that promises more.

TRL has no dynamic sampling (DAPO, arXiv 2503.14476, section 3.2). Here a step's batch is put right before TRL sees it.
Which prompt takes a place is a function of run seed, step, draw and the pass rates frozen when the run began, and each
completion's random stream of run seed, step, decision point and k with k = draw * group size + index: a step that is
done again after a resume draws the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from data.files import write_whole
from data.pass_rates import PassRate, known_rates, read_pass_rates
from data.schema import DecisionPoint

#: JSON lines with a ``decision_point_id`` each, so that forgetting a conversation finds its own.
FROZEN = "pass_rates.jsonl"


def substitutes(
    wanted: Sequence[str],
    pool: Mapping[str, str],
    rates: Mapping[str, PassRate],
    taken: Collection[str],
    key: tuple[int | str, ...],
    group: int,
) -> list[str | None]:
    """Decision points to draw instead, those whose groups promise variance more often.

    Drawn without replacement with probability in proportion to the promise (Efraimidis and Spirakis 2006: the largest
    ``u ** (1 / weight)``), and every kind of turn by its own kind, so that the share of call turns stays.

    Args:
        wanted: Kind of turn of each place, ``call`` or ``answer``.
        pool: Kind by decision point id, of all prompts of the run.
        rates: What is known of them; an unknown one is as likely as not to have variance.
        taken: Decision points that are in the batch already.
        key: What the choice is a function of: run seed, step, draw.
        group: Completions per prompt.

    Returns:
        An id for each place; None where no prompt of its kind is left.
    """
    ranked = {kind: _ranked(kind, pool, rates, taken, key, group) for kind in set(wanted)}
    return [ranked[kind].pop(0) if ranked[kind] else None for kind in wanted]


def _ranked(
    kind: str,
    pool: Mapping[str, str],
    rates: Mapping[str, PassRate],
    taken: Collection[str],
    key: tuple[int | str, ...],
    group: int,
) -> list[str]:
    def rank(identifier: str) -> float:
        rate = rates.get(identifier)
        promise = rate.promise(group) if rate else 0.5
        return math.log(uniform(*key, identifier)) / max(promise, 1e-6)

    return sorted((one for one, its in pool.items() if its == kind and one not in taken), key=rank, reverse=True)


def uniform(*key: int | str) -> float:
    """A number in (0, 1) that is a function of ``key`` alone."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "little") + 0.5) / 2**64


def frozen_rates(run_dir: Path, points: Sequence[DecisionPoint], window: int) -> dict[str, PassRate]:
    """Pass rates of the points as they were when the run began: what is learned meanwhile must not change a resume."""
    file = run_dir / FROZEN
    if not file.exists():
        rates = known_rates(read_pass_rates(), points, window)
        rows = [json.dumps({"decision_point_id": name, **asdict(rate)}) + "\n" for name, rate in rates.items()]
        write_whole(file, "".join(rows))
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {row.pop("decision_point_id"): PassRate(**row) for row in told}
