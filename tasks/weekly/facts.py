"""What the weekly report tells, gathered from what runs left under ``var/``; no server is asked.

The subject is the newest trained model and what it came from: its dataset, the models before it, one evaluation of
each. Everything else (costs, curves, conversations) follows from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from data import paths, snapshot
from data.evaluations import read_evaluations
from data.promotions import decisions
from data.schema import VALIDATION_SPLITS
from data.versions import DatasetVersion
from models.metric_log import MetricLog
from tasks import before_after, records, results
from tasks.judged import side_by_side
from tasks.records import MODEL_STAGES, MissingUpstream, Record

if TYPE_CHECKING:
    import pandas as pd

    from models.evaluation.verdicts import Verdict

#: Conversations that are told.
TOLD = 3
#: Weeks whose causes of failure stand side by side, and how many causes.
WEEKS, CAUSES = 6, 10
#: Tools with fewer turns judged by both models are left out: nothing can be said about them.
FEWEST_TURNS = 5


@dataclass(frozen=True)
class Arrived:
    """A dataset version beside the one before it of the same source."""

    now: DatasetVersion
    before: DatasetVersion | None

    def rows(self, what: str) -> list[tuple[str, int, int | None]]:
        """``(split or reason, now, before)`` of one of the counts."""
        mine, theirs = self.now.counts.get(what, {}), (self.before.counts.get(what, {}) if self.before else None)
        names = dict.fromkeys([*mine, *(theirs or {})])
        return [(name, mine.get(name, 0), None if theirs is None else theirs.get(name, 0)) for name in names]


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    stage: str
    run_id: str
    steps: int
    seconds: float | None
    tokens: float | None
    memory_mb: float | None


@dataclass(frozen=True)
class Trend:
    """Causes of failure of models of one stage and source that think alike, the newest of each week, week on week:
    shares of all turns judged."""

    weeks: tuple[str, ...] = ()
    turns: tuple[int, ...] = ()
    causes: tuple[tuple[str, tuple[float, ...]], ...] = ()
    gone: int = 0
    """Models of that stage, of whatever source, left out because the dataset that holds their turns is gone."""
    others: int = 0
    """Models of that stage and source left out since a later one of their week stands for it, or they think otherwise
    than the newest does."""


@dataclass(frozen=True)
class Week:
    """Everything the report says."""

    models: tuple[Record, ...]
    arrived: Arrived | None
    evaluations: tuple[str, ...]
    lines: tuple[results.Line, ...]
    left_out: str | None
    """A sentence about models that ``lines`` do not tell of."""
    tools: dict[str, Verdict]
    trend: Trend
    told: tuple[before_after.Turn, ...]
    costs: tuple[Cost, ...]
    monitor: dict[str, Any] | None
    promotion: dict[str, Any] | None

    @property
    def newest(self) -> Record:
        """The model the report is about."""
        return self.models[-1]


def gather() -> Week:
    """The facts about the newest trained model.

    Raises:
        MissingUpstream: Nothing was trained and judged yet.
    """
    judged = _newest_evaluations()
    trained = [record for record in records.every(*MODEL_STAGES) if record.status == "done" and record.run_id in judged]
    if not trained:
        raise MissingUpstream("nothing to report: no model was trained and judged yet; run `apprentice run` first")
    models = _line_of_descent(max(trained, key=lambda record: record.ended or ""), trained)
    evaluations = tuple(judged[record.run_id] for record in models)
    together, last_two = side_by_side(evaluations), side_by_side(evaluations[-2:])
    newest = models[-1]
    return Week(
        models=tuple(models),
        arrived=_arrived(newest.dataset_version),
        evaluations=evaluations,
        lines=tuple(results.compare(together)),
        left_out=results.left_out(together),
        tools=by_tool(*last_two.frames) if len(last_two.frames) > 1 else {},
        trend=_trend(newest, trained, judged),
        told=tuple(_told(before_after.turns(last_two, most=10_000))) if len(last_two.frames) > 1 else (),
        costs=tuple(_cost(record) for record in models if record.stage != "base"),
        monitor=newest.outputs.get("verdict"),
        promotion=_promotion(newest.run_id),
    )


def _newest_evaluations() -> dict[str, str]:
    """Run id → its newest finished evaluation on validation, on the model's own dataset, as it was trained and as
    turns were recorded: a comparison judges models on changed turns and sampled as well."""
    found: dict[str, tuple[str, str]] = {}
    thinking = {record.run_id: record.thinking for record in records.every(*MODEL_STAGES)}
    for record in records.every("evaluation"):
        settings = record.settings
        own = settings.get("splits") == list(VALIDATION_SPLITS) and settings.get("dataset") is None
        own = own and records.judged_as_recorded(record)
        if record.status != "done" or not own or settings.get("thinking") != thinking.get(record.run_id):
            continue
        key = (record.ended or "", str(record.outputs["evaluation_id"]))
        found[record.run_id] = max(found.get(record.run_id, key), key)
    return {run_id: evaluation for run_id, (_, evaluation) in found.items()}


def _line_of_descent(newest: Record, judged: Sequence[Record]) -> list[Record]:
    """The model and the judged ones it came from, first ancestor first."""
    known = {record.run_id: record for record in records.every(*MODEL_STAGES)}
    listed = {record.run_id for record in judged}
    line: list[Record] = []
    at: Record | None = newest
    while at is not None and at not in line:
        line.insert(0, at)
        at = known.get(at.start_run_id or "")
    return [record for record in line if record.run_id in listed]


def _arrived(version: str | None) -> Arrived | None:
    versions = snapshot.published()
    now = next((one for one in versions if one.version == version), None)
    if now is None:
        return None
    earlier = [one for one in versions if one.source == now.source and one.created_at < now.created_at]
    return Arrived(now, max(earlier, key=lambda one: one.created_at, default=None))


def by_tool(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, Verdict]:
    """A verdict per tool on the turns both models were judged on, corrected for how many tools there are."""
    from models.evaluation.verdicts import Pairs, verdicts

    both = before.merge(after, on="decision_point_id", suffixes=("_before", "_after"))
    both["tool"] = both["tool_after"].fillna("(answer)")
    family = {
        str(tool): Pairs(
            rows["turn_success_before"].to_numpy(dtype=float),
            rows["turn_success_after"].to_numpy(dtype=float),
            rows["conversation_id_after"].to_numpy(dtype=str),
        )
        for tool, rows in both.groupby("tool")
        if len(rows) >= FEWEST_TURNS
    }
    found = verdicts(family)
    return dict(sorted(found.items(), key=lambda item: -item[1].difference.mean))


def _trend(newest: Record, judged: Sequence[Record], evaluations: dict[str, str]) -> Trend:
    """Of the newest models that came about as this one did."""
    from models.evaluation import failures

    sources = {one.version: one.source for one in snapshot.published()}
    source = sources.get(newest.dataset_version or "")
    alike = [one for one in judged if one.stage == newest.stage]
    there = [one for one in alike if source is not None and sources.get(one.dataset_version or "") == source]
    ordered = sorted(there, key=lambda one: one.ended or "")
    weeks = {_week(one.ended): one for one in ordered if one.thinking == newest.thinking}  # the newest of each
    caused: dict[str, pd.DataFrame] = {}
    for record in list(weeks.values())[-WEEKS:]:
        frame = read_evaluations(evaluations[record.run_id])
        points = snapshot.read_points_by_id(record.dataset_version or "", list(frame["decision_point_id"]))
        caused[f"{(record.ended or '')[:10]} ({record.run_id[:4]})"] = failures.causes(frame, points)
    table = failures.between(caused).head(CAUSES)
    rows = tuple((str(cause), tuple(float(share) for share in row)) for cause, row in table.iterrows())
    gone = sum(one.dataset_version not in sources for one in alike)
    return Trend(tuple(caused), tuple(map(len, caused.values())), rows, gone, len(there) - len(weeks))


def _week(ended: str | None) -> tuple[int, int]:
    """ISO year and week."""
    year, week, _ = date.fromisoformat((ended or "")[:10]).isocalendar()
    return year, week


def _told(turns: Iterable[before_after.Turn]) -> list[before_after.Turn]:
    """Three of different conversations: one won and one lost if there are, then what comes first."""
    ordered = list(turns)
    first = [next((turn for turn in ordered if turn.change == change), None) for change in ("won", "lost")]
    chosen: list[before_after.Turn] = []
    for turn in [*(one for one in first if one is not None), *ordered]:
        if len(chosen) < TOLD and all(turn.point.conversation_id != one.point.conversation_id for one in chosen):
            chosen.append(turn)
    return chosen


def _cost(record: Record) -> Cost:
    log = MetricLog(paths.run(record.run_id) / "metrics.jsonl", reader=True)
    tokens = log.curve("train/tokens")[1]
    outputs = record.outputs
    memory = outputs.get("peak_memory_mb")
    return Cost(record.stage, record.run_id, record.steps, outputs.get("seconds"), max(tokens, default=None), memory)


def _promotion(run_id: str) -> dict[str, Any] | None:
    """The newest decision about the champion in which this model was the challenger, else the newest at all."""
    rows = list(decisions())
    own = [row for row in rows if (row.get("challenger") or {}).get("run_id") == run_id]
    found = own or rows
    return found[-1] if found else None


def plain(text: str) -> str:
    """A completion without the tags a model writes for machines."""
    return re.sub(r"\n\s*\n+", "\n\n", re.sub(r"</?(think|tool_call)>", "", text)).strip()
