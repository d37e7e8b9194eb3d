"""Models that are there already, in the place of a comparison's own trainings: another question of the same SFT.

What is taken has to be what would be trained: the same stage, seed, settings, dataset and start. Only the code may be
of another commit, which the page names; so taking is no part of the question, and seeds that are pooled may differ in
it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from data.arms import Arm
from data.settings import Settings
from tasks import records
from tasks.addresses import TRAINERS
from tasks.comparison import Done, State, Step, short
from tasks.records import Address, MissingUpstream, Record
from tasks.stage import flat

_GIVEN = re.compile(r"(?P<arm>[\w-]+)/(?P<seed>\d+)=(?P<run>\w+)")
#: Differences named at most.
MOST_NAMED = 4


class NotTakable(ValueError):
    """No such training in the comparison, or the model was made otherwise; the message says in what."""


def take(state: State, given: Sequence[str]) -> None:
    """Note the models that the comparison takes; those of steps that are done already stay as they are.

    Args:
        state: The comparison.
        given: ``ARM/SEED=RUN`` each; the first characters of a run id suffice.

    Raises:
        NotTakable: Not of that form, no training of this comparison, done with another model, or of another stage.
    """
    new = parsed(state.arms, state.seeds, given)
    for key, run in new.items():
        there = state.done.get(key)
        if there is not None and there.result != run:
            raise NotTakable(f"{key.removesuffix('/train')} is done already, by run {there.result}; leave --take out")
    new = {key: run for key, run in new.items() if key not in state.done}  # what was trained here was not taken
    if new.items() - state.taken.items() or new.keys() & state.impossible.keys():
        state.taken.update(new)
        state.save(without=new)


def parsed(arms: Mapping[str, Arm], seeds: Sequence[int], given: Sequence[str]) -> dict[str, str]:
    """The runs to take by key of the training they stand for.

    Raises:
        NotTakable: Not of that form, no training of these arms and seeds, no such run, or one of another stage.
    """
    return dict(_parsed(arms, seeds, one) for one in given)


def _parsed(arms: Mapping[str, Arm], seeds: Sequence[int], given: str) -> tuple[str, str]:
    found = _GIVEN.fullmatch(given)
    if found is None:
        raise NotTakable(f"{given} is not of the form ARM/SEED=RUN, such as sft/0=1a2b3c4d")
    name, seed = found["arm"], int(found["seed"])
    trained = {f"{arm.name}/{one}" for arm in arms.values() for one in _seeds(arm, seeds)}
    if f"{name}/{seed}" not in trained:
        raise NotTakable(f"this comparison trains no {name} under seed {seed}; it trains {', '.join(sorted(trained))}")
    try:
        record = records.of_run(found["run"])
    except MissingUpstream as error:
        raise NotTakable(str(error)) from error
    recipe = arms[name].recipe
    if record.stage != recipe:
        raise NotTakable(f"run {record.run_id} is of the stage {record.stage}; {name} is made by {recipe}")
    return Step(name, seed, "train").key, record.run_id


def _seeds(arm: Arm, seeds: Sequence[int]) -> Sequence[int]:
    if arm.recipe not in TRAINERS:
        return ()
    return seeds if arm.seeded else seeds[:1]


def taken(run: str, address: Address) -> Record:
    """The record of a model that stands for the training at ``address``.

    Raises:
        NotTakable: It was not trained as that would be.
    """
    try:
        record = records.of_run(run)
    except MissingUpstream as error:
        raise NotTakable(str(error)) from error
    if others := differences(record, address):
        named = "; ".join(others[:MOST_NAMED])
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        raise NotTakable(
            f"run {record.run_id} is not the {address.stage} that is asked for: {named}{more}. State the same, "
            "or leave --take out to train it anew"
        )
    return record


def differences(record: Record, address: Address) -> list[str]:
    """In what the model of ``record`` was made otherwise than ``address`` asks, its code apart.

    A setting that is younger than the run counts as its default, which is how the run was made. A clock that a run did
    not need, since its steps or its validation ended it before, may be any that is long enough; not where it decided
    when the run was validated, and so which weights were kept.
    """
    facts = {
        "dataset": (record.dataset_version, address.dataset_version),
        "weights it starts from": (record.start_sha256, address.start_sha256),
    }
    there, asked = flat(record.settings), flat(address.settings)
    defaults = _defaults(address.stage)
    by_the_clock = there.get("validations", defaults.get("validations")) is not None
    if not by_the_clock and _ended_before(record, asked.get("minutes")):
        there["minutes"] = asked.get("minutes")
    for name in sorted(there.keys() | asked.keys()):
        facts[name] = (there.get(name, defaults.get(name)), asked.get(name))
    return [f"{name} {was}, asked {wanted}" for name, (was, wanted) in facts.items() if was != wanted]


def _ended_before(record: Record, minutes: float | None) -> bool:
    if record.outputs.get("stopped") != "finished":
        return False
    return minutes is None or float(record.outputs.get("seconds", math.inf)) <= 60 * minutes


def _defaults(stage: str) -> Mapping[str, Any]:
    every = Settings()
    own = type(getattr(every, TRAINERS[stage].section))().model_dump(mode="json")
    # Beside its section an address has what it takes from GRPO's (tasks/addresses.py).
    return {"validation_completion_length": every.grpo.max_completion_length, "reward_digest": "", **flat(own)}


def done(record: Record) -> Done:
    """The entry of a taken model: its commit and time are those of its training, its machine was not recorded."""
    return Done(result=record.run_id, git_commit=record.git_commit, at=record.ended or "")


def told(state: State) -> str:
    """The models that were taken and are in use, for the page; empty without any."""
    used = [
        key
        for key, run in state.taken.items()
        if run and (there := state.done.get(key)) is not None and there.result == run
    ]
    return ", ".join(
        f"{key.removesuffix('/train').replace('/', ', seed ')}: run {state.taken[key][:8]} of commit "
        f"{short(state.done[key].git_commit)}"
        for key in sorted(used)
    )
