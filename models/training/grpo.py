"""GRPO on decision points with TRL's ``GRPOTrainer``: the model learns to reason from the outcome of its actions.

What is simplified against a live agent: each decision point is one step with its recorded history (no tool is
executed, no user reacts); the reward compares with what the people or the oracle did; groups are formed per decision
point; one optimizer step per generation batch, so there is no off-policy correction to make.

TRL's trainer does the algorithm. It is extended at five places: completions come from the shared-trunk engine
(``rollout_func``; where a GPU and vLLM are there, from vLLM beside the trainer), rows keep their groups across
micro-batches, log-probabilities of a micro-batch are computed over its prefix tree, every scored batch is stored
before TRL moves on, and groups without variance are drawn anew or left out where the settings say so. KL to the start
model is measured now and then even when it has no weight in the loss.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Dataset
from trl import GRPOConfig

from data.parquet import set_aside_damaged
from data.pass_rates import content_digest, count_rollouts, store
from data.reporting import Reporter
from data.rollouts import conclude, current_files, read_rollouts, step_of
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from data.snapshot import read_decision_points
from models.compute import decode_dtype, device_name, tell_what_is_slow, uses_cuda, vllm_available
from models.engine.recomputing import bound_activations
from models.engine.rollout import decoder
from models.evaluation.run import select_points
from models.interruption import interruption
from models.policy import load_model, load_tokenizer, lora_config
from models.rewards.variants import load_reward
from models.training import checkpoints, ranks
from models.training.averaging import averaged
from models.training.decision_trainer import REDRAWING, DecisionPointTrainer
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import (
    BudgetCallback,
    ReportCallback,
    common_arguments,
    finished_before,
    run_trainer,
)
from models.training.monitor import Monitor
from models.training.prompts import Practice, fitting_prompts, practice
from models.training.scoring import BatchScorer, advantage_rule
from models.training.seams import fold_in_caches, keep_groups_together, score_labelled_positions_only
from models.training.sft import EmptySplit
from models.training.validation import ValidationCallback
from models.training.watching import MonitorCallback
from models.training.withheld import withheld_turns

#: Difference from ``call_share`` that is worth a word.
_FAR_OFF = 0.1


def train_grpo(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Train the policy in ``job.start_model`` with GRPO; leaves the best weights by validation in ``model/``.

    Raises:
        EmptySplit: No decision point passes the gold check and fits, or too few for one step.
    """
    if outcome := finished_before(job):
        if job.settings.grpo.unit != "episode" and ranks.leads():
            conclude(job.run_id, last_step(outcome))
            keep_pass_rates(job.run_id, practice_turns(job))
        return outcome
    with ranks.leader_first():
        repeat_damaged_steps(job, reporter)
    stage = job.settings.grpo
    tell_what_is_slow(job.settings, reporter)
    if stage.unit == "episode":
        from models.training.episodes import train_episodes

        return train_episodes(job, reporter)
    tokenizer = load_tokenizer(job.start_model)
    offered = practice_turns(job)
    prompts = fitting_prompts(tokenizer, offered, stage, reporter)
    reporter.phase("checking gold rewards and prompts", unit="decision points")
    fitting = [point for point in offered if point.id in prompts]
    with ranks.leader_first():
        chosen = practice(fitting, stage, job.settings.seed, job.run_dir)
    if chosen.curriculum.known:
        reporter.say(chosen.curriculum.says(stage.curriculum))
        reporter.metrics(chosen.curriculum.figures(), 0)
    rows = [{"prompt": prompts[point.id], "decision_point_id": point.id} for point in chosen.points]
    counts = chosen.counts | {"offered": len(offered), "too_long": len(offered) - len(fitting)}
    if len(rows) * stage.num_generations < stage.batch_size:
        raise EmptySplit(
            f"GRPO needs {stage.batch_size // stage.num_generations} decision points a step and has {len(rows)} "
            f"({counts}); ingest more conversations or raise grpo.max_length"
        )
    reporter.say(_offer(counts, stage))
    outcome = _fit(job, reporter, tokenizer, chosen, rows, counts)
    if ranks.leads():
        if outcome.stopped != "interrupted":
            conclude(job.run_id, last_step(outcome))
        keep_pass_rates(job.run_id, chosen.points)
    return outcome


def practice_turns(job: TrainingJob) -> list[DecisionPoint]:
    """All that may be practised on: recorded turns and, where they are asked for, those with a value withheld."""
    recorded = read_decision_points(job.dataset_version, splits=["train"])
    return [*recorded, *withheld_turns(recorded)] if job.settings.grpo.withheld_share else list(recorded)


def repeat_damaged_steps(job: TrainingJob, reporter: Reporter) -> None:
    """Where stored rollouts of a step cannot be read any more, go back to a checkpoint before it: sample them anew."""
    for file in set_aside_damaged(current_files(job.run_id)):
        step = step_of(file)
        reporter.say(f"the rollouts of step {step} were damaged and are set aside; going back to before that step")
        checkpoints.forget_from(job.run_dir / "checkpoints", step)


