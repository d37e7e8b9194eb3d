"""What a comparison counts as done and is not there any more: rows deleted or damaged, models that are gone."""

from __future__ import annotations

from tasks import records
from tasks.comparison import GRPO, State, Step, steps
from tasks.records import MissingUpstream, Record
from tasks.stage import say


def lost_judgements(state: State) -> list[str]:
    """Keys of the judgements whose rows are gone, or are not what was left, byte for byte."""
    judged = {key: done.result for key, done in state.done.items() if "/judge" in key}
    kept = {str(one.outputs.get("evaluation_id", one.key)): one for one in records.every("evaluation")}
    return [key for key, evaluation_id in judged.items() if not _whole(evaluation_id, kept.get(evaluation_id))]


def judge_again(state: State) -> None:
    """Count judgements that are lost as not done: they take minutes, where models take hours."""
    planned = _planned(state)
    lost = [key for key in lost_judgements(state) if key in planned and _model_is_there(state, planned[key])]
    if lost:
        say(f"rows are gone or were changed, so these are judged again: {', '.join(lost)}")
        state.save(without=lost)


def make_again(state: State) -> None:
    """Count as not done the models that are gone, what comes from them, and all their judgements.

    What comes from a model is not what would come from the next one of its name, unless that has the same weights;
    then the stage itself finds what it left before.
    """
    missing = {key for key, done in state.done.items() if key.endswith("/train") and not _there(done.result)}
    planned = _planned(state)
    lost = [key for key in state.done if key in planned and missing & behind(state, planned[key])]
    if lost:
        say(f"models are gone, so these are made again: {', '.join(lost)}")
        state.taken.update({key: "" for key in missing & state.taken.keys()})
        state.save(without=lost)


def _whole(evaluation_id: str, record: Record | None) -> bool:
    from data.evaluations import done
    from data.parquet import DamagedFile

    try:
        return bool(done(evaluation_id)) and (record is None or records.intact(record))
    except DamagedFile:
        return False


def _there(run_id: str) -> bool:
    try:
        records.of_run(run_id)
    except MissingUpstream:
        return False
    return True


def _model_is_there(state: State, step: Step) -> bool:
    """Whether the model that a judgement is of can be judged on this machine."""
    starts = state.arms[step.arm].starts
    source = step.arm if state.arms[step.arm].recipe != "judged" else state.preferred.get("|".join(starts), starts[0])
    run = state.model_of(source, step.seed)
    return run is not None and _there(run)


def _planned(state: State) -> dict[str, Step]:
    return {step.key: step for step in (*steps(state), *steps(state, final=True))}


def behind(state: State, step: Step) -> set[str]:
    """Keys of the steps that the result of one depends on, its own among them: SFT that goes on has its clock from
    GRPO's."""
    clocked = (GRPO,) if state.arms[step.arm].recipe == "continued" and GRPO in state.arms else ()
    trained = [Step(name, state.seed_of(name, step.seed), "train") for name in clocked]
    return {one.key for each in (step, *trained) for one in state.needed(each)}
