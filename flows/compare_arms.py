"""A table of arms: base, SFT, GRPO with and without thinking and their controls, trained and judged alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import flow

from data.arms import UnknownArm, chosen_arms
from data.settings import ProfileName
from flows.ingest_data import ingest_data
from tasks import comparison, comparison_budget, comparison_steps, comparison_taken
from tasks.choices import stated
from tasks.comparison_datasets import elsewhere, practised, whole
from tasks.comparison_report import report
from tasks.notices import tell_of_failure
from tasks.promotion_scope import as_recorded
from tasks.slices import Slice, SliceOver
from tasks.stage import say


@flow(
    name="compare-arms",
    flow_run_name="compare ({preset}, {profile})",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def compare_arms(
    preset: str = "paper-table",
    arms: Sequence[str] = (),
    rewards: Sequence[str] = (),
    profile: ProfileName = "laptop",
    source: str | None = None,
    path: str | None = None,
    conversations: int | None = None,
    dataset_version: str | None = None,
    practice_version: str | None = None,
    taken: Sequence[str] = (),
    minutes: float | None = None,
    slice_minutes: float | None = None,
    seeds: int | None = None,
    only_seed: int | None = None,
    final: bool = False,
    overrides: dict[str, Any] | None = None,
    command: str = "",
) -> str:
    """Do what is not done of a comparison and write its page; returns its id.

    The end of a slice is no failure: what is under way is saved, the page tells what is left, and the same call goes
    on. The id is empty where the slice ended before it was known.

    Args:
        preset: paper-table, or minimum.
        arms: Only these of its arms, with what they start from.
        rewards: One more arm for each of these rewards.
        profile: Preset of settings.
        source: Name of the source: simulated, sgd, …
        path: Directory of the source's files.
        conversations: At most this many.
        dataset_version: A published dataset instead.
        practice_version: Another that holds out the same, which RL and its twins learn from.
        taken: Trained models to take instead of training them, ARM/SEED=RUN each.
        minutes: Budget of the whole, shared out over trainings and judgements.
        slice_minutes: Budget of this call: work under way is kept, the next call goes on.
        seeds: Seeds of the arms that are trained several times.
        only_seed: Only this one's part: the others are made on other machines.
        final: Judge on the test splits too. Each use is recorded.
        overrides: Any other setting, nested as in data/settings.
        command: What was typed to ask for it, which the page tells.
    """
    chosen = chosen_arms(preset, tuple(arms), tuple(rewards))
    number = seeds or comparison_budget.affordable_seeds(minutes)
    if len(chosen) < 2:
        raise UnknownArm(f"{', '.join(chosen)} alone is no comparison; name another arm, or a preset for all of them")
    changes = stated(overrides, "data", source=source, path=path, conversations=conversations)
    as_recorded(profile, changes, what="the arms of a comparison are judged")
    settings = comparison_budget.budgeted(profile, changes, chosen, number, minutes)
    all_seeds = range(settings.seed, settings.seed + number)
    if only_seed is not None and only_seed not in all_seeds:
        raise comparison.UnknownSeed(f"no seed {only_seed}; this comparison's are {', '.join(map(str, all_seeds))}")
    comparison_taken.parsed(chosen, list(all_seeds), taken)
    state = refused = None
    try:
        with Slice(slice_minutes) as time_left:
            resolved = settings.model_dump(mode="json")
            version = whole(dataset_version) if dataset_version else ingest_data(profile=profile, overrides=resolved)
            practice = practised(practice_version, version) if practice_version else None
            state = comparison.opened(preset, chosen, all_seeds, settings, version, elsewhere(), minutes, practice)
            comparison_taken.take(state, taken)
            state.note_command(command)
            planned = comparison.steps(state, final=final, only_seed=only_seed)
            for place, step in enumerate(planned, start=1):
                if state.result(step) is None and state.failed(step) is None:
                    time_left.require(f"{place - 1} of {len(planned)} steps done")
                    say(f"step {place} of {len(planned)}: {step.key}")
                    comparison_steps.do(state, step)
    except SliceOver as over:
        say(f"compare: {over}")
    except comparison_taken.NotTakable as error:  # hours of other arms may be done: their page is written first
        refused = error
    if state is None:
        return ""
    for on_test in (False, True) if final else (False,):
        if (page := report(state, final=on_test)) is not None:
            say(f"results: {page}")
        else:
            say(f"compare: no page of {'test' if on_test else 'validation'} yet: fewer than two arms are judged on it")
    if refused is not None:
        raise refused
    return state.id


if __name__ == "__main__":
    compare_arms()
