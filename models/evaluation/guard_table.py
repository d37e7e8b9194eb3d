"""The slices that must not become worse, on the page of a comparison: by the bounds that a promotion reckons with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from models.evaluation.document import ArmRows, answers, matched, points_of, table
from models.evaluation.guards import Guard, guarded
from models.evaluation.pairing import paired


def guarded_slice(
    arms: Sequence[ArmRows], questions: Sequence[tuple[str, str, str]], where: str, margin: float
) -> dict[tuple[str, str, str], Guard]:
    """Whether losses of turn success beyond the margin are ruled out on a guarded slice, by the bounds that a promotion
    reckons with. Its words are those of ``answers``."""
    by_name = {arm.name: arm for arm in arms}
    found = {}
    for question, verdict in answers(arms, questions, where, margin).items():
        both = matched(by_name[question[1]], by_name[question[0]], where)
        assert both is not None
        found[question] = replace(guarded(paired(*both), margin), verdict=verdict)
    return found


def guard_table(found: Mapping[str, Mapping[tuple[str, str, str], Guard]], titles: Mapping[str, str]) -> str:
    """The guarded slices: whether a loss of more than the margin is ruled out, and how large one has to be reckoned
    with."""
    rows = [
        [
            where,
            f"{titles[after]} − {titles[before]}",
            points_of(one.verdict),
            f"{100 * one.verdict.margin:.0f}",
            f"{100 * one.lowest:+.1f}",
            "ruled out" if one.ruled_out else f"not ruled out{_asking_for(one)}",
            one.verdict.word,
        ]
        for where, guards_there in found.items()
        for (after, before, _), one in guards_there.items()
    ]
    heads = ["slice", "difference of", "points [95 %]", "margin", "lowest that has to be reckoned with"]
    return table([*heads, "loss beyond the margin", "verdict"], rows)


def _asking_for(one: Guard) -> str:
    """How many conversations would be enough, where it is their number that is too small."""
    few = one.needed is not None and one.needed > one.verdict.difference.clusters
    return f" (at least {one.needed} conversations are needed, {one.verdict.difference.clusters} judged)" if few else ""
