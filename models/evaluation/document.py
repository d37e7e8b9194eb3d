"""The results of a comparison as Markdown: every figure from stored rows, with its n, its interval and its doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from models.evaluation.pairing import Seeded, item_of, paired, scores, shared_items, stacked
from models.evaluation.slices import conversation_figures, decision_figures, part
from models.evaluation.statistics import Interval
from models.evaluation.verdicts import Verdict, seeded_interval, size_in_points, verdicts

if TYPE_CHECKING:
    import pandas as pd

    from models.evaluation.noise import NoiseFloor

#: Columns of the table of all metrics: metric of ``METRICS`` → heading.
METRIC_COLUMNS = {
    "tool_name_correct": "tool name",
    "argument_names_correct": "argument names",
    "argument_values": "argument values",
    "exact_call": "exact call",
    "call_success": "call turns right",
    "answer_success": "answers right",
    "no_call_right": "answered when due",
    "facts": "facts",
    "format_ok": "format",
}


@dataclass
class ArmRows:
    """What was judged of one arm."""

    number: int
    name: str
    title: str
    frames: dict[int, pd.DataFrame]
    """Main judgement by training seed."""
    aside: dict[str, pd.DataFrame] = field(default_factory=dict)
    """Looks at changed turns and elsewhere, first seed."""
    cost: dict[str, float] = field(default_factory=dict)
    kept_steps: dict[int, float] = field(default_factory=dict)
    """By training seed, the step whose weights were kept: the one that validation chose, else the last."""
    trained: bool = True
    """Whether a training's chance is in it; the base model is the same under every seed."""


def on_common_ground(arms: Sequence[ArmRows]) -> list[ArmRows]:
    """The arms on the decision points that all of them reached under all seeds, and each look aside on those that all
    reached that took it: a budget ends where a slow model has judged fewer turns than a fast one."""
    shared = shared_items([arm.frames for arm in arms])
    looks = {name for arm in arms for name in arm.aside}
    common = {name: shared_items([{0: arm.aside[name]} for arm in arms if name in arm.aside]) for name in looks}
    return [
        replace(
            arm,
            frames={seed: _only(frame, shared) for seed, frame in sorted(arm.frames.items())},
            aside={name: _only(frame, common[name]) for name, frame in arm.aside.items()},
        )
        for arm in arms
    ]


def _only(frame: pd.DataFrame, items: set[str]) -> pd.DataFrame:
    return frame[frame["decision_point_id"].map(item_of).isin(items)]


def sliced(arm: ArmRows, name: str | None) -> dict[int, pd.DataFrame]:
    """The arm's rows in a slice; None: all."""
    return {seed: part(frame, name) if name else frame for seed, frame in arm.frames.items()}


def matched(before: ArmRows, after: ArmRows, where: str | None = None) -> tuple[Seeded, Seeded] | None:
    """Rows of both in a slice under the seeds that both were judged under; None where there is no such seed.

    What was not trained stands beside every seed of the other. What was trained under one seed meets that seed alone.
    """
    frames = [sliced(arm, where) for arm in (before, after)]
    for arm, here, there in ((before, 0, 1), (after, 1, 0)):
        if not arm.trained and frames[here]:
            alone = frames[here][min(frames[here])]
            frames[here] = dict.fromkeys(frames[there], alone)
    common = sorted(frames[0].keys() & frames[1].keys())
    left, right = ({seed: one[seed] for seed in common} for one in frames)
    return (left, right) if common else None


def interval(frames: Seeded, metric: str = "turn_success") -> Interval:
    """Mean over turns and seeds, with n = turns."""
    values, homes, seeds = stacked(frames, metric)
    return seeded_interval(values, homes, seeds)


def percent(one: Interval) -> str:
    """``43.1 % [35.0, 51.2]``, or a dash where nothing applied."""
    if not one.n:
        return "–"
    return f"{100 * one.mean:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def headline(arms: Sequence[ArmRows], slices: Sequence[str]) -> str:
    """Turn success of every arm in each slice."""
    rows = []
    for arm in arms:
        found = [interval(sliced(arm, name)) for name in slices]
        rows.append([str(arm.number), arm.title, *(percent(one) for one in found), seeds_of(arm)])
    sizes = [f"{name}, n = {one.n} of {one.clusters} conversations" for name in slices for one in [_size(arms, name)]]
    return table(["arm", "model", *sizes, "seeds"], rows)


def _size(arms: Sequence[ArmRows], where: str) -> Interval:
    """Turns and conversations of a slice, which are the same for every arm."""
    return interval(sliced(arms[0], where))


def seeds_of(arm: ArmRows) -> str:
    """``0, 1``; a dash where no training's chance is in it."""
    return ", ".join(map(str, sorted(arm.frames))) if arm.trained else "–"


def unlike_seeds(arms: Sequence[ArmRows]) -> str:
    """Says so where trained arms were judged under different seeds: then their columns are no comparison."""
    if len({seeds_of(arm) for arm in arms if arm.trained}) < 2:
        return ""
    return (
        "**Not all arms have the same seeds, and each row is the mean over its own**: rows of different seeds are not "
        "to be held against each other; the answers below compare seed by seed.\n\n"
    )


