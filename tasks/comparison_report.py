"""From a comparison's stored rows to its page: results, plots and examples under its directory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data import snapshot
from data.arms import GUARDED, QUESTIONS
from data.files import write_whole
from models.evaluation import by_domain, document
from models.evaluation.asides import asked_aside, asked_table
from models.evaluation.document import ArmRows, on_common_ground
from models.evaluation.guard_table import guard_table, guarded_slice
from models.evaluation.noise import NoiseFloor, noise_floor
from models.evaluation.promotion import finite
from models.evaluation.slices import part
from models.evaluation.verdicts import MARGIN, Verdict
from tasks import comparison, comparison_examples, comparison_pages
from tasks.comparison import SAMPLES, State, Step
from tasks.comparison_head import head, named, page_file
from tasks.comparison_outcomes import Outcomes, gathered, read
from tasks.comparison_pooling import pooled
from tasks.evaluation import rows_of


def report(state: State, *, final: bool = False) -> Path | None:
    """Write the outcomes, the page, plots and examples; None while fewer than two arms are judged."""
    state = comparison.load(state.id) or state  # another call may have done more since this one began
    made = gathered(state)
    if made is None:
        return None
    state = made.state
    made.write(state.directory)
    page = page_of(made, state.directory, final=final, rewards=comparison_pages.reward_logs(state))
    if page is not None:
        found = _with_texts(state, made, final)
        quoted = {name for frame in found.values() for name in frame["decision_point_id"]}
        points = snapshot.read_points_by_id(state.dataset_version, quoted)
        seed = comparison_pages.first_seed(judged_arms(made, final))
        comparison_examples.examples(named(state.directory, "examples.md", final), found, points, seed)
    return page


def pooled_report(directories: Sequence[Path], *, final: bool = False) -> Path | None:
    """The page of one comparison whose seeds were made on several machines; None while fewer than two arms are judged.

    Raises:
        NotOneComparison: A directory holds no outcomes, or they were not asked the same.
    """
    made = pooled([read(directory) for directory in directories])
    directory = made.state.directory / "pooled"
    made.write(directory)
    return page_of(made, directory, final=final)


def page_of(
    made: Outcomes, directory: Path, *, final: bool = False, rewards: Mapping[str, Any] | None = None
) -> Path | None:
    """Write the page and plots; None while fewer than two arms are judged on the same turns."""
    arms = judged_arms(made, final)
    if len(arms) < 2:
        return None
    common = on_common_ground(arms)
    if not len(common[0].frames[min(common[0].frames)]):
        return None
    page = _page(made, common, directory, final, _cut_short(arms, common))
    file = page_file(directory, final=final)
    write_whole(file, page)
    comparison_pages.plots(named(directory, "{}.png", final), common, rewards or {})
    return file


def judged_arms(made: Outcomes, final: bool) -> list[ArmRows]:
    """Every arm with at least one main judgement, in the order of the table."""
    state = made.state
    found = []
    for name, arm in state.arms.items():
        seeds = state.seeds if arm.seeded else state.seeds[:1]
        frames = {seed: rows for seed in seeds if (rows := made.of(Step(name, seed, "judge", final=final))) is not None}
        if frames:
            # Looks aside stand beside the first seed's rows, so without these there is nothing to hold them against.
            aside = _aside(made, name, final) if state.seeds[0] in frames else {}
            cost, kept = made.cost(name, frames), made.kept_steps(name, frames)
            found.append(ArmRows(arm.number, name, arm.title, frames, aside, cost, kept, trained(state, name)))
    return sorted(found, key=lambda arm: arm.number)


def trained(state: State, name: str) -> bool:
    """Whether an arm's model was trained, or comes from one that was, so that another seed would be another model."""
    arm = state.arms[name]
    if arm.recipe == "judged":
        return any(trained(state, start) for start in arm.starts)
    return arm.recipe != "base"


def _aside(made: Outcomes, name: str, final: bool) -> dict[str, Any]:
    """Looks of the splits that the page is of; samples are drawn on validation only: how much sampling does to a model
    is no question to open the test splits for."""
    state = made.state
    steps = [
        Step(name, state.seeds[0], "judge", look, final)
        for look in ("distractors", "withheld", *(f"on {source}" for source in state.elsewhere))
    ]
    steps += [Step(name, state.seeds[0], "judge", f"sample {number}") for number in range(1, SAMPLES + 1)]
    there = {step.aside: made.of(step) for step in steps}
    return {look: rows for look, rows in there.items() if rows is not None}


def _with_texts(state: State, made: Outcomes, final: bool) -> dict[str, Any]:
    """Rows of the first seed with causes and what was said, by arm."""
    found = {}
    arms = on_common_ground(judged_arms(made, final))
    seed = comparison_pages.first_seed(arms)
    for name, frame in comparison_pages.caused(arms).items():
        said = rows_of(str(state.result(Step(name, seed, "judge", final=final))))
        found[name] = frame.merge(said[["decision_point_id", "text"]], on="decision_point_id")
    return found


