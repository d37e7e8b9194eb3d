"""A comparison of arms as steps that are done once: what is to be trained and judged, in which order, and what is done.

Every step is a stage like any other (reused, resumed, recorded); here it is only remembered which run or evaluation
answers it. So a comparison of many hours is made in slices of ten minutes: each call goes on where the last one ended.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from data import paths
from data.arms import Arm
from data.files import write_whole
from data.parquet import DamagedFile
from data.settings import ProfileName, Settings
from tasks import locks
from tasks.comparison_question import key_of, same_question
from tasks.records import read_whole

#: Draws per model for the noise floor.
SAMPLES = 3
#: Arms that are judged on changed turns and elsewhere, too.
LOOKED_AT = ("sft", "sft-continued", "grpo-plain", "grpo-thinking")
SAMPLED = ("sft", "grpo-thinking")
#: The arm whose completions rejection sampling learns from, and whose time the twins get.
GRPO = "grpo-thinking"
#: An empty file beside the record, written when somebody asks for the comparison; the record is by every step.
ASKED = "asked"
_SLICE = re.compile(r" --slice[ =]\S+")


class UnknownSeed(ValueError):
    """Not one of the comparison's seeds; the message lists them."""


@dataclass(frozen=True)
class Step:
    """One thing to do: train an arm's model, or judge it somewhere."""

    arm: str
    seed: int
    kind: str
    """``train`` or ``judge``."""
    aside: str = ""
    """What is different about a judgement: ``distractors``, ``on bfcl``, ``sample 2``; empty for the main one."""
    final: bool = False

    @property
    def key(self) -> str:
        """Its name in the record of what is done."""
        return "/".join(
            part for part in (self.arm, str(self.seed), self.kind, self.aside, "final" * self.final) if part
        )


def short(commit: str) -> str:
    """A commit as a page names it: its first characters, and whether the code had changes beside it."""
    sha, changed, _ = commit.partition("+")
    return f"{sha[:9]}{changed and '+changes'}" or "unknown"


class Done(BaseModel):
    """What answers a step."""

    result: str
    """Run id, or evaluation id."""
    git_commit: str = ""
    machine: str = ""
    at: str = ""


