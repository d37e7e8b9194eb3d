"""A dataset version → the SFT baseline, which answers without thinking."""

from __future__ import annotations

from typing import Any

from prefect import flow

from data import profiles
from data.settings import ProfileName
from tasks import training
from tasks.base_model import prepare_base_model
from tasks.choices import stated
from tasks.ingest import trainable
from tasks.notices import tell_of_failure


@flow(name="train-sft", flow_run_name="SFT ({profile})", on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def train_sft(
    profile: ProfileName = "laptop",
    dataset_version: str | None = None,
    source: str | None = None,
    minutes: float | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    force: bool = False,
    pipeline_run_id: str | None = None,
) -> str:
    """Train the SFT baseline; returns its run id.

    Args:
        profile: Preset of settings.
        dataset_version: What to train on; empty: the newest with a train split.
        source: Newest dataset of this source.
        minutes: Wall-clock budget.
        max_steps: Optimizer steps at most.
        seed: Seed of the data order.
        overrides: Any other setting, nested as in data/settings, e.g. {"sft": {"learning_rate": 0.0001}}.
        force: Train again although nothing has changed.
        pipeline_run_id: MLflow run of the whole job, if this is part of one.
    """
    changes = stated(stated(overrides, "sft", minutes=minutes, max_steps=max_steps), seed=seed)
    settings = profiles.resolve(profile, changes)
    version = trainable(dataset_version, source)
    base = prepare_base_model(settings, version, pipeline_run_id)
    return training.train_in_time("sft", settings, base, pipeline_run_id, force)


if __name__ == "__main__":
    train_sft()
