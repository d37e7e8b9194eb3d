"""Outcomes of a comparison: gathered from the evaluations of this machine, or pooled from files of several."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.files import write_whole
from data.snapshot import SnapshotDamaged, SnapshotMissing, read_points_by_id
from tasks import records
from tasks.choices import source_of
from tasks.comparison import State, Step
from tasks.comparison_costs import cost
from tasks.comparison_datasets import overlap
from tasks.comparison_lost import lost_judgements
from tasks.evaluation import final_uses, rows_of
from tasks.held_out import chosen_on
from tasks.records import Record

if TYPE_CHECKING:
    import pandas as pd

FACTS, ROWS = "outcomes.json", "outcomes.parquet"
#: In the facts, of the rows that were written with them: a kill or a full disk may leave the one without the other.
DIGEST = "rows_sha256"
BFCL = "on bfcl"
#: Settings that say where something lies on one machine, not what is compared.
PLACES = ("path",)


class NotOneComparison(ValueError):
    """What is to be pooled answers different questions, or nothing; the message says in what they differ."""


@dataclass
class Outcomes:
    """What a page of results is made from."""

    state: State
    source: str
    rows: pd.DataFrame
    """Rows of ``OUTCOME_SCHEMA`` of every judgement that is done."""
    costs: dict[str, dict[str, float]]
    """By key of a training step: minutes, steps and tokens of its model, and the step whose weights were kept."""
    overlaps: dict[str, int]
    """By source judged elsewhere: questions that also stand in the training conversations."""
    commands: list[str]
    monitored: dict[str, str] = field(default_factory=dict)
    """By key of a training step: what the hacking monitor said of it, where it watched."""
    chosen_on: list[str] = field(default_factory=list)
    """Conversations by which weights were chosen, as far as validations were stored; seldom judged as well."""
    other_looks: int = 0
    """Judgements on the test splits of its dataset that are not of this comparison."""
    judged_by: str = ""
    """Commit whose judge the verdicts are of; of several, where parts of several were pooled."""

    def of(self, step: Step) -> pd.DataFrame | None:
        """Rows of a judgement; None while it is not done."""
        found = self.rows[self.rows["step"] == step.key]
        return found.drop(columns="step").reset_index(drop=True) if len(found) else None

    def cost(self, name: str, seeds: Iterable[int]) -> dict[str, float]:
        """Mean over these seeds of an arm's cost, of what all of them tell; empty for one that is not trained."""
        keys = (Step(name, seed, "train").key for seed in seeds)
        each = [self.costs[key] for key in keys if key in self.costs]
        told = [fact for fact in each[0] if all(fact in one for one in each)] if each else []
        return {fact: sum(one[fact] for one in each) / len(each) for fact in told}

    def kept_steps(self, name: str, seeds: Iterable[int]) -> dict[int, float]:
        """By seed, of these, the step whose weights were kept."""
        told = {seed: self.costs.get(Step(name, seed, "train").key, {}) for seed in seeds}
        return {seed: cost["kept_step"] for seed, cost in told.items() if "kept_step" in cost}

    @property
    def unmoved(self) -> list[tuple[str, int]]:
        """Arms, with their seeds, that were trained and kept the weights they started from."""
        kept = {key: one for key, one in self.costs.items() if one.get("steps") and one.get("kept_step") == 0}
        return [(key.split("/")[0], seed_in(key)) for key in kept]

    def write(self, directory: Path) -> None:
        """Leave them as two files that can be handed on."""
        from data.outcomes import write_outcomes

        settings = self.state.settings | {
            "data": {name: value for name, value in self.state.settings["data"].items() if name not in PLACES}
        }
        facts = {
            "state": self.state.model_copy(update={"settings": settings}).model_dump(mode="json"),
            "source": self.source,
            "costs": self.costs,
            "overlaps": self.overlaps,
            "commands": self.commands,
            "monitored": self.monitored,
            "chosen_on": self.chosen_on,
            "other_looks": self.other_looks,
            "judged_by": self.judged_by,
        }
        write_outcomes(directory / ROWS, self.rows)
        facts[DIGEST] = records.digest(directory / ROWS)
        write_whole(directory / FACTS, json.dumps(facts, indent=1) + "\n")


