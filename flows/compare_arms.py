"""A table of arms: base, SFT, GRPO with and without thinking and their controls, trained and judged alike."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow

from data import profiles
from data.arms import UnknownArm, chosen_arms
from data.settings import ProfileName, Settings
from flows.complaints import disk_full
from flows.ingest_data import ingest_data
from tasks import comparison, comparison_budget, comparison_lost, comparison_steps, comparison_taken
from tasks.choices import stated
from tasks.comparison_datasets import elsewhere, practised, whole
from tasks.comparison_report import report
from tasks.notices import tell_of_failure
from tasks.promotion_scope import as_recorded
from tasks.slices import Slice, SliceOver
from tasks.stage import say

#: Rooms of this project: what they raise on purpose says what somebody has to do.
OURS = ("data", "models", "tasks", "flows")


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
    again: bool = False,
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
        again: Make anew the models that are gone, and what comes from them.
        minutes: Budget of the whole, shared out over trainings and judgements.
        slice_minutes: Budget of this call: work under way is kept, the next call goes on.
        seeds: Seeds of the arms that are trained several times.
        only_seed: Only this one's part: the others are made on other machines.
        final: Judge on the test splits too. Each use is recorded.
        overrides: Any other setting, nested as in data/settings.
        command: What was typed to ask for it, which the page tells.
    """
    chosen = chosen_arms(preset, tuple(arms), tuple(rewards))
    changes = stated(overrides, "data", source=source, path=path, conversations=conversations)
    plain = profiles.resolve(profile, changes)
    _require_graded(plain, rewards)
    minutes = minutes or plain.minutes
    number = seeds or comparison_budget.affordable_seeds(minutes)
    if len(chosen) < 2:
        raise UnknownArm(f"{', '.join(chosen)} alone is no comparison; name another arm, or a preset for all of them")
    as_recorded(profile, changes, what="the arms of a comparison are judged")
    settings = comparison_budget.budgeted(profile, changes, chosen, number, minutes)
    all_seeds = range(settings.seed, settings.seed + number)
    if only_seed is not None and only_seed not in all_seeds:
        raise comparison.UnknownSeed(f"no seed {only_seed}; this comparison's are {', '.join(map(str, all_seeds))}")
    comparison_taken.parsed(chosen, list(all_seeds), taken)
    state = failure = None
    failed: dict[str, str] = {}
    try:
        with Slice(slice_minutes) as time_left:
            resolved = settings.model_dump(mode="json")
            version = whole(dataset_version) if dataset_version else ingest_data(profile=profile, overrides=resolved)
            practice = practised(practice_version, version) if practice_version else None
            state = comparison.opened(preset, chosen, all_seeds, settings, version, elsewhere(), minutes, practice)
            comparison_taken.take(state, taken)
            state.note_command(command)
            _forget_what_is_gone(state, again)
            _make(state, comparison.steps(state, final=final, only_seed=only_seed), time_left, failed)
    except SliceOver as over:
        say(f"compare: {over}")
    except Exception as error:  # hours of other arms may be done: their page is written first
        if state is None:
            raise
        failure = error
    if state is None:
        return ""
    if failed and failure is None:
        failure = StepsFailed(failed)
    try:
        _write_pages(state, final)
    finally:
        if failure is not None:  # also where no page can be written: it is what has to be mended first
            raise failure
    return state.id


class StepsFailed(RuntimeError):
    """Steps that failed as nobody expected, after all that does not need them was done."""

    def __init__(self, failed: Mapping[str, str]) -> None:
        named = "; ".join(f"{key} failed ({why})" for key, why in failed.items())
        super().__init__(f"{named}. What does not need it went on; the same command tries it again")


def _make(
    state: comparison.State, planned: Sequence[comparison.Step], time_left: Slice, failed: dict[str, str]
) -> None:
    """Do what is not done. What fails as nobody expected is entered in ``failed``, and costs only what needs it;
    what somebody has to see to, such as a full disk, ends the call: every arm would meet it."""
    for place, step in enumerate(planned, start=1):
        if state.result(step) or state.failed(step) or failed.keys() & comparison_lost.behind(state, step):
            continue
        time_left.require(f"{place - 1} of {len(planned)} steps done")
        say(f"step {place} of {len(planned)}: {step.key}")
        try:
            comparison_steps.do(state, step)
        except Exception as error:
            if type(error).__module__.partition(".")[0] in OURS or disk_full(error):
                raise
            traceback.print_exc()  # kept is only what it says, since the error itself holds on to the model's memory
            failed[step.key] = f"{type(error).__name__}: {error}"


def _write_pages(state: comparison.State, final: bool) -> None:
    for on_test in (False, True) if final else (False,):
        if (page := report(state, final=on_test)) is not None:
            say(f"results: {page}")
        else:
            say(f"compare: no page of {'test' if on_test else 'validation'} yet: fewer than two arms are judged on it")


def _require_graded(settings: Settings, rewards: Sequence[str]) -> None:
    """Refuse to hold arms of other rewards against an arm that is not under graded."""
    if rewards and settings.grpo.reward != "graded":
        raise UnknownArm(
            f"the arms of {', '.join(rewards)} are held against GRPO under graded, and grpo.reward is "
            f"{settings.grpo.reward}: leave one of the two out"
        )


def _forget_what_is_gone(state: comparison.State, again: bool) -> None:
    comparison_steps.try_again(state)
    comparison_lost.judge_again(state)
    if again:
        comparison_lost.make_again(state)


if __name__ == "__main__":
    compare_arms()
