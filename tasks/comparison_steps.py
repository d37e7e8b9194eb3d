"""How a step of a comparison is done: the settings of its arm, the model it starts from, then the stage's own task."""

from __future__ import annotations

from typing import Any

from data import profiles
from data.arms import Arm
from data.settings import Settings, StageSettings
from tasks import comparison_taken, evaluation, records, training
from tasks.addresses import TRAINERS, training_address
from tasks.base_model import prepare_base_model
from tasks.comparison import GRPO, Done, State, Step
from tasks.comparison_budget import ASIDE
from tasks.machine import described
from tasks.records import MissingUpstream, Record
from tasks.stage import now, say

#: What is imitated before RL: it stays with the comparison's own dataset where RL and its twins practise on another.
BEFORE_PRACTICE = ("sft", "primed")
#: Errors of ours that say that there was nothing to train on or to judge; by name, since their modules load torch.
NOTHING_THERE = ("EmptySplit", "NothingToEvaluate", "NoThoughts")
#: Steps, passes or validations that no clock ever reaches.
UNREACHED = 100_000


def do(state: State, step: Step) -> None:
    """Do a step and remember what answers it."""
    began = now()
    try:
        answer = _train(state, step, began) if step.kind == "train" else _judged(_judge(state, step), began)
    except Exception as error:  # what is expected becomes a line of the page: one empty arm is no reason to end all
        if type(error).__name__ not in NOTHING_THERE:
            raise
        say(f"{step.key}: left out, {error}")
        state.impossible[step.key], state.found_by[step.key] = str(error), _commit()
    else:
        state.done[step.key] = answer
    state.save()


def try_again(state: State) -> None:
    """Forget what other code found impossible."""
    if others := [key for key in state.impossible if state.found_by.get(key) != _commit()]:
        state.save(without=others)


def _commit() -> str:
    from models.tracking import git_commit

    return git_commit()


def _made(run_id: str, began: str) -> Done:
    return _entered(run_id, records.of_run(run_id, usable=False), began)


def _judged(evaluation_id: str, began: str) -> Done:
    found = [one for one in records.every("evaluation") if one.outputs.get("evaluation_id") == evaluation_id]
    return _entered(evaluation_id, max(found, key=lambda one: one.ended or ""), began)


def _entered(result: str, record: Record, began: str) -> Done:
    """The entry of what a stage left, now or long ago; on which machine it was then is not recorded."""
    new = (record.ended or "") >= began
    return Done(
        result=result, git_commit=record.git_commit, machine=described() if new else "", at=record.ended or began
    )


def settings_of(state: State, arm: Arm, seed: int, changes: dict[str, Any]) -> Settings:
    """Settings of the comparison with what the arm and the step change."""
    own = profiles.merge(profiles.merge(state.settings, arm.settings), changes)
    return profiles.resolve(state.profile, profiles.merge(own, {"seed": seed}))


def _train(state: State, step: Step, began: str) -> Done:
    arm = state.arms[step.arm]
    if arm.recipe == "base":
        return _made(prepare_base_model(settings_of(state, arm, step.seed, {}), state.dataset_version), began)
    (start,) = arm.starts
    run = _model(state, start, step.seed)
    settings = settings_of(state, arm, step.seed, _as_a_twin(state, arm, step.seed))
    version = None if arm.recipe in BEFORE_PRACTICE else state.practice_version
    if there := state.taken.get(step.key):
        address = training_address(_stage(arm), settings, records.of_run(run), version)
        try:
            record = comparison_taken.taken(there, address)
        except comparison_taken.NotTakable:
            state.taken[step.key] = ""  # so that the same call without --take trains it
            state.save()
            raise
        say(f"{step.key}: taken, run {record.run_id}")
        return comparison_taken.done(record)
    return _made(training.train(_stage(arm), settings, run, dataset_version=version), began)


def _stage(arm: Arm) -> records.Stage:
    assert arm.recipe != "judged"
    return arm.recipe