def gathered(state: State) -> Outcomes | None:
    """Outcomes of a comparison of this machine; None while nothing is judged."""
    from models.tracking import git_commit
    from models.training.monitor import in_words

    lost = set(lost_judgements(state))  # they are listed as not done, and judged anew by the next call
    state = state.model_copy(update={"done": {key: done for key, done in state.done.items() if key not in lost}})
    judged = {key: done.result for key, done in state.done.items() if "/judge" in key}
    if not judged:
        return None
    return Outcomes(
        state=state,
        judged_by=git_commit(),
        source=source_of(state.dataset_version),
        rows=_rows(state, {key: rows_of(evaluation_id) for key, evaluation_id in judged.items()}),
        costs={key: cost(done.result) for key, done in state.done.items() if key.endswith("/train")},
        overlaps={
            source: overlap(state.dataset_version, version)
            for source, version in state.elsewhere.items()
            if any(_look(key) == f"on {source}" for key in judged)
        },
        commands=list(state.commands),
        chosen_on=sorted({name for record in _trained(state) for name in chosen_on(record)}),
        other_looks=_other_looks(state),
        monitored={
            key: in_words(verdict)
            for key, done in state.done.items()
            if key.endswith("/train") and (verdict := records.of_run(done.result, usable=False).outputs.get("verdict"))
        },
    )


def _trained(state: State) -> Iterator[Record]:
    """Records of the models that are trained."""
    for key, done in state.done.items():
        if key.endswith("/train"):
            yield records.of_run(done.result, usable=False)


def _other_looks(state: State) -> int:
    """Looks at test of this source, under whichever of its versions: another version seldom holds out another test."""
    own = {done.result for key, done in state.done.items() if key.endswith("/final")}
    # A look of its own that was stopped is noted, and not done yet.
    models = {done.result for key, done in state.done.items() if key.endswith("/train")}
    begun = {one.outputs.get("evaluation_id") for one in records.every("evaluation") if one.status != "done"}
    source = source_of(state.dataset_version)
    return sum(
        use["evaluation_id"] not in own
        and not (use["evaluation_id"] in begun and use["run_id"] in models)
        and _is_of(source, use["dataset_version"])
        for use in final_uses()
    )


def _is_of(source: str, version: str) -> bool:
    try:
        return source_of(version) == source
    except (SnapshotMissing, SnapshotDamaged):
        return False


def read(directory: Path) -> Outcomes:
    """Outcomes that a comparison left.

    Raises:
        NotOneComparison: There are none in this directory.
    """
    from data.outcomes import read_outcomes
    from data.parquet import DamagedFile

    missing = [name for name in (FACTS, ROWS) if not (directory / name).is_file()]
    if missing:
        raise NotOneComparison(
            f"{directory} has no {' and no '.join(missing)}: name a directory with both, such as the one `apprentice "
            "compare` writes its page to"
        )
    try:
        facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
        state = State.model_validate(facts.pop("state"))
        if facts.pop(DIGEST, None) not in (None, records.digest(directory / ROWS)):
            raise ValueError(f"{ROWS} is not the one that {FACTS} was written with")
        made = Outcomes(state=state, rows=read_outcomes(directory / ROWS), **facts)
        made.costs = {key: dict(cost) for key, cost in made.costs.items()}  # JSON of another shape ends here, not later
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedFile) as error:
        raise NotOneComparison(
            f"{directory} cannot be pooled ({error}): its files are damaged, or another commit made them; parts are "
            "pooled by the commit that made them (`apprentice compare --report` of the same code writes them anew)"
        ) from error
    return made


def _rows(state: State, judged: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    from models.evaluation.outcomes import outcomes

    versions = {key: state.elsewhere.get(_look(key).removeprefix("on "), state.dataset_version) for key in judged}
    points: dict[str, Any] = {}
    for version in set(versions.values()):
        ids = (frame["decision_point_id"] for key, frame in judged.items() if versions[key] == version)
        points[version] = read_points_by_id(version, {one for column in ids for one in column})
    return pd.concat(
        [outcomes(frame, points[versions[key]], step=key, by_bfcl=_look(key) == BFCL) for key, frame in judged.items()],
        ignore_index=True,
    )


def _look(key: str) -> str:
    """What is different about the judgement of that key: its last part, but for whether it is of the test splits."""
    return key.removesuffix("/final").rpartition("/")[2]


def seed_in(key: str) -> int:
    """The seed of a step's key."""
    return int(key.split("/")[1])
