"""SFT, priming and GRPO as tasks: one wrapper, since they differ in nothing but the function they call."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data.settings import Settings
from models.memory import peak_memory_mb
from tasks import records
from tasks.addresses import TRAINERS, Trainer, training_address
from tasks.choices import deadline
from tasks.held_out import require_unread
from tasks.ingest import require_trainable
from tasks.locks import TRAINING, waiting_seconds
from tasks.notices import tell_of_alarm
from tasks.ranks import announce
from tasks.records import Record, Stage
from tasks.reporting import duration
from tasks.rollout_sample import sample
from tasks.showing import leave, training_text
from tasks.stage import Interrupted, Upstream, Work, perform, say
from tasks.uploading import upload

if TYPE_CHECKING:
    from models.training.job import TrainingOutcome


@task(name="train", task_run_name="train {stage}", cache_policy=NO_CACHE)
def train(
    stage: Stage,
    settings: Settings,
    start_run_id: str,
    pipeline_run_id: str | None = None,
    force: bool = False,
    dataset_version: str | None = None,
) -> str:
    """Run id of the stage's model: reused if nothing it depends on has changed, else trained or resumed.

    Unless ``dataset_version`` names another the dataset is the one of the run it starts from: a base model has a run
    for each dataset version.

    Raises:
        Busy: Another training is running on this machine.
        Interrupted: Stopped by a signal; the checkpoint is kept and the same call resumes it.
        MissingUpstream: The run to start from is unknown, unfinished or damaged, or the dataset is.
        ReadBefore: The start model has learned from what the named dataset holds out for judging, or this would.
        UploadFailed: It is trained, but could not be put into MLflow's artifact store as ``settings.upload`` asks.
    """
    trainer = TRAINERS[stage]
    start = records.of_run(start_run_id)
    if (version := dataset_version or start.dataset_version) is not None:
        require_trainable(version)
        require_unread(start, version, settings.prime.rationales if stage == "primed" else None)
    address = training_address(stage, settings, start, version)
    record = perform(
        address,
        lambda work: _train(work, trainer, settings, start),
        profile=settings.profile,
        upstream=Upstream(start_run_id=start.run_id, pipeline_run_id=pipeline_run_id),
        lock=TRAINING,
        force=force,
        tags={"start_stage": start.stage, "base_model": settings.base_model.uri},
    )
    how = "Trained, or taken over where nothing it depends on has changed."
    leave(stage, training_text(record, how), run_id=record.run_id, description=f"{stage}, profile {settings.profile}")
    if settings.upload:
        upload(record)
    return record.run_id


def train_in_time(
    stage: Stage,
    settings: Settings,
    start_run_id: str,
    pipeline_run_id: str | None = None,
    force: bool = False,
    dataset_version: str | None = None,
) -> str:
    """``train`` with the deadline that follows from its budget: what hangs is ended, and the checkpoint is kept.

    The time that it may wait for another training comes on top, since the task's clock runs while it waits.
    """
    within = deadline(getattr(settings, TRAINERS[stage].section).minutes)
    if within is not None:
        within += waiting_seconds()
    task_in_time = train.with_options(timeout_seconds=within)
    return task_in_time(stage, settings, start_run_id, pipeline_run_id, force, dataset_version)


def _train(work: Work, trainer: Trainer, settings: Settings, start: Record) -> dict[str, Any]:
    from models.compute import training_precision
    from models.training.job import TrainingJob

    model_dir, own = start.model_place
    dataset_version = work.record.dataset_version or own
    if work.record.stage == "grpo" and settings.grpo.unit == "turn":
        _check_reward(work, settings)
    function: Callable[..., TrainingOutcome] = getattr(importlib.import_module(trainer.module), trainer.function)
    job = TrainingJob(work.record.run_id, dataset_version, model_dir, work.directory, settings)
    work.run.tag({"precision": training_precision(settings)})
    announce(trainer.module, trainer.function, job)
    outcome = function(job, work.reporter)
    stage, run_id = work.record.stage, work.record.run_id
    if outcome.stopped == "interrupted":
        raise Interrupted(
            f"{stage}: stopped at step {outcome.steps} of {outcome.planned_steps}; the checkpoint is kept in run "
            f"{run_id}. Run the same command again to go on, without --force if it had that, which begins anew."
        )
    digest = records.model_sha256(outcome.model_dir)
    _publish(work, outcome, digest)
    say(_summary(work, outcome))
    return {
        "model_dir": outcome.model_dir,
        "model_sha256": digest,
        "steps": outcome.steps,
        "thinking": _thinks(stage, settings, start),
        "outputs": {
            "stopped": outcome.stopped,
            "planned_steps": outcome.planned_steps,
            "seconds": outcome.seconds,
            "peak_memory_mb": peak_memory_mb(),
            "counts": outcome.counts,
            "metrics": outcome.metrics,
            "verdict": outcome.verdict,
        },
    }


def _thinks(stage: str, settings: Settings, start: Record) -> bool:
    """Whether the model was trained to think; one that learns rollouts does as the model that wrote them."""
    known = {"sft": False, "continued": False, "primed": True, "rejection": start.thinking}
    return known.get(stage, settings.grpo.thinking)


def _check_reward(work: Work, settings: Settings) -> None:
    """The exploit bench under the reward of this run, before it trains: what fails is told and logged."""
    from models.rewards.bench import figures
    from models.rewards.variants import load_reward

    found = figures(load_reward(settings.grpo.reward, settings.grpo.weights))
    work.run.log_results(found, 0)
    work.run.tag({"reward": settings.grpo.reward})
    if found["bench/failed"]:
        say(
            f"grpo: the reward {settings.grpo.reward} breaks {found['bench/failed']:.0f} of {found['bench/rules']:.0f} "
            f"rules of the exploit bench; `apprentice rewards check --reward {settings.grpo.reward}` lists them"
        )


def _publish(work: Work, outcome: TrainingOutcome, digest: str) -> None:
    """What MLflow learns at the end: how far it came, the curves, the model by path."""
    record, run = work.record, work.run
    ends = {"steps": outcome.steps, "planned_steps": outcome.planned_steps, "seconds": outcome.seconds}
    counts = {f"rows/{name}": float(count) for name, count in outcome.counts.items()}
    run.log_results({f"done/{name}": value for name, value in ends.items()} | counts | outcome.metrics, outcome.steps)
    # Of the process that trained: one that only repeats this after a kill does not put another number beside it.
    run.log_metrics({"done/peak_memory_mb": peak_memory_mb()}, outcome.steps)
    run.tag({"stopped": outcome.stopped, "model_sha256": digest, "model_dir": str(outcome.model_dir)})
    if outcome.verdict is not None:
        run.tag({"monitor": outcome.verdict["verdict"], "breaches": _breaches(outcome)})
        run.log_text(json.dumps(outcome.verdict, indent=2), "monitor.json")
        tell_of_alarm(record.stage, record.run_id, outcome.verdict)
    run.log_curves()
    run.log_traces(sample(record.run_id))
    tags = {
        "sha256": digest,
        "dataset_version": record.dataset_version or "",
        "git_commit": record.git_commit,
        "stage": record.stage,
        "start_run_id": record.start_run_id or "",
    }
    run.register_model(record.stage, outcome.model_dir, tags)


def _breaches(outcome: TrainingOutcome) -> str:
    """The signals in breach, for a tag one can filter by."""
    return " ".join(breach["signal"] for breach in (outcome.verdict or {}).get("breaches", ()))


def _summary(work: Work, outcome: TrainingOutcome) -> str:
    why = {"budget": " (its budget)", "breach": " (ended by the hacking monitor)"}.get(outcome.stopped, "")
    reached = f"{outcome.steps} of {outcome.planned_steps} steps in {duration(outcome.seconds)}{why}"
    last = {name: work.run.log.curve(f"train/{name}")[1][-1:] for name in ("reward", "loss")}
    shown = next((f", last {name} {value[0]:.3f}" for name, value in last.items() if value), "")
    return f"{work.record.stage}: {reached}{shown}; run {work.record.run_id}"