def last_step(outcome: TrainingOutcome) -> int:
    """The last step that the model comes from: weights that a killed attempt had validated as the best are kept, though
    the one that went on from a checkpoint before them ended earlier."""
    return max(outcome.steps, int(outcome.metrics.get("best_step", 0)))


def keep_pass_rates(run_id: str, points: Sequence[DecisionPoint]) -> None:
    """Count how often the run's completions solved their decision points, for the prompts of later runs."""
    rollouts = read_rollouts(run_id)
    seen = set(rollouts["decision_point_id"])
    store(run_id, count_rollouts(rollouts, {point.id: content_digest(point) for point in points if point.id in seen}))


def _offer(counts: Mapping[str, int], stage: GRPOSettings) -> str:
    """What there is to practise on, and what was left out and why."""
    missed = abs(counts["calls"] / max(1, counts["used"]) - stage.call_share) > _FAR_OFF
    withheld = f"; {counts['withheld']} have a value withheld" if stage.withheld_share else ""
    return (
        f"{counts['used']} decision points to practise on; of {counts['offered']} on offer {counts['too_long']} are "
        f"too long, {counts['barred']} barred by the gold check, {counts['surplus']} more than "
        f"call_share={stage.call_share} takes of their kind; {counts['calls']} are calls"
        f"{', for there are too few of one kind to keep that share' if missed else ''}"
        f"{withheld}"
    )


def _fit(
    job: TrainingJob,
    reporter: Reporter,
    tokenizer: Any,
    chosen: Practice,
    rows: list[dict[str, str]],
    counts: dict[str, int],
) -> TrainingOutcome:
    settings, stage = job.settings, job.settings.grpo
    if stage.engine == "tree":
        score_labelled_positions_only()
        fold_in_caches()
        keep_groups_together()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental; we pin TRL
    model = load_model(job.start_model)
    if stage.engine == "tree" and not uses_cuda(settings):
        bound_activations(model, reporter.say, sharers=ranks.count())
    twin = decoder(load_model(job.start_model, device=device_name(settings)), decode_dtype(settings))
    validation = select_points(
        read_decision_points(job.dataset_version, splits=["validation_seen", "validation_unseen"]),
        max(1, stage.validation_decision_points // 2),
        from_end=True,  # the evaluation takes its conversations from the other end
    )
    with interruption() as asked:
        budget = BudgetCallback(stage, asked)
        watched = [point for conversation in validation for point in conversation]
        monitor = Monitor(stage.monitor, job.run_dir, len(watched))
        averaging, shown = averaged(stage.averaging)
        watching = [
            ValidationCallback(job, watched, tokenizer, twin, reporter, budget, monitor, shown),
            MonitorCallback(monitor, budget, reporter),
        ]
        trainer = DecisionPointTrainer(
            job=job,
            reporter=reporter,
            scorer=BatchScorer({point.id: point for point in chosen.points}, stage, job.dataset_version),
            twin=twin,
            rates=chosen.rates,
            monitor=monitor if ranks.leads() else None,
            model=model,
            args=grpo_arguments(job),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_config(stage.lora_rank),
            callbacks=[
                ReportCallback(reporter, "grpo", stage, budget),
                *(watching if ranks.leads() else []),
                budget,
                *averaging,
            ],
        )
        outcome = run_trainer(trainer, job, budget, counts, lambda step: monitor.verdict(step).as_row(), shown)
    reporter.say(monitor.verdict(outcome.steps).line())
    if "best_step" in outcome.metrics and outcome.stopped != "interrupted":
        reporter.say(
            f"kept the weights of step {outcome.metrics['best_step']:g}, the best by validation "
            f"(turn success {outcome.metrics['best_turn_success']:.0%})"
        )
    return outcome


def grpo_arguments(job: TrainingJob, **changes: Any) -> GRPOConfig:
    """TRL's configuration from ours, with ``changes``; one generation batch per optimizer step."""
    stage = job.settings.grpo
    arguments: dict[str, Any] = dict(
        **common_arguments(job, stage),
        num_generations=stage.num_generations,
        max_completion_length=stage.max_completion_length,
        temperature=stage.temperature,
        top_p=stage.top_p,
        beta=stage.beta,
        loss_type=stage.loss_type,
        scale_rewards=stage.scale_rewards,
        multi_objective_aggregation=stage.aggregation,
        reward_weights=list(advantage_rule(stage, load_reward(stage.reward, stage.weights)).weights),
        shuffle_dataset=False,  # practice has decided the order, call and answer turns mixed
        log_completions=False,
        # Drawing anew needs single prompts with streams of their own, which only our engine has.
        use_vllm=vllm_available(job.settings) and stage.zero_variance not in REDRAWING,
        vllm_mode="colocate",
    )
    return GRPOConfig(**{**arguments, **changes})