def metrics(arms: Sequence[ArmRows], where: str) -> str:
    """Every metric of every arm on one slice, in percent, with how many turns it is of."""
    rows = []
    calls, others = (int((first_frame(arms[0], where)["kind"] == kind).sum()) for kind in ("call", "answer"))
    for arm in arms:
        frames = sliced(arm, where)
        decisions = _mean_of([decision_figures(frame) for frame in frames.values()])
        whole = _mean_of([conversation_figures(frame) for frame in frames.values()])
        cells = [_share(interval(frames, metric).mean) for metric in METRIC_COLUMNS]
        rows.append(
            [
                arm.title,
                _share(decisions["precision"]),
                _share(decisions["recall"]),
                *cells,
                _share(whole["all_right"]),
                _number(whole["first_failing_turn"]),
                seeds_of(arm),
            ]
        )
    heads = ["model", "decision: precision", "recall", *METRIC_COLUMNS.values(), "conversation: all right"]
    told = (
        f"Of {calls} call turns (tool name to call turns right, recall) and {others} answer turns; "
        "precision is of the calls that were begun; conversations, "
        f"{_size(arms, where).clusters} of them, by the turns that were judged."
    )
    return f"{unlike_seeds(arms)}{told}\n\n{table([*heads, 'first failing turn', 'seeds'], rows)}"


def first_frame(arm: ArmRows, where: str) -> pd.DataFrame:
    """The arm's rows in a slice under its first seed; of arms on common ground, the same turns for all."""
    frames = sliced(arm, where)
    return frames[min(frames)]


def _mean_of(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    def mean(values: Sequence[float]) -> float:
        there = [value for value in values if not math.isnan(value)]
        return math.fsum(there) / len(there) if there else math.nan

    return {name: mean([one[name] for one in figures]) for name in figures[0]}


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1f}"


def answers(
    arms: Sequence[ArmRows], questions: Sequence[tuple[str, str, str]], where: str | None, margin: float
) -> dict[tuple[str, str, str], Verdict]:
    """Verdicts on the questions whose arms are both there under a seed in common, as one family; ``where`` as in
    ``sliced``."""
    by_name = {arm.name: arm for arm in arms}
    asked = {
        question: paired(*both)
        for question in questions
        if question[0] in by_name
        and question[1] in by_name
        and (both := matched(by_name[question[1]], by_name[question[0]], where)) is not None
    }
    keys = {" ".join(question): question for question in asked}
    found = verdicts({name: asked[question] for name, question in keys.items()}, margin=margin)
    return {keys[name]: one for name, one in found.items()}


def answer_table(
    found: Mapping[tuple[str, str, str], Verdict], titles: Mapping[str, str], floors: Sequence[NoiseFloor] = ()
) -> str:
    """Questions with differences in points, intervals, what could have been found, and the word; marked where sampling
    one model anew, on as many turns, does as much: by the larger of the noise floors."""
    rows = []
    for (after, before, question), one in found.items():
        floor = max((noise.over(one.difference.n * one.seeds) for noise in floors), default=0.0)
        against = " (within the noise floor)" if abs(one.difference.mean) < floor else ""
        rows.append(
            [
                question,
                f"{titles[after]} − {titles[before]}",
                f"{points_of(one)}{against}",
                f"{one.difference.n} / {one.difference.clusters}",
                _by_seed(one),
                f"{size_in_points(one.detectable)} / {size_in_points(one.adjusted_detectable)}",
                f"{one.p_value:.3f} / {one.adjusted_p:.3f}",
                f"{one.improved} / {one.regressed}, {one.mcnemar_p:.3f}",
                f"**{one.word}**",
            ]
        )
    heads = ["question", "difference of", "points [95 %]", "turns / conversations", "by seed"]
    return table(
        [*heads, "detectable / after Holm", "p / after Holm", "better / worse turns times seeds, McNemar", "verdict"],
        rows,
    )


def _by_seed(one: Verdict) -> str:
    """How far the seeds agree, which no interval of two or three of them says well."""
    return ", ".join(f"{100 * value:+.1f}" for value in one.by_seed)


def points_of(one: Verdict) -> str:
    """``+4.8 [+1.5, +8.3]``."""
    return f"{100 * one.difference.mean:+.1f} [{100 * one.difference.low:+.1f}, {100 * one.difference.high:+.1f}]"


def cost_table(arms: Sequence[ArmRows]) -> str:
    """What each arm cost: its own training and all before it, and a completion's tokens. Learned from are the tokens
    with a loss: what the assistant says in SFT, in GRPO what the policy sampled and had an advantage. Kept is the step
    whose weights each seed left: the one that validation chose, else the last."""
    rows = [
        [
            arm.title,
            _number(arm.cost.get("minutes", math.nan)),
            _number(arm.cost.get("minutes_in_all", math.nan)),
            f"{arm.cost.get('steps', 0):.0f}",
            ", ".join(f"{step:.0f}" for _, step in sorted(arm.kept_steps.items())) or "–",
            *(_thousands(arm.cost, name) for name in ("learned_tokens", "sampled_tokens")),
            _number(float(scores_mean(arm, "completion_tokens"))),
            seeds_of(arm),
        ]
        for arm in arms
    ]
    heads = ["model", "minutes", "with all before", "steps", "kept, by seed", "thousand tokens learned from"]
    heads += ["thousand tokens sampled", "tokens a judged turn", "seeds"]
    return f"{unlike_seeds(arms)}{table(heads, rows)}"


def _thousands(cost: Mapping[str, float], name: str) -> str:
    """Nothing was learned where nothing was trained; of a training whose records are gone it is not known."""
    return "–" if cost and name not in cost else f"{cost.get(name, 0) / 1000:.0f}"


def scores_mean(arm: ArmRows, column: str) -> float:
    """Mean of a column over all rows of an arm."""
    total = sum(len(frame) for frame in arm.frames.values())
    return float(sum(frame[column].sum() for frame in arm.frames.values())) / total if total else math.nan


def item_matrix(frames: Sequence[Any]) -> list[list[float]]:
    """Turn success of several runs of one model on the items that all of them have, run by run in one order."""
    found = [scores(frame, "turn_success") for frame in frames]
    shared = sorted(set.intersection(*(set(one.index) for one in found))) if found else []
    return [one.loc[shared].tolist() for one in found]
