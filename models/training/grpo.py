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

from data.pass_rates import PassRate, content_digest, count_rollouts, store
from data.reporting import Reporter
from data.rollouts import append_rollouts, read_rollouts
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from data.snapshot import read_decision_points
from models.compute import decode_dtype, device_name, vllm_available
from models.engine.rollout import Generated, Request, decoder, generate, refresh
from models.engine.sampling import Sampling
from models.evaluation.run import select_points
from models.policy import load_model, load_tokenizer, lora_config
from models.rewards.variants import load_reward
from models.speech.template import prompt_text
from models.training.draws import substitutes
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import (
    BudgetCallback,
    ReportCallback,
    common_arguments,
    finished_before,
    interruption,
    run_trainer,
)
from models.training.monitor import Monitor
from models.training.over_trees import OverTrees, leave_out
from models.training.prompts import Practice, practice
from models.training.scoring import BatchScorer, Discarded, advantage_rule
from models.training.seams import keep_groups_together, score_labelled_positions_only
from models.training.sft import EmptySplit
from models.training.signals import signals
from models.training.validation import ValidationCallback
from models.training.watching import MonitorCallback

REDRAWING = ("resample", "replace")


def train_grpo(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Train the policy in ``job.start_model`` with GRPO; leaves the best weights by validation in ``model/``.

    Raises:
        EmptySplit: No decision point passes the gold check and fits, or too few for one step.
    """
    if outcome := finished_before(job):
        return outcome
    stage = job.settings.grpo
    tokenizer = load_tokenizer(job.start_model)
    reporter.phase("checking gold rewards and prompts", unit="decision points")
    offered = read_decision_points(job.dataset_version, splits=["train"])
    chosen = practice(offered, stage, job.settings.seed, job.run_dir)
    if chosen.curriculum.known:
        reporter.say(chosen.curriculum.says(stage.curriculum))
        reporter.metrics(chosen.curriculum.figures(), 0)
    reporter.phase("rendering prompts", total=float(len(chosen.points)), unit="decision points")
    rows = prompt_rows(tokenizer, chosen.points, stage, reporter)
    counts = chosen.counts | {"too_long": len(chosen.points) - len(rows)}
    if len(rows) * stage.num_generations < stage.batch_size:
        raise EmptySplit(
            f"GRPO needs {stage.batch_size // stage.num_generations} decision points a step and has {len(rows)} "
            f"({counts}); ingest more conversations or raise grpo.max_length"
        )
    reporter.say(
        f"{len(rows)} decision points to practise on, {counts['barred']} of {counts['offered']} barred by the "
        f"gold check, {counts['too_long']} too long"
    )
    outcome = _fit(job, reporter, tokenizer, chosen, rows, counts)
    keep_pass_rates(job.run_id, chosen.points)
    return outcome


def keep_pass_rates(run_id: str, points: Sequence[DecisionPoint]) -> None:
    """Count how often the run's completions solved their decision points, for the prompts of later runs."""
    rollouts = read_rollouts(run_id)
    seen = set(rollouts["decision_point_id"])
    store(run_id, count_rollouts(rollouts, {point.id: content_digest(point) for point in points if point.id in seen}))


def prompt_rows(
    tokenizer: Any, points: Sequence[DecisionPoint], stage: GRPOSettings, reporter: Reporter
) -> list[dict[str, str]]:
    """One row ``prompt``, ``decision_point_id`` per point whose prompt leaves room for a completion."""
    longest = stage.max_length - stage.max_completion_length
    rows = []
    for number, point in enumerate(points):
        reporter.update(number)
        text = prompt_text(tokenizer, point.history, point.tools, thinking=stage.thinking)
        if len(tokenizer(text, add_special_tokens=False)["input_ids"]) <= longest:
            rows.append({"prompt": text, "decision_point_id": point.id})
    return rows


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
        keep_groups_together()
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # rollout_func is marked experimental; we pin TRL
    model = load_model(job.start_model)
    twin = decoder(load_model(job.start_model, device=device_name(settings)), decode_dtype(settings))
    validation = select_points(
        read_decision_points(job.dataset_version, splits=["validation_seen", "validation_unseen"]),
        max(1, stage.validation_decision_points // 2),
        from_end=True,  # the evaluation takes its conversations from the other end
    )
    with interruption() as asked:
        budget = BudgetCallback(job.run_dir, stage, asked)
        watched = [point for conversation in validation for point in conversation]
        monitor = Monitor(stage.monitor, job.run_dir, len(watched))
        trainer = DecisionPointTrainer(
            job=job,
            reporter=reporter,
            scorer=BatchScorer({point.id: point for point in chosen.points}, stage, job.dataset_version),
            twin=twin,
            rates=chosen.rates,
            monitor=monitor,
            model=model,
            args=grpo_arguments(job),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_config(stage.lora_rank),
            callbacks=[
                ReportCallback(reporter, "grpo", stage, budget),
                ValidationCallback(job.run_dir, watched, tokenizer, twin, settings, reporter, budget, monitor),
                MonitorCallback(monitor, budget, reporter),
                budget,
            ],
        )
        outcome = run_trainer(trainer, job, budget, counts, lambda step: monitor.verdict(step).as_row())
    reporter.say(monitor.verdict(outcome.steps).line())
    if "best_step" in outcome.metrics:
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


class DecisionPointTrainer(OverTrees):
    """TRL's trainer with our rollouts, scoring over prefix trees and rollout store; see the module."""

    def __init__(
        self,
        *,
        job: TrainingJob,
        reporter: Reporter,
        scorer: BatchScorer,
        twin: Any,
        rates: Mapping[str, PassRate] | None = None,
        monitor: Monitor | None = None,
        **trl: Any,
    ) -> None:
        self._reporter = reporter
        self._scorer = scorer
        self._twin = twin
        self._rates = rates or {}
        self._monitor = monitor
        rows = trl["train_dataset"]
        self._prompts = dict(zip(rows["decision_point_id"], rows["prompt"], strict=True))
        self._batch_ids: list[str] = []
        rollout = self._rollout if job.settings.grpo.engine == "tree" and not trl["args"].use_vllm else None
        super().__init__(job=job, reward_funcs=scorer.functions(), rollout_func=rollout, **trl)

    def _rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[Any]]:
        """TRL's ``rollout_func``: it passes prompts only, so the decision points travel in ``_batch_ids``.

        The ids that come back are those of the prompts drawn in the end; TRL hands them to the reward functions.
        """
        refresh(self._twin, self.accelerator.unwrap_model(self.model))
        ids = list(self._batch_ids)
        generated = self._complete(ids, draw=0)
        if self._job.settings.grpo.zero_variance in REDRAWING:
            self._draw_anew(ids, generated)
        return {
            "prompt_ids": self._tokens(ids),
            "completion_ids": [one.ids for one in generated],
            "logprobs": [one.logprobs for one in generated],
            "decision_point_id": ids,
        }

    def _tokens(self, ids: Sequence[str]) -> list[list[int]]:
        return self.processing_class([self._prompts[one] for one in ids], add_special_tokens=False)["input_ids"]

    def _complete(self, ids: Sequence[str], draw: int) -> list[Generated]:
        """One completion for each of the ids, which come in whole groups."""
        settings, stage = self._job.settings, self._job.settings.grpo
        first = draw * stage.num_generations
        requests = [
            Request(prompt, (settings.seed, self.state.global_step, one, first + index % stage.num_generations))
            for index, (prompt, one) in enumerate(zip(self._tokens(ids), ids, strict=True))
        ]
        return generate(
            self._twin,
            requests,
            end_token=self.processing_class.eos_token_id,
            max_new_tokens=stage.max_completion_length,
            sampling=Sampling(stage.temperature, stage.top_p),
        )

    def _draw_anew(self, ids: list[str], generated: list[Generated]) -> None:
        """Replace groups without variance in both lists; the scorer keeps what is replaced."""
        stage, scorer = self._job.settings.grpo, self._scorer
        size = stage.num_generations
        scorer.draws = [0] * (len(ids) // size)
        for draw in range(1, stage.draws):
            texts = self.processing_class.batch_decode([one.ids for one in generated], skip_special_tokens=True)
            judged = scorer.judge(texts, ids)
            flat = [number for number, one in enumerate(scorer.flat(judged)) if one]
            instead = self._instead(flat, ids, draw)
            fresh = self._complete([one for one in instead.values() for _ in range(size)], draw) if instead else []
            for position, (number, identifier) in enumerate(instead.items()):
                place, source = (slice(start * size, start * size + size) for start in (number, position))
                old = generated[place]
                lengths = [len(one.ids) for one in old]
                scorer.discarded.append(Discarded(scorer.draws[number], judged[place], lengths, self._cut(old)))
                ids[place], generated[place] = [identifier] * size, fresh[source]
                scorer.draws[number] = draw

    def _instead(self, flat: Sequence[int], ids: Sequence[str], draw: int) -> dict[int, str]:
        """The decision point to draw for each flat group of the batch; a group for which there is none is left out."""
        settings, stage = self._job.settings, self._job.settings.grpo
        now = [ids[number * stage.num_generations] for number in flat]
        if stage.zero_variance == "resample":
            return dict(zip(flat, now, strict=True))
        kinds = {one: self._scorer.points[one].kind for one in self._prompts}
        taken = {*ids, *(group.members[0].point.id for group in self._scorer.discarded)}
        key = (settings.seed, self.state.global_step, draw)
        found = substitutes([kinds[one] for one in now], kinds, self._rates, taken, key, stage.num_generations)
        return {number: one for number, one in zip(flat, found, strict=True) if one is not None}

    def _cut(self, generated: Sequence[Generated]) -> list[bool]:
        return [one.ids[-1] != self.processing_class.eos_token_id for one in generated]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL does; then the batch is stored, while its rows are still in the order they were generated in."""
        stage = self._job.settings.grpo
        self._batch_ids = [row["decision_point_id"] for row in inputs]
        self._scorer.begin()
        output = super()._generate_and_score_completions(inputs)
        lengths = output["completion_mask"].sum(dim=1)
        last = output["completion_ids"].gather(1, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        truncated = (last != self.processing_class.eos_token_id).tolist()
        rows = self._scorer.rows(output["advantages"].tolist(), lengths.tolist(), truncated)
        step = self.state.global_step + 1
        append_rollouts(self._job.run_id, step, rows)
        figures = self._scorer.figures() | self._signals(output, lengths.tolist())
        if self.beta == 0.0 and (step - 1) % stage.kl_every == 0:
            figures["train/kl"] = self._kl_to_start(output)
        self._reporter.metrics(figures, step)
        if self._monitor is not None:
            self._monitor.watch(figures, step)
        if stage.zero_variance != "keep":
            leave_out(output, self._scorer.flat(self._scorer.batch), stage)
        return output

    def _signals(self, output: dict[str, Any], lengths: list[int]) -> dict[str, float]:
        scorer, sampled = self._scorer, output.get("sampling_per_token_logps")
        logprobs = None if sampled is None else sampled[output["completion_mask"].bool()].nan_to_num(0.0).tolist()
        maxima = [scorer.maximum(one.point) for one in scorer.batch]
        size = self._job.settings.grpo.num_generations
        return signals(scorer.batch, scorer.reward, maxima, size, lengths, logprobs)
