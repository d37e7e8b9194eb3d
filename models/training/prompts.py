"""Which decision points GRPO practises on, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.decision_points import by_conversation
from data.pass_rates import PassRate, read_pass_rates
from data.reporting import Reporter
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from models.rewards.gold import audit
from models.rewards.variants import load_reward
from models.speech.template import prompt_text
from models.training.curriculum import Curriculum, plan
from models.training.draws import frozen_rates
from models.training.withheld import is_withheld

#: Turns that must be left for ``call_share`` to be kept, where it leaves less than a quarter of them.
LEAST_KEPT = 100
#: Multiples of it, modulo 1, are spread evenly over any stretch of them.
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Practice:
    """The points in order of use, counts (offered, barred by the gold check, resting, used), and what chose them."""

    points: list[DecisionPoint]
    counts: dict[str, int]
    curriculum: Curriculum
    rates: dict[str, PassRate]
    """Pass rates as the run found them when it began."""


def fitting_prompts(
    tokenizer: Any, points: Sequence[DecisionPoint], settings: GRPOSettings, reporter: Reporter
) -> dict[str, str]:
    """Prompt by decision point id, of the points whose prompt leaves room for a completion.

    To be asked before the points are put in order: late turns are too long more often, and answers among them, so
    what is left of an order has another share of calls (57 % on SGD where half were asked).
    """
    longest = settings.max_length - settings.max_completion_length
    fitting: dict[str, str] = {}
    conversations = by_conversation(points)
    reporter.phase("rendering prompts", total=float(len(conversations)), unit="conversations")
    for number, members in enumerate(conversations.values()):
        reporter.update(number)
        prompts = {
            point.id: prompt_text(tokenizer, point.history, point.tools, thinking=settings.thinking)
            for point in members
        }
        for name in sorted(prompts, key=lambda name: len(prompts[name])):
            if len(tokenizer(prompts[name], add_special_tokens=False)["input_ids"]) > longest:
                break  # longer prompts of a conversation go on from here; counting their tokens took most of the time
            fitting[name] = prompts[name]
    return fitting


def practice(points: Sequence[DecisionPoint], settings: GRPOSettings, seed: int, run_dir: Path) -> Practice:
    """Decision points whose gold reaches the maximum reward, less those that rest, call and answer turns mixed.

    The order is a shuffle by ``seed``; call and answer turns are interleaved so that every step sees both kinds.

    Args:
        points: Decision points of the train split, less those too long to practise on.
        settings: Gives the reward of the gold check, the curriculum and the share of call turns.
        seed: Of the order.
        run_dir: Where the pass rates are frozen for the case of a resume.
    """
    report = audit(points, load_reward(settings.reward, settings.weights))
    usable = [point for point in points if point.id not in report.barred]
    rates = frozen_rates(run_dir, usable, settings.rest_after)
    evidence = sum(rate.attempts for rate in rates.values())  # so that others return once more is known
    curriculum = plan(usable, rates, settings, (seed, evidence), known_seconds_per_group())
    resting = 0 if settings.curriculum == "off" else curriculum.resting
    mixed = in_order(curriculum.points if resting else usable, settings, seed)
    counts = {"offered": len(points), "barred": len(points) - len(usable), "resting": resting, "used": len(mixed)}
    counts["withheld"] = sum(map(is_withheld, mixed))
    counts["surplus"] = max(0, len(usable) - resting - len(mixed))
    counts["calls"] = sum(point.kind == "call" for point in mixed)
    return Practice(mixed, counts, curriculum, rates)


def in_order(points: Sequence[DecisionPoint], settings: GRPOSettings, seed: int) -> list[DecisionPoint]:
    """Conversations shuffled by ``seed``, a few decision points of each in a row, calls and answers interleaved.

    Neighbours share their history, which is computed once if they meet in a step. A conversation gives only
    ``settings.points_per_conversation`` at a time and comes again, with others of its decision points, once every
    conversation had its turn, so that a run that ends early has seen many. A step takes its prompts from this order as
    they come: a conversation with fewer makes room for the next, and one that crosses a step's end is computed in both.

    ``settings.call_share`` holds for any stretch of the order, the first of a short run included: conversations do not
    all begin with a call. What one kind of turn has more than that takes rests, unless hardly anything would be left.
    """
    mixed = _in_proportion(points, settings, seed)
    if len(mixed) >= min(LEAST_KEPT, len(points) / 4):
        return mixed
    # Of a thousand conversations of one call each, one answer among them would leave two turns.
    order = random.Random(f"practice-{seed}")
    conversations = by_conversation(sorted(points, key=lambda point: point.id))
    return _by_turns([order.sample(members, len(members)) for members in _shuffled(conversations, order)], settings)


def _in_proportion(points: Sequence[DecisionPoint], settings: GRPOSettings, seed: int) -> list[DecisionPoint]:
    order = random.Random(f"practice-{seed}")
    conversations = by_conversation(sorted(points, key=lambda point: point.id))
    both = [members for members in conversations.values() if _both_kinds(members)]
    alone = [members for members in conversations.values() if not _both_kinds(members)]
    single = [point for members in alone for point in members]
    if both or _both_kinds(single):
        ready = _shared_out(single, settings, order)
    else:
        ready = [order.sample(members, len(members)) for members in alone]
    places = list(range(len(both) + len(ready)))
    order.shuffle(places)
    mixed = [
        _mixed(members, settings, order, place * _GOLDEN % 1) for members, place in zip(both, places, strict=False)
    ]
    complete = [members for _, members in sorted(zip(places, [*mixed, *ready], strict=True), key=lambda one: one[0])]
    if single and not ready:
        for lot in _with_what_rests(single, both, mixed, settings, order):
            complete.insert(order.randrange(len(complete) + 1), lot)
    return _by_turns(complete, settings)


def _with_what_rests(
    single: list[DecisionPoint],
    both: list[list[DecisionPoint]],
    mixed: list[list[DecisionPoint]],
    settings: GRPOSettings,
    order: random.Random,
) -> list[list[DecisionPoint]]:
    """Where conversations of one kind of turn all have the same one, they meet the other where others have too many."""
    used = {point.id for members in mixed for point in members}
    other = [p for members in both for p in members if p.id not in used and p.kind != single[0].kind]
    return _shared_out([*single, *other], settings, order)


def _by_turns(conversations: Sequence[Sequence[DecisionPoint]], settings: GRPOSettings) -> list[DecisionPoint]:
    """A few of each, then the next few of each."""
    size = settings.points_per_conversation
    longest = max(map(len, conversations), default=0)
    return [point for start in range(0, longest, size) for one in conversations for point in one[start : start + size]]


def _shuffled(conversations: dict[str, list[DecisionPoint]], order: random.Random) -> list[list[DecisionPoint]]:
    return order.sample(list(conversations.values()), len(conversations))


def _both_kinds(points: Sequence[DecisionPoint]) -> bool:
    return len({point.kind for point in points}) > 1


def _shared_out(points: list[DecisionPoint], settings: GRPOSettings, order: random.Random) -> list[list[DecisionPoint]]:
    """What is left of conversations with one kind of turn only (the others rest), mixed across them, in small lots."""
    if not _both_kinds(points):
        return []
    mixed, size = _mixed(points, settings, order, 0.0), settings.points_per_conversation
    return [mixed[start : start + size] for start in range(0, len(mixed), size)]


def _mixed(
    points: Sequence[DecisionPoint], settings: GRPOSettings, order: random.Random, phase: float
) -> list[DecisionPoint]:
    """The decision points of one conversation, shuffled, call and answer turns interleaved, and among the latter those
    with a value withheld."""
    calls, answers, withheld = parts = (
        [point for point in points if point.kind == "call"],
        [point for point in points if point.kind == "answer" and not is_withheld(point)],
        [point for point in points if is_withheld(point)],
    )
    for members in parts:
        order.shuffle(members)
    if withheld and answers:
        of_answers = settings.withheld_share / (1 - settings.call_share)
        answers = interleave(withheld, answers, of_answers, (phase + _GOLDEN) % 1)
    return interleave(calls, answers or withheld, settings.call_share, phase)


def known_seconds_per_group() -> float | None:
    """How long a group took in the newest run that could tell."""
    kept = read_pass_rates().dropna(subset=["seconds_per_group"])
    return None if kept.empty else float(kept.sort_values("last_at")["seconds_per_group"].iloc[-1])


def interleave(
    calls: list[DecisionPoint], answers: list[DecisionPoint], call_share: float, phase: float
) -> list[DecisionPoint]:
    """Both kinds in the given proportion as far as the scarcer one lasts; if one is missing, the other alone.

    ``phase`` (0 to below 1) says how much of a call is due before the first: over phases spread evenly, a call stands
    at each place as often as ``call_share`` says (systematic sampling).
    """
    if not calls or not answers:
        return calls or answers
    lasting = int(min(len(calls) / call_share, len(answers) / (1 - call_share)) + phase)
    mixed: list[DecisionPoint] = []
    taken = 0
    while len(mixed) < lasting:
        call_due = taken + 1 <= call_share * (len(mixed) + 1) + phase
        source, at = (calls, taken) if call_due else (answers, len(mixed) - taken)
        if at == len(source):
            break
        mixed.append(source[at])
        taken += call_due
    return mixed
