"""Any run's model → judged decision points: on validation, or once in a while on test."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow

from data import profiles
from data.settings import ProfileName, environment_overrides
from tasks.choices import deadline, judged_within, judging_minutes, source_of, stated
from tasks.evaluation import evaluate
from tasks.ingest import dataset
from tasks.notices import tell_of_failure
from tasks.records import MissingUpstream
from tasks.upstream import latest_model, start_or_base


@flow(
    name="evaluate-model",
    flow_run_name="evaluate ({profile})",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def evaluate_model(
    profile: ProfileName = "laptop",
    run_id: str | None = None,
    model: Literal["base", "sft", "primed", "grpo"] | None = None,
    thinking: bool | None = None,
    final: bool = False,
    decision_points: int | None = None,
    source: str | None = None,
    on: str | None = None,
    minutes: float | None = None,
    overrides: dict[str, Any] | None = None,
    force: bool = False,
    pipeline_run_id: str | None = None,
) -> str:
    """Evaluate a model greedily; returns the evaluation id.

    Args:
        profile: Preset of settings.
        run_id: Run whose model is judged; empty: the newest trained one.
        model: Or the newest model of this stage.
        thinking: With or without reasoning; empty: as the model was trained.
        final: On the test splits. Each use is recorded.
        decision_points: Per split.
        source: Newest model on this source's newest dataset.
        on: Judge on the newest dataset of this source instead of the one the model was trained on.
        minutes: Wall-clock budget, of turns and episodes together.
        overrides: Any other setting, nested as in data/settings.
        force: Judge again although nothing has changed.
        pipeline_run_id: MLflow run of the whole job, if this is part of one.
    """
    chosen: dict[str, Any] = {
        "thinking": thinking,
        "final": final or None,
        "decision_points": decision_points,
        "minutes": minutes,
        "dataset": dataset(None, on) if on is not None else None,
    }
    settings = profiles.resolve(profile, stated(overrides, "evaluation", **chosen))
    if run_id is None and model is None:
        run_id = latest_model(source).run_id
    record = start_or_base(model or "base", run_id, source, settings, pipeline_run_id)
    if model is not None and record.stage != model:
        raise MissingUpstream(
            f"run {run_id} is of stage {record.stage}, not {model}: leave out either the stage or the run"
        )
    source_judged = source_of(settings.evaluation.dataset or record.model_place[1])
    said = profiles.merge(environment_overrides(), overrides or {}).get("evaluation", {})
    settings = judged_within(settings, source_judged, minutes, said)
    within = deadline(judging_minutes(settings, source_judged))
    return evaluate.with_options(timeout_seconds=within)(settings, record.run_id, pipeline_run_id, force)


if __name__ == "__main__":
    evaluate_model()
