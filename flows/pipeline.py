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
from tasks.choices import stated, whole_run
from tasks.upstream import started_from
from tasks.whole import parent_run, show_results


@flow(name="pipeline", flow_run_name="whole job ({profile})")
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
    force: bool = False,
) -> dict[str, str]:
    """Run everything that has changed; returns the dataset version and the run id of each model.

    Args:
        profile: Preset of settings.
        source: Name of the source: simulated, sgd, …
        path: Directory of the source's files.
        conversations: At most this many.
        minutes: Budget of the whole, shared out over the stages.
        max_steps: Optimizer steps at most, in each training stage.
        seed: Seed of everything that is drawn.
        final: Evaluate on the test splits. Each use is recorded.
        overrides: Any other setting, nested as in data/settings.py.
        force: Train and evaluate again although nothing has changed.
    """
    changes = stated(overrides, "data", source=source, path=path, conversations=conversations, seed=seed)
    changes = stated(stated(changes, "evaluation", final=final or None), minutes=minutes, seed=seed)
    settings = whole_run(profile, changes, max_steps=max_steps)
    with parent_run(settings) as whole:
        common: dict[str, Any] = {
            "profile": profile,
            "overrides": settings.model_dump(mode="json"),
            "pipeline_run_id": whole,
        }
        dataset = ingest_data(**common)
        sft = train_sft(dataset_version=dataset, force=force, **common)
        base = started_from(sft)
        primed = prime_thinking(sft_run_id=sft, force=force, **common)
        start = {"base": base, "sft": sft, "primed": primed}[settings.grpo.start]
        grpo = train_grpo(start_run_id=start, force=force, **common)
        models = [base, sft, primed, grpo]
        evaluations = [evaluate_model(run_id=run_id, force=force, **common) for run_id in models]
        show_results(evaluations, dataset, whole)
    return {"dataset_version": dataset, "base": base, "sft": sft, "primed": primed, "grpo": grpo}


if __name__ == "__main__":
    pipeline()
