"""A start model (primed, SFT or base) → a model trained by GRPO to think before it acts."""

from __future__ import annotations

from typing import Any, Literal

from prefect import flow

from data import profiles
from data.settings import ProfileName
from tasks import training
from tasks.choices import stated
from tasks.ingest import trainable
from tasks.notices import tell_of_failure
from tasks.records import MissingUpstream
from tasks.upstream import start_or_base


@flow(name="train-grpo", flow_run_name="GRPO ({profile})", on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def train_grpo(
    profile: ProfileName = "laptop",
    start_run_id: str | None = None,
    start: Literal["base", "sft", "primed"] | None = None,
    thinking: bool | None = None,
    source: str | None = None,
    dataset_version: str | None = None,
    minutes: float | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    force: bool = False,
    pipeline_run_id: str | None = None,
) -> str:
    """Train with GRPO; returns the run id.

    Args:
        profile: Preset of settings.
        start_run_id: Run to start from; empty: the newest finished one of the stage ``start``.
        start: Which stage's model to start from; by default primed.
        thinking: Whether completions open with reasoning.
        source: Newest start model on this source's newest dataset.
        dataset_version: What to learn from; empty: the dataset of the run it starts from.
        minutes: Wall-clock budget.
        max_steps: Optimizer steps at most.
        seed: Seed of prompts and sampling.
        overrides: Any other setting, nested as in data/settings, e.g. {"grpo": {"weights": {"format": 1.0}}}.
        force: Train again although nothing has changed.
        pipeline_run_id: MLflow run of the whole job, if this is part of one.
    """
    changes = stated(overrides, "grpo", minutes=minutes, max_steps=max_steps, start=start, thinking=thinking)
    settings = profiles.resolve(profile, stated(changes, seed=seed))
    model = start_or_base(settings.grpo.start, start_run_id, source, settings, pipeline_run_id)
    if start is not None and model.stage != start:
        raise MissingUpstream(
            f"run {start_run_id} is of stage {model.stage}, not {start}: leave out either the stage or the run"
        )
    version = trainable(dataset_version) if dataset_version else None
    return training.train_in_time("grpo", settings, model.run_id, pipeline_run_id, force, version)


if __name__ == "__main__":
    train_grpo()