def _as_a_twin(state: State, arm: Arm, seed: int) -> dict[str, Any]:
    """What makes an arm GRPO's twin: the same clock, and all else as in the trainings it is compared with.

    Its own class defaults are those of a stage that somebody runs by itself; a twin that kept them would lose by them.
    What is stated stays. That is told by its value, since the record of a comparison has all settings resolved: one
    that equals its default counts as not stated.
    """
    clock = _wall_clock(state, arm, seed)
    if not clock:
        return {}
    own = settings_of(state, arm, seed, clock)
    looks = _validations_of_grpo(state, seed)
    alike = _like_sft_and_grpo(own, looks) if arm.recipe == "continued" else _like_grpo_and_sft(own)
    section = getattr(own, arm.recipe)
    unstated = {name: value for name, value in alike.items() if not _stated(section, name)}
    return profiles.merge(clock, {arm.recipe: unstated})


def _stated(section: StageSettings, name: str) -> bool:
    return bool(getattr(section, name) != getattr(type(section)(), name))


def _like_sft_and_grpo(own: Settings, looks: int) -> dict[str, Any]:
    """SFT that goes on is trained as SFT was and chooses its weights as GRPO does: on the same turns, and as often
    within the same time, which is ``looks`` times.

    Its own rate and batch are meant for weights that are trained already, so they stay unless SFT's rate is lower or
    its batch is larger. The order of conversations is its own as well: under ``coverage`` it would read again what SFT
    has read. GRPO knows no patience, it goes on to its end and keeps what was best.
    """
    twin, sft, grpo = own.continued, own.sft, own.grpo
    alike: dict[str, Any] = {
        "max_length": sft.max_length,
        "averaging": sft.averaging,
        "learning_rate": min(twin.learning_rate, sft.learning_rate),
        "validation_decision_points": grpo.validation_decision_points,
    }
    if not _stated(twin, "validate_every"):
        alike["validations"] = looks
    # Together, since one has to divide the other.
    if sft.batch_size > twin.batch_size and not (_stated(twin, "batch_size") or _stated(twin, "micro_batch_size")):
        alike |= {"batch_size": sft.batch_size, "micro_batch_size": sft.micro_batch_size}
    if twin.minutes is not None:  # the clock alone ends it
        alike |= dict.fromkeys(("max_steps", "epochs", "patience"), UNREACHED)
    return alike


