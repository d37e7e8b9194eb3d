"""Source files → checked conversations → a published dataset version."""

from __future__ import annotations

from typing import Any

from prefect import flow

from data import profiles
from data.settings import ProfileName
from tasks.choices import stated
from tasks.ingest import ingest_source
from tasks.notices import tell_of_failure


@flow(
    name="ingest-data", flow_run_name="ingest ({profile})", on_failure=[tell_of_failure], on_crashed=[tell_of_failure]
)
def ingest_data(
    profile: ProfileName = "laptop",
    source: str | None = None,
    path: str | None = None,
    conversations: int | None = None,
    seed: int | None = None,
    overrides: dict[str, Any] | None = None,
    pipeline_run_id: str | None = None,
) -> str:
    """Ingest a source; returns the dataset version, at once if it is already published.

    Args:
        profile: Preset of settings.
        source: Name of the source: simulated, sgd, …
        path: Directory of the source's files.
        conversations: At most this many.
        seed: Seed of simulated conversations.
        overrides: Any other setting, nested as in data/settings.
        pipeline_run_id: MLflow run of the whole job, if this is part of one.
    """
    changes = stated(overrides, "data", source=source, path=path, conversations=conversations, seed=seed)
    return ingest_source(profiles.resolve(profile, changes), pipeline_run_id)


if __name__ == "__main__":
    ingest_data()
