"""The whole job in one place: ingest → SFT → priming → GRPO → the same evaluation of every model."""

from __future__ import annotations

from typing import Any

from prefect import flow

from data.settings import ProfileName
from flows.evaluate_model import evaluate_model
from flows.ingest_data import ingest_data
from flows.prime_thinking import prime_thinking
from flows.train_grpo import train_grpo
from flows.train_sft import train_sft
from tasks.beginning import beginning, stated_source
from tasks.notices import tell_of_failure
from tasks.records import EVERY_MODEL, Stage, of_run
from tasks.selection import Forced, StageName, select
from tasks.uploading import upload_all
from tasks.upstream import ancestry, started_from
from tasks.whole import parent_run, show_results

#: Step of the job → stage of the model that it trains.
_TRAINED: dict[StageName, Stage] = {"sft": "sft", "prime": "primed", "grpo": "grpo"}


@flow(
    name="pipeline", flow_run_name="whole job ({profile})", on_failure=[tell_of_failure], on_crashed=[tell_of_failure]
)
def pipeline(
    profile: ProfileName = "laptop",
    source: str | None = None,
    path: str | None = None,
    conversations: int | None = None,
    minutes: float | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    final: bool = False,
    overrides: dict[str, Any] | None = None,
    start_at: StageName | None = None,
    only: StageName | None = None,
    force: list[Forced] | None = None,
    upstream_run_id: str | None = None,
) -> dict[str, str]:
    """Run everything that has changed, or a part; returns the dataset version and the run id of each model.

    Args:
        profile: Preset of settings.
        source: Name of the source: simulated, sgd, …
        path: Directory of the source's files.
        conversations: At most this many.
        minutes: Budget of the whole, shared out over the stages.
        max_steps: Optimizer steps at most, in each training stage.
        seed: Seed of everything that is drawn.
        final: Evaluate on the test splits. Each use is recorded.
        overrides: Any other setting, nested as in data/settings.
        start_at: Begin with this stage, on the latest good results of those before.
        only: Execute this stage alone, likewise.
        force: Stages to do again although nothing has changed, or "all".
        upstream_run_id: With start_at or only: the run to begin with; empty: the latest good one.
    """
    selection = select(start_at, only, force)
    settings, ids = beginning(
        selection,
        upstream_run_id,
        profile,
        overrides,
        source=source,
        path=path,
        conversations=conversations,
        minutes=minutes,
        max_steps=max_steps,
        seed=seed,
        final=final,
    )
    with parent_run(settings, selection) as whole:
        common: dict[str, Any] = {
            "profile": profile,
            # Models are uploaded last: a store that is away is no reason to lose what is still to be trained.
            "overrides": settings.model_copy(update={"upload": False}).model_dump(mode="json"),
            "pipeline_run_id": whole,
        }
        if "ingest" in selection:
            ids["dataset_version"] = ingest_data(**common)
        if "sft" in selection:
            ids["sft"] = train_sft(dataset_version=ids["dataset_version"], force="sft" in selection.force, **common)
            ids["base"] = started_from(ids["sft"])
        if "prime" in selection:
            ids["primed"] = prime_thinking(sft_run_id=ids["sft"], force="prime" in selection.force, **common)
        if "grpo" in selection:
            start = ids.get(settings.grpo.start)
            of = stated_source(source, overrides)
            ids["grpo"] = train_grpo(start_run_id=start, source=of, force="grpo" in selection.force, **common)
            ids = {**ancestry(of_run(ids["grpo"])), **ids}
        if "evaluate" in selection:
            again = "evaluate" in selection.force
            models = [ids[stage] for stage in EVERY_MODEL if stage in ids]
            evaluations = [evaluate_model(run_id=run_id, force=again, **common) for run_id in models]
            show_results(evaluations, ids["dataset_version"], whole)
        if settings.upload:
            upload_all([ids[trained] for stage, trained in _TRAINED.items() if stage in selection])
    return ids


if __name__ == "__main__":
    pipeline()