def _validations_of_grpo(state: State, seed: int) -> int:
    """How often GRPO was validated on its way, or would be by its settings where it was not to be done."""
    run = state.model_of(GRPO, seed) if GRPO in state.arms else None
    steps = records.of_run(run, usable=False).steps if run else None
    section = state.settings["grpo"]
    return max(1, int(steps or section["max_steps"]) // int(section["validate_every"]))


def _like_grpo_and_sft(own: Settings) -> dict[str, Any]:
    """SFT on the best rollouts takes rollouts of any length that GRPO made, and leaves weights as SFT does.

    How often it passes over them stays its own: nothing chooses among its weights, and in all of GRPO's time it would
    learn the few completions by heart.
    """
    twin = own.rejection
    alike: dict[str, Any] = {
        "max_length": own.grpo.max_length,
        "averaging": own.sft.averaging,
        "learning_rate": min(twin.learning_rate, own.sft.learning_rate),
    }
    return alike if twin.minutes is None else {**alike, "max_steps": UNREACHED}


def _wall_clock(state: State, arm: Arm, seed: int) -> dict[str, Any]:
    """The twins of GRPO get the time that its model took, under the same seed, from the model that both start from:
    SFT that goes on gets priming's as well. Without such a model it is GRPO's budget."""
    if arm.recipe not in ("continued", "rejection"):
        return {}
    there = GRPO in state.arms
    spent = [_minutes(state, name, seed) for name in _way_to_grpo(state, arm)]
    minutes = None if None in spent else sum(filter(None, spent))
    rollouts = {"rollouts_of": state.model_of(GRPO, seed) if there else None} if arm.recipe == "rejection" else {}
    return {arm.recipe: {"minutes": minutes, **rollouts}}


def _way_to_grpo(state: State, twin: Arm) -> list[str]:
    """Arms that are trained one after the other from the model that ``twin`` starts from to GRPO's."""
    way = [GRPO]
    while way[0] in state.arms and state.arms[way[0]].starts[0] not in (*twin.starts, "base"):
        way.insert(0, state.arms[way[0]].starts[0])
    return way


def _minutes(state: State, name: str, seed: int) -> float | None:
    """What an arm's training took, or its budget where it was not to be done."""
    there = name in state.arms
    run = state.model_of(name, seed) if there else None
    seconds = records.of_run(run, usable=False).outputs.get("seconds") if run else None
    section = TRAINERS[state.arms[name].recipe if there else "grpo"].section
    return seconds / 60 if seconds else state.settings[section]["minutes"]


def _judge(state: State, step: Step) -> str:
    arm = state.arms[step.arm]
    chosen: dict[str, Any] = {**arm.evaluation, **_aside(state, step), "final": step.final}
    source = best_of(state, arm.starts) if arm.recipe == "judged" else step.arm
    run = _model(state, source, step.seed)
    if chosen.get("thoughts") == "shuffled":
        own = Step(source, state.seed_of(source, step.seed), "judge", final=step.final)
        chosen["thoughts_of"] = _known(state, own)
    if arm.recipe == "judged" and len(arm.starts) > 1:
        say(f"{arm.title}: {state.arms[source].title} is the better of the two by validation")
    return evaluation.evaluate(settings_of(state, arm, step.seed, {"evaluation": chosen}), run)


def _aside(state: State, step: Step) -> dict[str, Any]:
    """Fields of the evaluation's settings that a look aside changes."""
    minutes = state.settings["evaluation"]["minutes"]
    less = {"minutes": minutes * ASIDE} if minutes else {}
    what, _, which = step.aside.partition(" ")
    if what == "on":
        return {**less, "dataset": state.elsewhere[which]}
    if what == "sample":
        return {**less, "sample": int(which)}
    return {**less, "variant": what} if what else {}


def best_of(state: State, names: tuple[str, ...]) -> str:
    """The better of the arms, as it was found when it was first asked for: what is judged without its thoughts, with an
    empty one and on test is one and the same model, even if the judge has changed in between."""
    key = "|".join(names)
    if key not in state.preferred:
        state.preferred[key] = _best_of(state, names)
        state.save()
    return state.preferred[key]


def _best_of(state: State, names: tuple[str, ...]) -> str:
    """The arm with the highest turn success on validation, over the turns that all of them were judged on, by the judge
    as it is, as the page has it."""
    from data.snapshot import read_points_by_id
    from models.evaluation.pairing import item_of, shared_items
    from models.evaluation.rejudge import judged_again

    there = [name for name in names if name in state.arms]
    if len(there) < 2:
        return there[0]
    first = state.seeds[0]
    frames = {
        name: evaluation.rows_of(_known(state, Step(name, state.seed_of(name, first), "judge"))) for name in there
    }
    points = read_points_by_id(
        state.dataset_version, {one for frame in frames.values() for one in frame["decision_point_id"]}
    )
    frames = {name: judged_again(frame, points) for name, frame in frames.items()}
    shared = shared_items([{first: frame} for frame in frames.values()])
    means = {
        name: float(frame[frame["decision_point_id"].map(item_of).isin(shared)]["turn_success"].mean())
        for name, frame in frames.items()
    }
    return max(there, key=lambda name: means[name])


def _model(state: State, name: str, seed: int) -> str:
    run = _known(state, Step(name, state.seed_of(name, seed), "train"))
    try:
        records.of_run(run)
    except MissingUpstream as error:
        raise MissingUpstream(
            f"{error}. Comparison {state.id} counts it as done: give the same command with --again, which makes anew "
            "what is gone and what comes from it"
        ) from error
    return run


def _known(state: State, step: Step) -> str:
    found = state.result(step)
    if found is None:
        raise MissingUpstream(
            f"step {step.key} of comparison {state.id} is not done yet; run the same `apprentice compare` again"
        )
    return found
