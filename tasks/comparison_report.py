"""From a comparison's stored rows to its page: results, plots and examples under its directory."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data.arms import GUARDED, QUESTIONS
from data.files import write_whole
from models.evaluation import document
from models.evaluation.document import ArmRows, on_common_ground
from models.evaluation.noise import noise_floor
from models.evaluation.verdicts import MARGIN
from tasks import comparison, comparison_pages, records
from tasks.choices import source_of
from tasks.comparison import SAMPLES, State, Step
from tasks.evaluation import rows_of


def report(state: State, *, final: bool = False, command: str = "") -> Path | None:
    """Write the page, plots and examples; None while fewer than two arms are judged."""
    arms = judged_arms(state, final)
    if len(arms) < 2:
        return None
    common = on_common_ground(arms)
    if not len(common[0].frames[min(common[0].frames)]):
        return None
    page = _page(state, common, final, command)
    file = state.directory / ("results-final.md" if final else "results.md")
    write_whole(file, page)
    comparison_pages.plots(state, common)
    comparison_pages.examples(state, common)
    return file


def judged_arms(state: State, final: bool) -> list[ArmRows]:
    """Every arm with at least one main judgement, in the order of the table."""
    found = []
    for name, arm in state.arms.items():
        seeds = state.seeds if arm.seeded else state.seeds[:1]
        frames = {
            seed: rows_of(done)
            for seed in seeds
            if (done := state.result(Step(name, seed, "judge", final=final))) is not None
        }
        if frames:
            aside = _aside(state, name) if not final else {}
            found.append(ArmRows(arm.number, name, arm.title, frames, aside, cost(state, name)))
    return sorted(found, key=lambda arm: arm.number)


def _aside(state: State, name: str) -> dict[str, Any]:
    first = state.seeds[0]
    looks = ["distractors", "withheld", *(f"on {source}" for source in state.elsewhere)]
    looks += [f"sample {number}" for number in range(1, SAMPLES + 1)]
    done = {look: state.result(Step(name, first, "judge", look)) for look in looks}
    return {look: rows_of(evaluation_id) for look, evaluation_id in done.items() if evaluation_id}


def cost(state: State, name: str) -> dict[str, float]:
    """Mean over the seeds: minutes of an arm's own training and of all it stands on, steps, tokens."""
    runs = [run for seed in state.seeds if (run := state.model_of(name, seed))]
    if not runs:
        return {}
    each = [_cost_of_run(run) for run in dict.fromkeys(runs)]
    return {key: sum(one[key] for one in each) / len(each) for key in each[0]}


def _cost_of_run(run_id: str) -> dict[str, float]:
    record = records.of_run(run_id)
    outputs = record.outputs
    minutes = float(outputs.get("seconds", 0.0)) / 60
    before = _cost_of_run(record.start_run_id)["minutes_in_all"] if record.start_run_id else 0.0
    counts, steps = outputs.get("counts") or {}, float(record.steps)
    rows = steps * float(record.settings.get("batch_size", 0))
    each = float(counts.get("labelled_tokens", 0)) / max(1.0, float(counts.get("used", 0)))
    sampled, learned = _rollout_tokens(record.run_id) if record.stage == "grpo" else (0.0, rows * each)
    return {
        "minutes": minutes,
        "minutes_in_all": minutes + before,
        "steps": steps,
        "learned_tokens": learned,
        "sampled_tokens": sampled,
    }


def _rollout_tokens(run_id: str) -> tuple[float, float]:
    """Tokens a GRPO run sampled, and those of them with an advantage: the others teach nothing."""
    from data.rollouts import read_rollouts

    rollouts = read_rollouts(run_id)
    taught = rollouts["advantage"].fillna(0) != 0
    return float(rollouts["completion_tokens"].sum()), float(rollouts.loc[taught, "completion_tokens"].sum())


