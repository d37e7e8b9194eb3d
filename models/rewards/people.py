"""Against people: how well a score that never saw gold ranks actions that people judged good above those they did not.

Rows come from Taskmaster's human 0/1 judgements (``data/judgements.py``), two corpora and two kinds of action apart.
What was looked at while the constants of ``gold_free`` were chosen is one half, by hash of the dialogue's opening; what
is reported is the other. Intervals draw whole openings: rows of one script share its user, its tools and its traps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from data.judgements import Corpus, Judgement
from data.schema import Act, DecisionPoint, Fact, Message
from data.settings import RewardWeights
from models.evaluation.ranking import auc, auc_difference
from models.evaluation.statistics import Interval
from models.rewards.acts import acts_of
from models.rewards.gold_free import GoldFree, gold_free, result_values
from models.rewards.variants import NAMES, load_reward
from models.speech.parsing import parse_completion
from models.speech.template import PLACEHOLDER_THOUGHT, completion_text
from models.wording import plain

Half = Literal["tuning", "reporting", "all"]
_LEAST_VALUE = 3


@dataclass(frozen=True)
class Agreement:
    """How one score agrees with people on one set of rows."""

    corpus: Corpus
    rows: str
    """``call`` or ``text``; with a reference, what was scored."""
    half: Half
    score: str
    good: int
    auc: Interval
    above_validity: Interval | None = None
    """AUC minus that of schema validity alone on the same rows."""


def half_of(row: Judgement) -> Half:
    """Which half a row belongs to: all rows of one opening fall into the same."""
    return "reporting" if int(row.opening_id, 16) % 2 else "tuning"


def readings(row: Judgement) -> GoldFree:
    """The gold-free readings of a judged action."""
    parsed = parse_completion(completion_text(row.action, None), thinking=False, tools=row.tools)
    return gold_free(row.history, row.tools, parsed)


def agreements(rows: Sequence[Judgement], half: Half, *, seed: int = 0) -> list[Agreement]:
    """Gold-free score, its readings and schema validity alone against people, call and text rows apart.

    A constant ranks nothing: its AUC is 0.5 by definition, so an interval above 0.5 is above a constant.
    """
    found: list[Agreement] = []
    for kind in ("call", "text"):
        some = [row for row in rows if row.kind == kind and half in ("all", half_of(row))]
        if some:
            found += _of_kind(some, half, kind, seed)
    return found


def _of_kind(rows: Sequence[Judgement], half: Half, kind: str, seed: int) -> list[Agreement]:
    read = [readings(row) for row in rows]
    good, openings = [row.good for row in rows], [row.opening_id for row in rows]
    validity = [one.valid for one in read]
    scores = {
        "gold-free": [one.score for one in read],
        "schema validity": validity,
        "grounded": [one.grounded for one in read],
        "fresh": [one.fresh for one in read],
        "asked": [one.asked for one in read],
        "useful": [one.useful for one in read],
    }
    return [
        Agreement(
            corpus=rows[0].corpus,
            rows=kind,
            half=half,
            score=name,
            good=sum(good),
            auc=auc(values, good, openings, seed=seed),
            above_validity=auc_difference(values, validity, good, openings, seed=seed) if name == "gold-free" else None,
        )
        for name, values in scores.items()
    ]


def against_reference(rows: Sequence[Judgement], *, seed: int = 0) -> list[Agreement]:
    """Each reward variant, with the first action of a context that was judged good as gold, on the context's others.

    The gold-free score stands beside them on the same rows: what gold adds.
    """
    pairs = list(_pairs(rows))
    weights = RewardWeights()
    scorers: dict[str, Callable[[Judgement, Judgement], float]] = {name: _variant(name, weights) for name in NAMES} | {
        "gold-free": lambda reference, row: readings(row).score
    }
    found: list[Agreement] = []
    for kind in ("call", "text"):
        some = [(reference, row) for reference, row in pairs if row.kind == kind]
        for name, score in scorers.items():
            values = [score(reference, row) for reference, row in some]
            good, openings = [row.good for _, row in some], [row.opening_id for _, row in some]
            if some:
                interval = auc(values, good, openings, seed=seed)
                found.append(Agreement(some[0][1].corpus, kind, "all", name, sum(good), interval))
    return found


def _pairs(rows: Iterable[Judgement]) -> Iterable[tuple[Judgement, Judgement]]:
    """Every row beside the first good one of its context."""
    contexts: dict[str, list[Judgement]] = {}
    for row in rows:
        contexts.setdefault(row.context_id, []).append(row)
    for same in contexts.values():
        reference = next((row for row in same if row.good), None)
        if reference is not None:
            yield from ((reference, row) for row in same if row is not reference)


def _variant(name: str, weights: RewardWeights) -> Callable[[Judgement, Judgement], float]:
    reward = load_reward(name, weights)

    def score(reference: Judgement, row: Judgement) -> float:
        text = completion_text(row.action, PLACEHOLDER_THOUGHT)
        return reward.total(reward.score(decision_point(reference), text, thinking=True).parts)

    return score


def decision_point(row: Judgement) -> DecisionPoint:
    """The decision point whose gold is the judged action; an answer's acts and facts are read off its wording.

    Facts are the values of the latest results that the answer conveys: nobody annotated these rows.
    """
    calls, text = row.action.tool_calls, row.action.content or ""
    return DecisionPoint(
        id=row.id,
        conversation_id=row.id,
        message_index=len(row.history),
        source=row.corpus,
        split="excluded",
        domain=row.corpus,
        kind="call" if calls else "answer",
        tool=calls[0].name if calls else None,
        tools=row.tools,
        history=row.history,
        expected=row.action if calls else _annotated(row.history, text),
    )


def _annotated(history: Sequence[Message], text: str) -> Message:
    folded = plain(text)
    conveyed = dict.fromkeys(one for one in result_values(history) if len(one) >= _LEAST_VALUE and one in folded)
    facts = tuple(Fact(name="result", kind="value", forms=(one,)) for one in conveyed)
    acts: tuple[Act, ...] = tuple(sorted(acts_of(text)))
    return Message(role="assistant", content=text, facts=facts, acts=acts)