class State(BaseModel):
    """A comparison on disk: everything it was asked, and what is done of it."""

    id: str
    preset: str
    arms: dict[str, Arm]
    seeds: list[int]
    profile: ProfileName
    settings: dict[str, Any]
    dataset_version: str
    practice_version: str | None = None
    """What RL and its twins learn from, if not the same: its training conversations under other tool names, for one."""
    minutes: float | None = None
    elsewhere: dict[str, str] = Field(default_factory=dict)  # source → dataset version
    done: dict[str, Done] = Field(default_factory=dict)
    impossible: dict[str, str] = Field(default_factory=dict)
    """Steps that found nothing to work on, and why; what needs them is left out, all else goes on."""
    found_by: dict[str, str] = Field(default_factory=dict)
    """By key of such a step: commit of the code that found so; another one tries again."""
    taken: dict[str, str] = Field(default_factory=dict)
    """By key of a training step: run id of a model that was there already and stands for it; empty where one was named
    that could not."""
    preferred: dict[str, str] = Field(default_factory=dict)
    """By the names of the arms that one was to be chosen of (joined by ``|``): the one that was."""
    commands: list[str] = Field(default_factory=list)
    """What was typed to work on it, each once: a page that is made later names these."""

    @property
    def directory(self) -> Path:
        """Where its record, results, plots and examples lie."""
        return paths.comparisons() / self.id

    def save(self, *, without: Collection[str] = ()) -> None:
        """Write the record, with what other processes entered since this one was read.

        Args:
            without: Keys of steps that are neither done nor impossible any more.

        Raises:
            Busy: Another process has been writing it for seconds.
        """
        with locks.hold(f"comparison-{self.id}", "compare"):
            there = load(self.id)
            if there is not None:
                self.done = {**there.done, **self.done}
                self.taken = {**there.taken, **self.taken}
                self.preferred = {**self.preferred, **there.preferred}  # what was chosen first stays
                self.elsewhere = {**self.elsewhere, **there.elsewhere}
                failed = {**there.impossible, **self.impossible}
                self.impossible = {key: why for key, why in failed.items() if key not in self.done}
                self.found_by = {**there.found_by, **self.found_by}
                self.commands = list(dict.fromkeys([*there.commands, *self.commands]))
            for key in without:
                for entries in (self.done, self.impossible, self.found_by):
                    entries.pop(key, None)
            write_whole(_record(self.id), self.model_dump_json(indent=2))

    def note_command(self, command: str) -> None:
        """Remember what was typed to work on it; how long a slice was is no part of it."""
        told = list(dict.fromkeys(_SLICE.sub("", one) for one in (*self.commands, command) if one))
        if told != self.commands:
            self.commands = told
            self.save()

    def failed(self, step: Step) -> str | None:
        """Why a step cannot be done, or the one it needs; None where nothing is known against it."""
        return next((self.impossible[one.key] for one in self.needed(step) if one.key in self.impossible), None)

    def needed(self, step: Step) -> list[Step]:
        """A step and those that it cannot be done without."""
        needed = [step, *(Step(name, self.seed_of(name, step.seed), "train") for name in self.before(step.arm))]
        if self.arms[step.arm].recipe == "judged":  # which of its models is judged, and with what thoughts, tell these
            starts = self.arms[step.arm].starts
            needed += [Step(name, self.seed_of(name, step.seed), "judge") for name in starts]
            needed += [Step(name, self.seed_of(name, step.seed), "judge", final=step.final) for name in starts]
        return needed

    def before(self, name: str) -> list[str]:
        """An arm and all whose models it comes from."""
        arm = self.arms[name]
        rollouts = (GRPO,) if arm.recipe == "rejection" and GRPO in self.arms else ()
        return list(dict.fromkeys([name, *(one for start in (*arm.starts, *rollouts) for one in self.before(start))]))

    def result(self, step: Step) -> str | None:
        """The run or evaluation that answers a step, if it is done."""
        found = self.done.get(step.key)
        return found.result if found else None

    def model_of(self, name: str, seed: int) -> str | None:
        """Run id of an arm's model under a seed; an arm trained once has one for all seeds."""
        return self.result(Step(name, self.seed_of(name, seed), "train"))

    def seed_of(self, name: str, seed: int) -> int:
        """The seed under which an arm stands for another arm's seed."""
        return seed if self.arms[name].seeded else self.seeds[0]


def opened(
    preset: str,
    arms: Mapping[str, Arm],
    seeds: Sequence[int],
    settings: Settings,
    dataset_version: str,
    elsewhere: Mapping[str, str],
    minutes: float | None,
    practice_version: str | None = None,
) -> State:
    """The comparison that was asked for, with what is done of it already."""
    asked: dict[str, Any] = {
        "arms": {name: arm.model_dump(mode="json") for name, arm in arms.items()},
        "seeds": list(seeds),
        "settings": settings.model_dump(mode="json"),
        "dataset_version": dataset_version,
        **({"practice_version": practice_version} if practice_version else {}),
    }
    state = State(id="", preset=preset, profile=settings.profile, minutes=minutes, elsewhere=dict(elsewhere), **asked)
    state.id = key_of(state)
    there = load(state.id) or next((one for one in _every() if same_question(one, state)), None)
    if there is None:
        state.save()
    elif state.elsewhere.keys() - there.elsewhere.keys():  # ingested since: judged there as well from now on
        there.elsewhere = {**state.elsewhere, **there.elsewhere}
        there.save()
    state = there or state
    (state.directory / ASKED).touch()
    return state


def _every() -> Iterator[State]:
    """The comparisons of this machine; one that cannot be read stands in nobody's way."""
    for file in sorted(paths.comparisons().glob("*/state.json")):
        with suppress(DamagedFile):
            if (state := _read(file)).id == file.parent.name:  # not one that was moved aside
                yield state