def _page(state: State, arms: Sequence[ArmRows], final: bool, command: str) -> str:
    titles = {arm.name: arm.title for arm in arms}
    where = ["seen", "unseen", *(["mixed"] if final else []), "no-call turns", "long history"]
    where = [name for name in where if all(len(frame) for frame in document.sliced(arms[0], name).values())]
    target = "unseen" if "unseen" in where else where[0]
    found = document.answers(arms, QUESTIONS, target, MARGIN)
    guarded = {
        name: document.answers(arms, QUESTIONS[:2], name, margin) for name, margin in GUARDED.items() if name in where
    }
    floors = noise(arms)
    evidence = {
        "answers": [{"question": key, **one.as_row()} for key, one in found.items()],
        "guarded": {name: [one.as_row() for one in there.values()] for name, there in guarded.items()},
        "noise": {name: asdict(one) for name, one in floors.items()},
    }
    write_whole(state.directory / "verdicts.json", json.dumps(evidence, indent=2, default=str))
    floor = max((one.floor for one in floors.values()), default=None)
    sections = [
        _head(state, final, command),
        f"## Turn success\n\n{document.headline(arms, where)}",
        f"## Answers, on {target} tools\n\n{_how_to_read(len(found))}\n\n{document.answer_table(found, titles, floor)}",
        f"## Guarded slices\n\n{document.guard_table(guarded, titles)}" if guarded else "",
        comparison_pages.claims(arms, target),
        *(f"## Every metric, {name}, in percent\n\n{document.metrics(arms, name)}" for name in where[:2]),
        comparison_pages.noise_section(floors, titles),
        _section("Changed turns", document.aside_table(arms, ["distractors", "withheld", "on sgd-x-v5"])),
        comparison_pages.ledger_section(arms),
        comparison_pages.bfcl_section(state, arms),
        comparison_pages.failure_section(state, arms),
        f"## Cost\n\n{document.cost_table(arms)}",
        _missing(state, final),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _section(heading: str, text: str) -> str:
    return f"## {heading}\n\n{text}" if text else ""


def noise(arms: Sequence[ArmRows]) -> dict[str, Any]:
    """The noise floor of each arm that was sampled several times."""
    found = {}
    for arm in arms:
        runs = [frame for look, frame in sorted(arm.aside.items()) if look.startswith("sample")]
        if len(runs) > 1 and (matrix := document.item_matrix(runs))[0]:
            found[arm.name] = noise_floor(matrix)
    return found


def _head(state: State, final: bool, command: str) -> str:
    commits = sorted({done.git_commit[:9] for done in state.done.values() if done.git_commit})
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts = [
        ("command", f"`{command or 'apprentice compare --preset ' + state.preset}`"),
        ("comparison", f"{state.id}, preset {state.preset}, profile {state.profile}"),
        ("base model", state.settings["base_model"]["uri"]),
        ("dataset", f"{state.dataset_version}, source {source_of(state.dataset_version)}"),
        ("judged on", "the test splits" if final else "validation; test was not looked at"),
        ("seeds", ", ".join(map(str, state.seeds))),
        ("budget", f"{state.minutes:g} minutes in all" if state.minutes else "as the settings of each stage state"),
        ("hardware", f"{cores} cores, {platform.machine()}, {platform.system()}"),
        ("commit", ", ".join(commits) or "unknown"),
    ]
    rows = "\n".join(f"- {name}: {value}" for name, value in facts)
    return (
        f"# Results{' on test' if final else ''}\n\nMade by `apprentice compare` from the stored rows of every "
        "evaluation; nothing here is typed by hand. Greedy decoding, the same decision points for every arm, recorded "
        "histories. *Turn success* is the headline: exactly the expected calls where calls are due, a fitting answer "
        "without a call elsewhere. *Unseen* tools were not in training. Brackets are 95 % intervals: bootstrap over "
        "whole conversations; with several seeds, conversations and seeds both count as chance.\n\n"
        f"{rows}"
    )


def _how_to_read(number: int) -> str:
    asked = "one question" if number == 1 else f"{number} questions"
    return (
        "Paired differences in points of turn success on identical turns. *Detectable* is the smallest true "
        f"difference found with 80 % power at the 5 % level. p values are of the test clustered by conversation (and "
        f"seed), the second one corrected by Holm's method for the {asked} asked here. *No difference "
        f"shown* is said only where {100 * MARGIN:.0f} points would have been found; else the comparison is "
        "*underpowered*."
    )


def _missing(state: State, final: bool) -> str:
    planned = comparison.steps(state, final=final)
    left = [step.key for step in planned if state.result(step) is None and state.failed(step) is None]
    parts = [f"## Not done yet\n\n{len(left)} steps: {', '.join(left)}"] if left else []
    if state.impossible:
        lines = "\n".join(f"- {key}: {reason}" for key, reason in state.impossible.items())
        parts.append(f"## Could not be done\n\n{lines}")
    return "\n\n".join(parts)