def _page(made: Outcomes, arms: Sequence[ArmRows], directory: Path, final: bool, cut_short: str = "") -> str:
    titles = {arm.name: arm.title for arm in arms}
    where = ["seen", "unseen", *(["mixed"] if final else []), "no-call turns", "long history"]
    where = [name for name in where if all(len(frame) for frame in document.sliced(arms[0], name).values())]
    target = "unseen" if "unseen" in where else where[0]
    found = document.answers(arms, QUESTIONS, target, MARGIN)
    guarded = {
        name: guarded_slice(arms, QUESTIONS[:2], name, margin) for name, margin in GUARDED.items() if name in where
    }
    floors = noise(arms, target)
    aside = asked_aside(arms, comparison_pages.looks(target), QUESTIONS)
    evidence = {
        "answers": [{"question": key, **one.as_row()} for key, one in found.items()],
        "guarded": {name: [one.as_row() for one in there.values()] for name, there in guarded.items()},
        "aside": {
            look: [{"question": key, **one.as_row()} for key, one in there.items()] for look, there in aside.items()
        },
        "noise": {name: asdict(one) for name, one in floors.items()},
    }
    told = json.dumps(finite(evidence), indent=2, default=str)
    write_whole(named(directory, "verdicts.json", final), told)
    sections = [
        head(made, final),
        f"## Turn success\n\n{cut_short}{document.unlike_seeds(arms)}{document.headline(arms, where)}",
        _unmoved(made, titles),
        f"## Answers, on {target} tools\n\n{_how_to_read(found)}\n\n"
        f"{document.answer_table(found, titles, list(floors.values()))}"
        if found
        else "",
        "## Guarded slices\n\nA loss of turn success is ruled out by the bounds that a promotion reckons with "
        "(docs/promotion.md). The words are corrected for the questions of one slice.\n\n"
        f"{guard_table(guarded, titles)}"
        if any(guarded.values())
        else "",
        by_domain.section(arms, QUESTIONS, target),
        comparison_pages.claims(arms, target),
        *(f"## Every metric, {name}, in percent\n\n{document.metrics(arms, name)}" for name in where[:2]),
        comparison_pages.noise_section(floors, titles, target),
        comparison_pages.changed_section(made.overlaps, arms, made.state.elsewhere, asked_table(aside, titles)),
        comparison_pages.ledger_section(arms),
        comparison_pages.bfcl_section(made.overlaps, arms, made.state.elsewhere, final=final),
        comparison_pages.failure_section(arms),
        _section("Hacking monitor", _monitored(made, titles)),
        f"## Cost\n\n{document.cost_table(arms)}",
        _missing(made.state, final),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _cut_short(arms: Sequence[ArmRows], common: Sequence[ArmRows]) -> str:
    """Which judgement the number of turns in common is owed to, where not all reached as many."""
    reached = {(arm.title, seed): len(frame) for arm in arms for seed, frame in arm.frames.items()}
    fewest, most = min(reached, key=lambda one: reached[one]), max(reached.values())
    if reached[fewest] == most:
        return ""
    left = len(common[0].frames[min(common[0].frames)])
    title, seed = fewest
    return (
        f"**Only the {left} turns that every judgement reached are told of**, of up to {most}: {title} (seed {seed}) "
        f"was judged on {reached[fewest]}, where its clock ended (`evaluation.minutes`).\n\n"
    )


def _section(heading: str, text: str) -> str:
    return f"## {heading}\n\n{text}" if text else ""


def _unmoved(made: Outcomes, titles: Mapping[str, str]) -> str:
    named = [f"{titles[name]} (seed {seed})" for name, seed in made.unmoved if name in titles]
    said = "Trained, and kept as the model it started from, since no validation found better weights"
    return f"{said}: {', '.join(named)}." if named else ""


def _monitored(made: Outcomes, titles: Mapping[str, str]) -> str:
    said = [(*key.split("/")[:2], words) for key, words in made.monitored.items()]
    rows = [[titles[name], seed, words] for name, seed, words in said if name in titles]
    return document.table(["arm", "seed", "what it said of the training"], rows) if rows else ""


def noise(arms: Sequence[ArmRows], where: str) -> dict[str, NoiseFloor]:
    """The noise floor of each arm that was sampled several times, on the slice whose differences it is held against."""
    found = {}
    for arm in arms:
        runs = [part(frame, where) for look, frame in sorted(arm.aside.items()) if look.startswith("sample")]
        if len(runs) > 1 and (matrix := document.item_matrix(runs))[0]:
            found[arm.name] = noise_floor(matrix)
    return found


def _how_to_read(found: Mapping[Any, Verdict]) -> str:
    asked = "one question" if len(found) == 1 else f"{len(found)} questions"
    return (
        "Paired differences in points of turn success on identical turns, under the seeds that both have. "
        "*Detectable* is the smallest true difference found with 80 % power at the 5 % level, and by Holm's "
        f"correction for the {asked} asked here; p values are of the test clustered by conversation (and seed), and "
        "after the same correction. "
        f"*No difference shown* is said only where {100 * MARGIN:.0f} points would have been found after the "
        f"correction; else the comparison is *underpowered*. {_chance_of_training(found)}"
    )


def _chance_of_training(found: Mapping[Any, Verdict]) -> str:
    """What the seeds of these verdicts can say of the method, as benchmarks/verdicts.py measures it."""
    seeds = {one.seeds for one in found.values()}
    alone = (
        "**A verdict from one seed is about these models, not about the method**: how much another training would "
        "differ is not in its interval."
    )
    several = (
        "Two or three seeds say little about how much trainings differ, so compare them one by one: where they do "
        "differ, a difference that is none is claimed more often than in 5 of 100. What is called detectable is found "
        "in 79 to 94 of 100 simulated studies with so few seeds (docs/comparison.md)."
    )
    return " ".join([alone] * (min(seeds, default=0) < 2) + [several] * (max(seeds, default=0) > 1))


def _missing(state: State, final: bool) -> str:
    left = [step.key for step in comparison.left(state, final=final)]
    parts = [f"## Not done yet\n\n{len(left)} steps: {', '.join(left)}"] if left else []
    if state.impossible:
        lines = "\n".join(f"- {key}: {reason}" for key, reason in state.impossible.items())
        parts.append(f"## Could not be done\n\n{lines}")
    return "\n\n".join(parts)
