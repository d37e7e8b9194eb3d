"""Parts of a comparison's page that need more than its rows: the claim, the ledger, BFCL, failures, plots, examples."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.evaluation import bfcl, failures
from models.evaluation.asides import aside_table
from models.evaluation.document import ArmRows, matched, sliced, table
from models.evaluation.heeding import heeding
from models.evaluation.ledger import thinking_ledger
from models.evaluation.pairing import paired
from models.evaluation.slices import part
from tasks.comparison import State

if TYPE_CHECKING:
    import pandas as pd


#: Rows of a table of causes or tools.
MOST = 12
#: The source that has SGD's conversations under other names of all tools.
RENAMED = "sgd-x-v5"


def claims(arms: Sequence[ArmRows], where: str) -> str:
    """The paper's two figures beside ours, relative as it gives them."""
    by_name = {arm.name: arm for arm in arms}
    lines = []
    for after, before, claimed in (
        ("grpo-thinking", "sft", "+1.5 %"),
        ("grpo-thinking", "base", "+40 %"),
        ("grpo-thinking", "base-format-help", "– (the fairer zero line)"),
    ):
        if after not in by_name or before not in by_name:
            continue
        both = matched(by_name[before], by_name[after], where)
        if both is None:
            continue
        pairs = paired(*both)
        means = float(pairs.before.mean()), float(pairs.after.mean())
        ours = f"{100 * (means[1] / means[0] - 1):+.1f} %" if means[0] else "from zero"
        seeds = ", ".join(map(str, sorted(both[0])))
        lines.append([f"{by_name[after].title} against {by_name[before].title}", claimed, ours, seeds])
    heads = ["relative change of turn success", "arXiv 2512.11277, Qwen3-1.7B", f"here, {where} tools", "seeds"]
    return f"## The paper's figures\n\n{table(heads, lines)}" if lines else ""


def noise_section(floors: Mapping[str, Any], titles: Mapping[str, str], where: str) -> str:
    """How far sampled runs of one model lie apart on the turns of the slice that is asked about."""
    rows = [
        [titles[name], f"{100 * one.floor:.1f}", f"{100 * one.flip_rate:.1f} %", str(one.runs), str(one.items)]
        for name, one in floors.items()
    ]
    heads = ["model", "floor, points", "turns that flip", "runs", "turns"]
    text = (
        f"Two sampled runs of one and the same model (first seed, {where} tools of validation) differ by less than the "
        "floor in 95 % of cases on so many turns. A difference above is held against the larger floor, as it is on as "
        "many turns as that difference has."
    )
    return f"## Noise floor\n\n{text}\n\n{table(heads, rows)}" if rows else ""


def ledger_section(arms: Sequence[ArmRows]) -> str:
    """Did thinking help? The same model with and without its thoughts, and GRPO with against GRPO without."""
    by_name = {arm.name: arm for arm in arms}
    sections = [
        "That thinking helps follows only from GRPO with against GRPO without thinking, two trainings that differ in "
        "nothing else. The other tables here say what becomes of one model that learned to think when its thoughts are "
        "taken away or exchanged: whether it needs them, not whether another would have done better without."
    ]
    own = _thinker(by_name)
    for against, what in (
        ("thinking-off", "the same model told not to think"),
        ("thoughts-empty", "the same model with an empty thought"),
        ("thoughts-shuffled", "the same model with thoughts from elsewhere"),
        ("grpo-plain", "GRPO without thinking"),
    ):
        thinker = by_name.get("grpo-thinking") if against == "grpo-plain" else own
        if thinker is None or against not in by_name:
            continue
        # Thoughts are taken from one run, so only that run is what they are compared with.
        both = matched(by_name[against], thinker)
        if both is None:
            continue
        entries = thinking_ledger(*both, ("seen", "unseen", "call turns", "no-call turns"))
        seeds = ", ".join(map(str, sorted(both[0])))
        sections.append(
            f"Against {what} (seeds {seeds}; corrected for the {len(entries)} rows):\n\n{_ledger_table(entries)}"
        )
    if own is not None:
        sections.append(_thought_first(own))
    if followed := _heeding_table(arms):
        sections.append(f"Do actions follow from what the thought before them announces?\n\n{followed}")
    return "## Did thinking help?\n\n" + "\n\n".join(sections) if len(sections) > 1 else ""


def _thinker(by_name: Mapping[str, ArmRows]) -> ArmRows | None:
    """The arm whose thoughts were taken away: the run behind the rows tells."""
    changed = by_name.get("thinking-off")
    runs = set(changed.frames[min(changed.frames)]["run_id"]) if changed else set()
    for name in ("grpo-thinking", "grpo-from-base"):
        arm = by_name.get(name)
        if arm is not None and any(runs & set(frame["run_id"]) for frame in arm.frames.values()):
            return arm
    return by_name.get("grpo-thinking")


