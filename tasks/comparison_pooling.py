"""One comparison from the outcomes that several machines left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from tasks.comparison import Done, State
from tasks.comparison_outcomes import PLACES, NotOneComparison, Outcomes, seed_in
from tasks.comparison_question import same_question

T = TypeVar("T")
#: Settings named at most where two comparisons differ.
MOST_NAMED = 4


def pooled(parts: Sequence[Outcomes]) -> Outcomes:
    """Several machines' outcomes of one comparison as one.

    Each seed is taken whole from the part that did most of it, so that its arms come from one and the same SFT.

    Raises:
        NotOneComparison: They were not asked the same.
    """
    import pandas as pd

    first = parts[0]
    for part in parts[1:]:
        if not same_question(part.state, first.state):
            raise NotOneComparison(_difference(first.state, part.state))
    owner = {seed: max(parts, key=lambda part: _steps_of(part, seed)) for seed in first.state.seeds}

    def owned(of: Callable[[Outcomes], Mapping[str, T]]) -> dict[str, T]:
        return {key: one for seed, part in owner.items() for key, one in of(part).items() if seed_in(key) == seed}

    done, failed = owned(lambda part: part.state.done), owned(lambda part: part.state.impossible)
    kept = [part.rows[part.rows["step"].map(seed_in) == seed] for seed, part in owner.items()]
    looked = owner[first.state.seeds[0]]  # looks aside are the first seed's, so what they were made on is its part's
    return Outcomes(
        judged_by=", ".join(sorted({part.judged_by for part in owner.values()})),
        state=looked.state.model_copy(
            update={"done": done, "impossible": failed, "taken": owned(lambda part: part.state.taken)}
        ),
        source=looked.source,
        rows=pd.concat(kept, ignore_index=True),
        costs=owned(lambda part: part.costs),
        overlaps=looked.overlaps,
        commands=list(dict.fromkeys(command for part in parts for command in part.commands)),
        chosen_on=sorted({name for part in owner.values() for name in part.chosen_on}),
        other_looks=sum(part.other_looks for part in _different(parts)) + _looks_left_out(parts, done),
        monitored=owned(lambda part: part.monitored),
    )


def _different(parts: Sequence[Outcomes]) -> Iterator[Outcomes]:
    """The parts without those that are given twice: of the same models, judgements and looks."""
    seen = set()
    for part in parts:
        what = (json.dumps(part.state.model_dump(mode="json")["done"], sort_keys=True), part.other_looks)
        if what not in seen:
            seen.add(what)
            yield part


def _looks_left_out(parts: Sequence[Outcomes], done: Mapping[str, Done]) -> int:
    """Looks at test of a part whose seed another part did more of."""
    looked = {one.result for part in parts for key, one in part.state.done.items() if key.endswith("/final")}
    return len(looked - {one.result for one in done.values()})


def _steps_of(part: Outcomes, seed: int) -> int:
    return Counter(map(seed_in, part.state.done))[seed]


def _difference(one: State, other: State) -> str:
    asked = [_flat({**_asked(each), **each.settings}) for each in (one, other)]
    names = [name for name in sorted(asked[0].keys() | asked[1].keys()) if asked[0].get(name) != asked[1].get(name)]
    named = "; ".join(f"{name}: {asked[0].get(name)} and {asked[1].get(name)}" for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    what = f"{named or 'their arms are made otherwise'}{more}"
    return f"{one.id} and {other.id} are different comparisons ({what}); pool seeds of one and the same"


def _asked(state: State) -> dict[str, Any]:
    datasets = {"dataset": state.dataset_version, "practice": state.practice_version}
    return {**datasets, "seeds": state.seeds, "arms": sorted(state.arms)}


def _flat(nested: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    def members() -> Iterator[tuple[str, Any]]:
        for name, value in nested.items():
            if isinstance(value, Mapping):
                yield from _flat(value, f"{before}{name}.").items()
            elif name not in PLACES:
                yield f"{before}{name}", value

    return dict(members())
