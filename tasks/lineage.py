"""The way back from a number: metric or rollout → evaluation → run, and the runs it started from → dataset version →
conversation → raw record. Nothing is computed here that was not stored when it happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data import paths
from data.lineage import NoLineage, Step, conversation_steps, dataset_step, versions_with
from data.rows import Row
from tasks import records
from tasks.records import Record

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE = 3


def trace(name: str, *, point: str | None = None, metric: str | None = None) -> list[Step]:
    """Stations from ``name`` back to the raw record.

    Args:
        name: An evaluation id, a run id, a decision point (``conversation#message``), a conversation or a dataset
            version; of runs and evaluations the first characters suffice.
        point: With a run, evaluation or dataset version, the decision point to follow on to its raw record.
        metric: With an evaluation, the column of table ``evaluations`` to start from.

    Raises:
        NoLineage: Nothing of that name is stored, or the point is not part of it.
    """
    if (evaluation := _one(paths.evaluations(), name)) is not None:
        return _from_evaluation(evaluation, point, metric)
    if metric is not None:
        raise NoLineage(f"--metric needs an evaluation, {name!r} is none; `apprentice query` lists evaluation_id")
    run = _run(name)
    if run is not None:
        return _from_run(run, point)
    if (paths.dataset(name) / "manifest.json").exists():
        return [dataset_step(name), *(conversation_steps(name, _conversation_of(point)) if point else ())]
    conversation_id = _conversation_of(name)
    versions = versions_with(conversation_id) if "/" in conversation_id else []
    if not versions:
        raise NoLineage(
            f"nothing under var/ is named {name!r}; give an evaluation id, a run id, a dataset version, a decision "
            "point or a conversation id (`apprentice query` lists them)"
        )
    if point is not None and _conversation_of(point) != conversation_id:
        raise NoLineage(
            f"{name!r} does not lead to {point}; --point goes with an evaluation, a run or a dataset version with it"
        )
    return [dataset_step(versions[-1]), *conversation_steps(versions[-1], conversation_id)]


def _conversation_of(point: str) -> str:
    """The conversation of a decision point; a conversation's own name stays."""
    return point.partition("#")[0]


def _from_evaluation(evaluation_id: str, point: str | None, metric: str | None) -> list[Step]:
    from data.evaluations import read_evaluations

    frame = read_evaluations(evaluation_id)
    if frame.empty:
        raise NoLineage(f"evaluation {evaluation_id} holds no rows any more")
    steps = [_metric_step(frame, metric)] if metric else []
    first = frame.iloc[0]
    version = str(first["dataset_version"])
    facts: Row = {
        "decision points": len(frame),
        "conversations": int(frame["conversation_id"].nunique()),
        "splits": sorted(set(frame["split"])),
        "thinking": bool(first["thinking"]),
    }
    steps += [
        Step(what="evaluation", name=evaluation_id, facts=facts),
        *_runs(str(first["run_id"])),
        dataset_step(version),
    ]
    if point is None:
        return steps
    row = _row(frame, point, f"evaluation {evaluation_id}")
    judged = {name: row[name] for name in ("kind", "parse_status", "text", "turn_success") if name in row}
    return [Step(what="decision point", name=point, facts=judged), *steps, *_raw(version, point)]


def _metric_step(frame: pd.DataFrame, metric: str) -> Step:
    if metric not in _metrics():
        raise NoLineage(f"no metric {metric!r} is stored; there are {', '.join(_metrics())}")
    values = frame[metric].astype("Float64")
    judged = frame[values.notna()]
    worst = judged[values[values.notna()] < 1]["decision_point_id"].head(_SAMPLE)
    facts = {"mean": float(values.mean()), "n": len(judged), "for example not met at": list(worst)}
    return Step(what="metric", name=metric, facts=facts)


def _metrics() -> list[str]:
    """Columns of an evaluation that are right or wrong, or a share in [0, 1]."""
    from data.evaluations import EVALUATION_SCHEMA

    told = {"thinking", "truncated"}
    return [
        field.name for field in EVALUATION_SCHEMA if str(field.type) in ("bool", "double") and field.name not in told
    ]


def _from_run(run_id: str, point: str | None) -> list[Step]:
    steps = _runs(run_id)
    version = next((record.dataset_version for record in _records(run_id) if record.dataset_version), None)
    rollouts = _rollouts(run_id)
    if version is None and not rollouts.empty:
        version = str(rollouts.iloc[0]["dataset_version"])
    if version is None:
        return steps
    if point is None:
        return [*steps, dataset_step(version)]
    sampled = rollouts[rollouts["decision_point_id"] == point]
    told = [
        Step(
            what="rollout",
            name=f"{run_id} step {row['step']}, completion {row['completion_index']}",
            facts={name: row[name] for name in ("reward", "advantage", "parse_status", "text")},
        )
        for row in sampled.to_dict("records")
    ]
    return [*told, *steps, dataset_step(version), *_raw(version, point)]


def _raw(version: str, point: str) -> list[Step]:
    return conversation_steps(version, point.rpartition("#")[0] or point)


def _rollouts(run_id: str) -> pd.DataFrame:
    from data.rollouts import read_rollouts

    return read_rollouts(run_id)


def _runs(run_id: str) -> list[Step]:
    """The run, and one by one those it started from."""
    steps: list[Step] = []
    current: str | None = run_id
    seen: set[str] = set()
    while current and current not in seen:
        seen.add(current)
        found = _records(current)
        if not found:
            steps.append(Step(what="run", name=current, facts={"unknown": "no stage has left a record of it"}))
            break
        record = max(found, key=lambda each: each.ended or "")
        steps.append(Step(what="run", name=current, facts=_told(record)))
        current = record.start_run_id
    return steps


def _told(record: Record) -> dict[str, Any]:
    return {
        "stage": record.stage,
        "status": record.status,
        "steps": record.steps,
        "dataset": record.dataset_version,
        "model (sha256)": record.model_sha256,
        "code": record.git_commit,
        "ended": record.ended,
    }


def _records(run_id: str) -> list[Record]:
    return [record for record in records.every(*records.EVERY_MODEL) if record.run_id == run_id]


def _run(name: str) -> str | None:
    """The run id that begins so, from records or from rollouts; None if it is no run."""
    ids = {record.run_id for record in records.every(*records.EVERY_MODEL)}
    ids |= {path.name for path in paths.rollouts().glob("*") if path.is_dir()}
    return _only(ids, name)


def _one(directory: Any, name: str) -> str | None:
    return _only({path.name for path in directory.glob("*") if path.is_dir()}, name)


def _only(names: set[str], begins: str) -> str | None:
    fitting = sorted(each for each in names if each.startswith(begins)) if begins else []
    if begins in fitting:
        return begins
    if len(fitting) > 1:
        raise NoLineage(f"{begins!r} is ambiguous: {', '.join(fitting[:5])}; give more of its characters")
    return fitting[0] if fitting else None


def _row(frame: pd.DataFrame, point: str, where: str) -> dict[str, Any]:
    found = frame[frame["decision_point_id"] == point]
    if found.empty:
        raise NoLineage(
            f"{where} did not judge {point!r}; for example it judged {frame.iloc[0]['decision_point_id']!r}"
        )
    return {str(name): value for name, value in found.iloc[-1].to_dict().items()}