def _ledger_table(entries: Sequence[Any]) -> str:
    rows = [
        [
            one.where,
            f"{100 * one.without:.1f}",
            f"{100 * one.with_thinking:.1f}",
            one.verdict.line(),
            f"{one.verdict.adjusted_p:.3f}",
            f"{one.tokens_without:.0f} / {one.tokens_with:.0f}",
            "–" if math.isinf(one.tokens_per_extra_turn) else f"{one.tokens_per_extra_turn:.0f}",
        ]
        for one in entries
    ]
    heads = ["turns", "without, %", "with, %", "difference", "p after Holm", "tokens without / with"]
    return table([*heads, "tokens per extra right turn"], rows)


def _thought_first(arm: ArmRows) -> str:
    import pandas as pd

    every = pd.concat(list(arm.frames.values()))
    found, total = int(every["values_thought_first"].sum()), int(every["values"].sum())
    share = f"{100 * found / total:.0f} %" if total else "none"
    return (
        f"Argument values that stand in the thought before the call: {share} of {total} ({arm.title}, "
        f"seeds {_seeds(arm)})."
    )


def _heeding_table(arms: Sequence[ArmRows]) -> str:
    """Thoughts that announce a call or a question, and how many of them were followed; empty without any."""
    rows = [
        [
            arm.title,
            _seeds(arm),
            where,
            kind,
            f"{one.followed} of {one.thoughts}",
            _share(one.right),
            _share(one.right_against),
            f"{one.same} of {one.named}" if one.named else "–",
        ]
        for arm in arms
        for where in ("seen", "unseen", "mixed")
        for kind, one in heeding(sliced(arm, where).values()).items()
    ]
    heads = ["arm", "seeds", "tools", "announced", "followed", "turn success where followed", "where not"]
    heads.append("with the very arguments that the thought names")
    return f"{table(heads, rows)}\n\n{_announcing_nothing(arms)}" if rows else ""


def _announcing_nothing(arms: Sequence[ArmRows]) -> str:
    told = []
    for arm in arms:
        said = [frame["announced"] for frame in arm.frames.values() if frame["announced"].notna().any()]
        if said:
            silent, turns = sum(int(one.isna().sum()) for one in said), sum(map(len, said))
            told.append(f"{silent} of {turns} ({arm.title})")
    return f"Turns whose thought announces neither a call nor a question: {', '.join(told)}."


def _seeds(arm: ArmRows) -> str:
    return ", ".join(map(str, sorted(arm.frames)))


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.0f} %"


def looks(target: str) -> dict[str, str | None]:
    """The looks aside that arms are compared on, and which of their turns count: of changed ones those of the tools
    that are asked about, elsewhere all."""
    return {"distractors": target, "withheld": target, f"on {RENAMED}": None, "irrelevance": None}


def changed_section(
    overlaps: Mapping[str, int], arms: Sequence[ArmRows], elsewhere: Collection[str] = (RENAMED,), between: str = ""
) -> str:
    """Turns that were changed before they were judged, and other names for all tools; then differences of the arms."""
    told = aside_table(arms, ["distractors", "withheld", f"on {RENAMED}"])
    if not told:
        return f"## Elsewhere, first seed\n\n{between}" if between else ""
    renamed = [arm.aside[f"on {RENAMED}"] for arm in arms if len(arm.aside.get(f"on {RENAMED}", ()))]
    if renamed:
        first = renamed[0]
        kinds = ", ".join(f"{len(part(first, where))} {where}" for where in ("seen", "unseen", "mixed"))
        told += (
            f"\n\n{RENAMED}: its turns are of tools that are {kinds} under their own names. Of all its conversations "
            f"{overlaps.get(RENAMED, 0)} begin with the words of a training conversation."
        )
    elif RENAMED not in elsewhere:
        told += f"\n\n{NOT_THERE.format(source=RENAMED)}"
    if between:
        told += (
            "\n\nThe questions of the main table on these turns (of the first two those of the tools asked about; "
            f"irrelevance is BFCL's), each group of rows corrected for itself:\n\n{between}"
        )
    return f"## Changed turns and elsewhere, first seed\n\n{told}"


#: Said where a source that arms are judged on elsewhere is not there.
NOT_THERE = (
    "Not judged: {source} was not ingested when this comparison was last asked for; `apprentice ingest` it and give "
    "the same command, which then judges it."
)


