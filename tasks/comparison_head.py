"""What a comparison's page says first: what was asked, of what, with what, and who judged."""

from __future__ import annotations

import json
from pathlib import Path

from data import profiles
from tasks import comparison, comparison_taken
from tasks.comparison import State, short
from tasks.comparison_outcomes import PLACES, Outcomes
from tasks.stage import flat


def page_file(directory: Path, *, final: bool = False) -> Path:
    """Where the page of a comparison lies, once there is one."""
    return named(directory, "results.md", final)


def named(directory: Path, name: str, final: bool) -> Path:
    """A file of the page: what is of the test splits has names of its own and leaves validation's as they are."""
    file = directory / name
    return file.with_stem(f"{file.stem}-final") if final else file


def head(made: Outcomes, final: bool) -> str:
    """The title of a page, and what it was made from."""
    state = made.state
    commits = sorted({short(done.git_commit) for done in state.done.values() if done.git_commit})
    machines = sorted({done.machine for done in state.done.values() if done.machine})
    facts = [
        *([("command", f"`{command}`") for command in made.commands] or [("command", "not recorded")]),
        ("comparison", f"{state.id}, preset {state.preset}, profile {state.profile}"),
        ("base model", state.settings["base_model"]["uri"]),
        ("dataset", f"{state.dataset_version}, source {made.source}"),
        *([("practised on by RL and its twins", state.practice_version)] if state.practice_version else []),
        *([("taken, not trained here", told)] if (told := comparison_taken.told(state)) else []),
        *([("settings beside the profile's", told)] if (told := _settings(state)) else []),
        *[("the better of several arms, by validation", told) for told in _preferred(state)],
        ("judged on", _judged_on(made, final)),
        ("seeds", _seeds(state, final)),
        ("budget", f"{state.minutes:g} minutes in all" if state.minutes else "as the settings of each stage state"),
        ("hardware", "; ".join(machines) or "not recorded"),
        ("commit", ", ".join(commits) or "unknown"),
        ("verdicts", f"of the judge of {_judges(made)}, from what was stored of each turn"),
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


def _settings(state: State) -> str:
    """What the settings have that the profile alone would not, wherever it was stated; it goes on as ``--set``."""
    own = flat(profiles.without_environment(state.profile).model_dump(mode="json"))
    there = {name: value for name, value in flat(state.settings).items() if name.rpartition(".")[2] not in PLACES}
    changed = [f"{name}={json.dumps(value)}" for name, value in there.items() if value != own.get(name)]
    return f"`{' '.join(changed)}`" if changed else ""


def _preferred(state: State) -> list[str]:
    among = {names: [one for one in names.split("|") if one in state.arms] for names in state.preferred}
    return [state.arms[state.preferred[names]].title for names, there in among.items() if len(there) > 1]


def _judged_on(made: Outcomes, final: bool) -> str:
    page = page_file(Path(), final=True).name
    if any(key.endswith("/final") for key in made.state.done):
        looked = f"test was looked at too ({page})"
    elif made.other_looks:
        looked = f"no page of this comparison is on test, but test was looked at {made.other_looks} times"
    else:
        looked = "test was not looked at"
    if final:
        others = (
            f"; {made.other_looks} other judgements have looked at them before or since" if made.other_looks else ""
        )
        return f"the test splits{others}"
    told = f"validation; {looked}"
    main = made.rows[made.rows["step"].str.endswith("/judge")]
    judged = set(main["conversation_id"])
    chosen = judged & set(made.chosen_on)
    if not chosen:
        return told
    return (
        f"{told}. **By {len(chosen)} of the {len(judged)} conversations weights were chosen as well**, which flatters"
    )


def _judges(made: Outcomes) -> str:
    judges = sorted({one.strip() for one in made.judged_by.split(",")})
    mixed = "; **several, so differences between seeds may be those of judges**" if len(judges) > 1 else ""
    return f"{', '.join(short(one) if one else 'an unknown commit' for one in judges)}{mixed}"


def _seeds(state: State, final: bool) -> str:
    """The seeds that every trained arm was judged under, those that some were, and those that none was."""
    judged: dict[int, list[bool]] = {seed: [] for seed in state.seeds}
    for step in comparison.steps(state, final=final):
        if step.kind == "judge" and step.final == final and not step.aside and state.arms[step.arm].seeded:
            judged[step.seed].append(state.result(step) is not None)
    whole = [str(seed) for seed, arms in judged.items() if all(arms)]
    part = [
        f"{seed} in part ({sum(arms)} of {len(arms)} arms)"
        for seed, arms in judged.items()
        if 0 < sum(arms) < len(arms)
    ]
    left = [str(seed) for seed, arms in judged.items() if not any(arms)]
    said = [", ".join(whole + part) or "none", *([f"not judged yet: {', '.join(left)}"] if left else [])]
    return "; ".join(said)
