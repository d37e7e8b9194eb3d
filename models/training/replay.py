"""Stored rollouts under another reward: rewards and advantages recomputed, nothing generated.

A change to a reward can so be looked at on real completions before it costs a training. A run's rollouts are scored
anew at their decision points and grouped and normalised as the trainer would have (``advantages``); with the run's own
reward and settings the stored numbers come out again exactly, which tells that a difference is the reward's. Equal
completions of one decision point are scored once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data import paths
from data.profiles import merge
from data.reporting import Reporter
from data.rollouts import in_batch, read_rollouts
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from data.snapshot import read_points_by_id
from models.rewards.compose import RewardParts
from models.rewards.variants import Reward, load_reward
from models.training.advantages import AdvantageRule, advantages, part_table
from models.training.scoring import PARTS, advantage_rule
from models.training.withheld import as_practised, recorded_ids

if TYPE_CHECKING:
    import pandas

#: Completions between two progress reports.
_REPORT_EVERY = 2000


class ReplayError(RuntimeError):
    """Rollouts cannot be replayed; the message says why and what to do."""


@dataclass(frozen=True)
class Replayed:
    """A run's completions with the stored numbers and, under ``new_``, the recomputed ones.

    ``rollouts`` are those that were in a batch, in stored order, with ``new_reward``, ``new_<part>`` and
    ``new_advantage``; ``before`` and ``after`` are the rules the two sets of advantages follow.
    """

    run_id: str
    rollouts: pandas.DataFrame
    before: AdvantageRule
    after: AdvantageRule
    reward: str


def run_settings(run_id: str) -> GRPOSettings:
    """The GRPO settings a run was made with.

    Raises:
        ReplayError: The run left none, or they are of another shape than today's.
    """
    file = paths.run(run_id) / "settings.json"
    if not file.exists():
        raise ReplayError(
            f"run {run_id} left no {file}; only GRPO runs with their directory under var/ can be replayed"
        )
    told = json.loads(file.read_text(encoding="utf-8"))
    known = {name: value for name, value in told.items() if name in GRPOSettings.model_fields}
    return GRPOSettings.model_validate(known)


def find_run(run_id: str | None) -> str:
    """The run with rollouts whose id begins so; None: the one that has written rollouts last.

    Raises:
        ReplayError: There is none, or several.
    """
    runs = [folder for folder in paths.rollouts().glob(f"{run_id or ''}*") if any(folder.glob("*.parquet"))]
    if not runs:
        wanted = f"whose id begins with {run_id}" if run_id else "at all"
        raise ReplayError(f"there are no rollouts of a run {wanted} under {paths.rollouts()}; run `apprentice grpo`")
    if run_id and len(runs) > 1:
        raise ReplayError(f"run id {run_id} is ambiguous ({len(runs)} runs have rollouts); give more of its characters")
    return max(runs, key=lambda folder: folder.stat().st_mtime).name


def changed_settings(original: GRPOSettings, overrides: Mapping[str, Any], changes: Mapping[str, Any]) -> GRPOSettings:
    """The run's settings with ``overrides`` (nested, under ``grpo``) and then ``changes`` laid over them.

    Raises:
        pydantic.ValidationError: A value is out of range, or no such setting.
    """
    stated = merge(merge(original.model_dump(), dict(overrides.get("grpo", {}))), dict(changes))
    return GRPOSettings.model_validate(stated)


def replay(run_id: str, original: GRPOSettings, changed: GRPOSettings, reporter: Reporter) -> Replayed:
    """Rewards and advantages of a run's completions under other settings.

    Args:
        run_id: Whose rollouts.
        original: Settings of the run, see ``run_settings``.
        changed: The same with another reward, weights or normalisation.
        reporter: Told how far it is.

    Raises:
        ReplayError: The run has no rollouts, or decision points are not in their dataset any more.
        models.rewards.user_reward.RewardError: The reward cannot be used.
    """
    reward = load_reward(changed.reward, changed.weights)
    rollouts = in_batch(read_rollouts(run_id))
    if rollouts.empty:
        raise ReplayError(f"run {run_id} has no rollouts under {paths.rollouts()}; give the id of a GRPO run")
    points = points_of(rollouts)
    parts = score_all(rollouts, points, reward, reporter)
    rule = advantage_rule(changed, reward)
    columns = {f"new_{name}": [getattr(one, name) for one in parts] for name in PARTS}
    frame = rollouts.assign(
        new_reward=[reward.total(one) for one in parts],
        **columns,
        new_advantage=advantages_by_step(rollouts["step"].tolist(), parts, rule),
    )
    before = advantage_rule(original, load_reward(original.reward, original.weights))
    return Replayed(run_id, frame, before, rule, changed.reward)


def points_of(rollouts: pandas.DataFrame) -> dict[str, DecisionPoint]:
    """The rollouts' decision points by id, from the dataset versions they were drawn from.

    Raises:
        ReplayError: Some are not there.
    """
    found: dict[str, DecisionPoint] = {}
    for version, rows in rollouts.groupby("dataset_version"):
        wanted = set(rows["decision_point_id"])
        found |= as_practised(read_points_by_id(str(version), recorded_ids(wanted)), wanted)
    if lost := set(rollouts["decision_point_id"]) - found.keys():
        raise ReplayError(
            f"{len(lost)} decision points are not in their dataset any more, e.g. {min(lost)}; ingest that data again"
        )
    return found


def score_all(
    rollouts: pandas.DataFrame, points: Mapping[str, DecisionPoint], reward: Reward, reporter: Reporter
) -> list[RewardParts]:
    """The parts of every completion, in order; equal completions of a decision point share one.

    One that was cut at its token limit is scored as such, as in training.
    """
    reporter.phase(f"scoring by {reward.name}", total=float(len(rollouts)), unit="completions")
    seen: dict[tuple[str, str, bool, bool], RewardParts] = {}
    parts = []
    told = (rollouts[name].astype(bool) for name in ("thinking", "truncated"))
    keys = zip(rollouts["decision_point_id"], rollouts["text"], *told, strict=True)
    for number, key in enumerate(keys):
        if key not in seen:
            identifier, text, thinking, cut = key
            seen[key] = reward.score(points[identifier], text, thinking=thinking, cut=cut).parts
        parts.append(seen[key])
        if number % _REPORT_EVERY == 0:
            reporter.update(number)
    return parts


def advantages_by_step(steps: Sequence[int], parts: Sequence[RewardParts], rule: AdvantageRule) -> list[float]:
    """Advantages, each step a generation batch of its own.

    Raises:
        ReplayError: A step does not consist of whole groups.
    """
    table = part_table([[getattr(one, name) for name in PARTS] for one in parts])
    found: list[float] = []
    start = 0
    while start < len(steps):
        stop = start
        while stop < len(steps) and steps[stop] == steps[start]:
            stop += 1
        if (stop - start) % rule.group:
            raise ReplayError(f"step {steps[start]} has {stop - start} rollouts, no multiple of {rule.group}")
        found += advantages(table[start:stop], rule).tolist()
        start = stop
    return found
