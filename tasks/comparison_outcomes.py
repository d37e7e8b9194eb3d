"""Outcomes of a comparison: gathered from the evaluations of this machine, or pooled from files of several."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from data.files import write_whole
from data.snapshot import read_points_by_id
from tasks import records
from tasks.choices import source_of
from tasks.comparison import State, Step, same_question
from tasks.comparison_datasets import overlap
from tasks.evaluation import final_uses, rows_of
from tasks.held_out import chosen_on
from tasks.records import Record

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
FACTS, ROWS = "outcomes.json", "outcomes.parquet"
BFCL = "on bfcl"
#: Settings that say where something lies on one machine, not what is compared.
PLACES = ("path",)
#: Settings named at most where two comparisons differ.
MOST_NAMED = 4


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
        return [(key.split("/")[0], _seed(key)) for key in kept]

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
        write_whole(directory / FACTS, json.dumps(facts, indent=1) + "\n")


def gathered(state: State) -> Outcomes | None:
    """Outcomes of a comparison of this machine; None while nothing is judged."""
    from models.tracking import git_commit
    from models.training.monitor import in_words

    judged = {key: done.result for key, done in state.done.items() if "/judge" in key}
    if not judged:
        return None
    return Outcomes(
        state=state,
        judged_by=git_commit(),
        source=source_of(state.dataset_version),
        rows=_rows(state, {key: rows_of(evaluation_id) for key, evaluation_id in judged.items()}),
        costs={key: _cost(done.result) for key, done in state.done.items() if key.endswith("/train")},
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
    own = {done.result for key, done in state.done.items() if key.endswith("/final")}
    # A model that was trained on the practice version is judged on the same test conversations, under its name.
    held_out = {state.dataset_version, state.practice_version}
    uses = [use for use in final_uses() if use["dataset_version"] in held_out]
    return sum(use["evaluation_id"] not in own for use in uses)


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
        made = Outcomes(state=state, rows=read_outcomes(directory / ROWS), **facts)
        made.costs = {key: dict(cost) for key, cost in made.costs.items()}  # JSON of another shape ends here, not later
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DamagedFile) as error:
        raise NotOneComparison(
            f"{directory} cannot be pooled ({error}): its files are damaged, or another commit made them; parts are "
            "pooled by the commit that made them (`apprentice compare --report` of the same code writes them anew)"
        ) from error
    return made


def pooled(parts: Sequence[Outcomes]) -> Outcomes:
    """Several machines' outcomes of one comparison as one.

    Each seed is taken whole from the part that did most of it, so that its arms come from one and the same SFT.

    Raises:
        NotOneComparison: They were not asked the same.
    """
    import pandas as pd

    first = parts[0]
    for part in parts[1:]:
        if not same_question(part.state, first.state):
            raise NotOneComparison(_difference(first.state, part.state))
    owner = {seed: max(parts, key=lambda part: _steps_of(part, seed)) for seed in first.state.seeds}

    def owned(of: Callable[[Outcomes], Mapping[str, T]]) -> dict[str, T]:
        return {key: one for seed, part in owner.items() for key, one in of(part).items() if _seed(key) == seed}

    done, failed = owned(lambda part: part.state.done), owned(lambda part: part.state.impossible)
    kept = [part.rows[part.rows["step"].map(_seed) == seed] for seed, part in owner.items()]
    looked = owner[first.state.seeds[0]]  # looks aside are the first seed's, so what they were made on is its part's
    return Outcomes(
        judged_by=", ".join(sorted({part.judged_by for part in owner.values()})),
        state=looked.state.model_copy(
            update={"done": done, "impossible": failed, "taken": owned(lambda part: part.state.taken)}
        ),
        source=looked.source,
        rows=pd.concat(kept, ignore_index=True),
        costs=owned(lambda part: part.costs),
        overlaps=looked.overlaps,
        commands=list(dict.fromkeys(command for part in parts for command in part.commands)),
        chosen_on=sorted({name for part in owner.values() for name in part.chosen_on}),
        other_looks=sum(part.other_looks for part in _different(parts)),
        monitored=owned(lambda part: part.monitored),
    )


def _different(parts: Sequence[Outcomes]) -> Iterator[Outcomes]:
    """The parts without those that are given twice: of the same models, judgements and looks."""
    seen = set()
    for part in parts:
        what = (json.dumps(part.state.model_dump(mode="json")["done"], sort_keys=True), part.other_looks)
        if what not in seen:
            seen.add(what)
            yield part


def _steps_of(part: Outcomes, seed: int) -> int:
    return Counter(map(_seed, part.state.done))[seed]


def _seed(key: str) -> int:
    return int(key.split("/")[1])


def _difference(one: State, other: State) -> str:
    asked = [_flat({**_asked(each), **each.settings}) for each in (one, other)]
    names = [name for name in sorted(asked[0].keys() | asked[1].keys()) if asked[0].get(name) != asked[1].get(name)]
    named = "; ".join(f"{name}: {asked[0].get(name)} and {asked[1].get(name)}" for name in names[:MOST_NAMED])
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    what = f"{named or 'their arms are made otherwise'}{more}"
    return f"{one.id} and {other.id} are different comparisons ({what}); pool seeds of one and the same"


def _asked(state: State) -> dict[str, Any]:
    datasets = {"dataset": state.dataset_version, "practice": state.practice_version}
    return {**datasets, "seeds": state.seeds, "arms": sorted(state.arms)}


def _flat(nested: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    def members() -> Iterator[tuple[str, Any]]:
        for name, value in nested.items():
            if isinstance(value, Mapping):
                yield from _flat(value, f"{before}{name}.").items()
            elif name not in PLACES:
                yield f"{before}{name}", value

    return dict(members())


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


def _cost(run_id: str) -> dict[str, float]:
    record = records.of_run(run_id, usable=False)
    outputs = record.outputs
    minutes = float(outputs.get("seconds", 0.0)) / 60
    before = _cost(record.start_run_id)["minutes_in_all"] if record.start_run_id else 0.0
    # What is imitated had to be sampled: rejection has cost what the GRPO did whose rollouts it learns from.
    source = _cost(of) if (of := record.settings.get("rollouts_of")) else {}
    before += source.get("minutes", 0.0)
    counts, steps = outputs.get("counts") or {}, float(record.steps)
    rows = steps * float(record.settings.get("batch_size", 0))
    made = float(counts.get("used", 0)) + float(counts.get("exchanged", 0))
    each = float(counts.get("labelled_tokens", 0)) / max(1.0, made)
    sampled, learned = _rollout_tokens(record.run_id) if record.stage == "grpo" else (0.0, rows * each)
    return {
        "minutes": minutes,
        "minutes_in_all": minutes + before,
        "steps": steps,
        "kept_step": float((outputs.get("metrics") or {}).get("best_step", steps)),
        "learned_tokens": learned,
        "sampled_tokens": sampled + source.get("sampled_tokens", 0.0),
    }


def _rollout_tokens(run_id: str) -> tuple[float, float]:
    """Tokens a GRPO run sampled, and those of them with an advantage: the others teach nothing."""
    from data.rollouts import read_rollouts

    rollouts = read_rollouts(run_id)
    taught = rollouts["advantage"].fillna(0) != 0
    return float(rollouts["completion_tokens"].sum()), float(rollouts.loc[taught, "completion_tokens"].sum())