def bfcl_section(
    overlaps: Mapping[str, int], arms: Sequence[ArmRows], elsewhere: Collection[str], *, final: bool = False
) -> str:
    """BFCL's single-turn categories by its own rules."""
    judged = {arm.title: arm.aside["on bfcl"] for arm in arms if len(arm.aside.get("on bfcl", ()))}
    if not judged:
        return f"## BFCL v4\n\n{NOT_THERE.format(source='bfcl')}" if "bfcl" not in elsewhere else ""
    scored = {title: bfcl.summary(frame, frame["cause"]) for title, frame in judged.items()}
    names = sorted({name for one in scored.values() for name in one})
    rows = [[name, *(_scored(one.get(name)) for one in scored.values())] for name in names]
    kept_for = "test" if final else "validation"
    text = (
        "Accuracy by the leaderboard's rules (AST check, irrelevance), with the number of questions judged, first "
        f"seed, on the part of the questions that is kept for {kept_for}. Multi-turn, memory, web search and "
        "`live_relevance`, where any call counts, are not covered, nor are questions that contradict their own tools "
        "(`apprentice query` has them in `quarantine`). Questions that also stand in the training "
        f"conversations: {overlaps['bfcl']}."
    )
    return f"## BFCL v4\n\n{text}\n\n{table(['category', *scored], rows)}"


def _scored(one: tuple[float, int] | None) -> str:
    return "–" if one is None else f"{100 * one[0]:.1f} % (n = {one[1]})"


def first_seed(arms: Sequence[ArmRows]) -> int:
    """The first seed that a trained arm was judged under; the base model stands beside every seed."""
    trained = [arm for arm in arms if arm.trained]
    return min(seed for arm in trained or arms for seed in arm.frames)


def caused(arms: Sequence[ArmRows]) -> dict[str, pd.DataFrame]:
    """Rows under the first seed, by arm, where turns were judged as recorded: those have the cause of a failure.

    Arms that are not judged under that seed are left out, rather than held beside the models of another one.
    """
    first = first_seed(arms)
    untrained = {arm.name: frame for arm in arms if not arm.trained for frame in arm.frames.values()}
    found = {arm.name: arm.frames[first] for arm in arms if first in arm.frames} | untrained
    found = {arm.name: found[arm.name] for arm in arms if arm.name in found}
    return {name: frame for name, frame in found.items() if not frame["variant"].notna().any()}


#: Arms whose failures are told tool by tool.
SIDE_BY_SIDE = ("sft", "sft-continued", "grpo-plain", "grpo-thinking")


def failure_section(arms: Sequence[ArmRows]) -> str:
    """Causes between arms, and the tools that fail most."""
    found = caused(arms)
    if not found:
        return ""
    titles = {arm.name: arm.title for arm in arms}
    every = failures.between(found)
    shares = every.head(MOST)
    rows = [
        [str(cause), *(f"{100 * value:.1f}" for value in row)]
        for cause, row in zip(shares.index, shares.to_numpy(), strict=True)
    ]
    if others := len(every) - len(shares):
        left = every.iloc[MOST:].sum()
        rows.append([f"{others} other causes", *(f"{100 * value:.1f}" for value in left)])
    rows.append(["failed in all", *(f"{100 * value:.1f}" for value in every.sum())])
    heads = ["cause", *(titles[name] for name in shares.columns)]
    parts = [f"Share of turns that failed for each cause, in percent, first seed.\n\n{table(heads, rows)}"]
    grounded = [[titles[name], _share_of(frame["grounded"])] for name, frame in found.items()]
    figures = table(["model", "grounded"], grounded)
    parts.append(f"Of answers with figures, those whose figures somebody or some tool had said:\n\n{figures}")
    beside = {name: found[name] for name in SIDE_BY_SIDE if name in found} or dict([next(reversed(found.items()))])
    by_tool = failures.by_tool_between(beside).head(MOST)
    tools = [
        [str(tool), str(cause), *map(str, turns)]
        for (tool, cause), turns in zip(by_tool.index, by_tool.to_numpy(), strict=True)
    ]
    heads = ["tool", "cause", *(titles[name] for name in beside)]
    parts.append(f"Most frequent by tool, turns, first seed:\n\n{table(heads, tools)}")
    return "## What goes wrong\n\n" + "\n\n".join(parts)


def _share_of(column: Any) -> str:
    there = column.dropna()
    return f"{100 * float(there.astype(bool).mean()):.1f} % (n = {len(there)})" if len(there) else "–"


def plots(file: Path, arms: Sequence[ArmRows], rewards: Mapping[str, Any]) -> None:
    """Turn success by arm, by history length, against cost; reward curves, where their logs are at hand. ``{}`` in the
    name of ``file`` stands for the plot's."""
    from models.evaluation.pictures import draw

    for name, figure in draw(arms, rewards).items():
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file.with_name(file.name.format(name)), dpi=120)


def reward_logs(state: State) -> dict[str, Any]:
    """Metric logs of the GRPO runs by arm, first seed."""
    from data import paths
    from models.metric_log import MetricLog

    runs = {arm.title: state.model_of(name, state.seeds[0]) for name, arm in state.arms.items() if arm.recipe == "grpo"}
    return {title: MetricLog(paths.run(run) / "metrics.jsonl") for title, run in runs.items() if run}