def load(comparison_id: str) -> State | None:
    """A comparison of this machine; None where there is none of that id."""
    file = _record(comparison_id)
    return _read(file) if file.exists() else None


def _record(comparison_id: str) -> Path:
    return paths.comparisons() / comparison_id / "state.json"


def newest() -> State | None:
    """The comparison that was asked for last, whichever made a step last."""
    files = sorted(paths.comparisons().glob("*/state.json"), key=_asked_at, reverse=True)
    return next((state for file in files if (state := _read(file)).id == file.parent.name), None)


def _asked_at(record: Path) -> float:
    asked = record.with_name(ASKED)
    return (asked if asked.exists() else record).stat().st_mtime


def _read(file: Path) -> State:
    cure = "the same command begins it again, and reuses every stage that is finished"
    return read_whole(State, file, "the record of a comparison", cure)


def steps(state: State, *, final: bool = False, only_seed: int | None = None) -> list[Step]:
    """All steps in order: the minimum set under every seed, then the other arms, then looks aside.

    With ``final`` the main judgements once more, on the test splits, before the looks aside, the arms that are asked
    about most first, and at the end the changed turns and other sources of test; everything before stays as it is. With
    ``only_seed`` this seed's part of all that, and the base model: what is trained once belongs to the first seed.
    """
    seeded = [
        step
        for seed in state.seeds
        for name in _in_order(state.arms)
        if state.arms[name].seeded or seed == state.seeds[0]
        for step in _of_arm(state.arms[name], seed)
    ]
    late = {name for name in state.arms if name not in LOOKED_AT and state.arms[name].recipe in ("rejection", "judged")}
    late |= {name for name in state.arms if name.startswith("grpo-") and name not in LOOKED_AT}
    late -= {"base-format-help"}
    planned = [step for step in seeded if step.arm not in late] + [step for step in seeded if step.arm in late]
    if final:
        main = sorted((one for one in planned if one.kind == "judge"), key=lambda one: one.arm not in LOOKED_AT)
        planned += [Step(one.arm, one.seed, "judge", final=True) for one in main]
    planned += [*_looks(state), *_samples(state)]
    if final:
        planned += [replace(one, final=True) for one in _looks(state)]
    if only_seed is None:
        return planned
    return [
        one for one in planned if one.seed == only_seed or (state.arms[one.arm].recipe, one.kind) == ("base", "train")
    ]


def left(state: State, *, final: bool = False, only_seed: int | None = None) -> list[Step]:
    """The steps that are neither done nor known to be impossible, in order."""
    planned = steps(state, final=final, only_seed=only_seed)
    return [one for one in planned if state.result(one) is None and state.failed(one) is None]


def _of_arm(arm: Arm, seed: int) -> Iterator[Step]:
    if arm.recipe != "judged":
        yield Step(arm.name, seed, "train")
    yield Step(arm.name, seed, "judge")


def _looks(state: State) -> Iterator[Step]:
    there = [name for name in LOOKED_AT if name in state.arms]
    for what in ("distractors", "withheld", *(f"on {source}" for source in sorted(state.elsewhere))):
        yield from (Step(name, state.seeds[0], "judge", what) for name in there)


def _samples(state: State) -> Iterator[Step]:
    for number in range(1, SAMPLES + 1):
        yield from (Step(name, state.seeds[0], "judge", f"sample {number}") for name in SAMPLED if name in state.arms)


def _in_order(arms: Mapping[str, Arm]) -> list[str]:
    """Arms after those they need: the twin of GRPO gets the time that GRPO took, rejection sampling its rollouts."""
    ordered: list[str] = []

    def place(name: str) -> None:
        arm = arms[name]
        needed = [*arm.starts, *((GRPO,) if arm.recipe in ("continued", "rejection") else ())]
        for other in needed:
            if other in arms and other not in ordered:
                place(other)
        if name not in ordered:
            ordered.append(name)

    for name in arms:
        place(name)
    return ordered
