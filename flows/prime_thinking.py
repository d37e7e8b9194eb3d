"""The SFT baseline → a model that thinks at all: a short SFT on rationales derived from the annotations."""

from __future__ import annotations

from typing import Any

from prefect import flow

from data import profiles
from data.settings import ProfileName
from tasks import training
from tasks.choices import stated
from tasks.ingest import trainable
from tasks.notices import tell_of_failure
from tasks.upstream import start_of


@flow(
    name="prime-thinking",
    flow_run_name="priming ({profile})",
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def prime_thinking(
    profile: ProfileName = "laptop",
    sft_run_id: str | None = None,
    source: str | None = None,
    dataset_version: str | None = None,
    thoughts: str | None = None,
    minutes: float | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    force: bool = False,
    pipeline_run_id: str | None = None,
) -> str:
    """Prime an SFT model for thinking; returns the run id.

    Args:
        profile: Preset of settings.
        sft_run_id: SFT run to start from; empty: the newest finished one.
        source: Newest SFT run on this source's newest dataset.
        dataset_version: What to learn from; empty: the dataset of the run it starts from.
        thoughts: Learn the rationales of this source's newest dataset, e.g. toolrl, instead of the run's own.
        minutes: Wall-clock budget.
        max_steps: Optimizer steps at most.
        seed: Seed of the data order.
        overrides: Any other setting, nested as in data/settings.
        force: Prime again although nothing has changed.
        pipeline_run_id: MLflow run of the whole job, if this is part of one.
    """
    changes = stated(stated(overrides, "prime", minutes=minutes, max_steps=max_steps), seed=seed)
    if thoughts is not None:
        changes = stated(changes, "prime", rationales=trainable(None, thoughts))
    settings = profiles.resolve(profile, changes)
    start = start_of("sft", sft_run_id, source)
    version = trainable(dataset_version) if dataset_version else None
    return training.train_in_time("primed", settings, start.run_id, pipeline_run_id, force, version)


if __name__ == "__main__":
    prime_thinking()
