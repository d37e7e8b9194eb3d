"""GRPO on decision points with TRL's ``GRPOTrainer``: the model learns to reason from the outcome of its actions.

What is simplified against a live agent: each decision point is one step with its recorded history (no tool is
executed, no user reacts); the reward compares with what the people or the oracle did; groups are formed per decision
point; one optimizer step per generation batch, so there is no off-policy correction to make.

TRL's trainer does the algorithm. It is extended at four places: completions come from the shared-trunk engine
(``rollout_func``; where a GPU and vLLM are there, from vLLM beside the trainer), rows keep their groups across
micro-batches, log-probabilities of a micro-batch are computed over its prefix tree, and every scored batch is stored
before TRL moves on. KL to the start model is measured now and then even when it has no weight in the loss.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from data.reporting import Reporter
from data.rollouts import append_rollouts
from data.schema import DecisionPoint
from data.settings import GRPOSettings
from data.snapshot import read_decision_points
from models.compute import decode_dtype, device_name, vllm_available
from models.engine.rollout import Request, decoder, generate, refresh
from models.engine.sampling import Sampling
from models.engine.scoring import attend_over_trees, score_rows
from models.engine.tree import rows_of
from models.evaluation.run import select_points
from models.policy import load_model, load_tokenizer, lora_config
from models.speech.template import prompt_text
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import (
    BudgetCallback,
    ReportCallback,
    common_arguments,
    finished_before,
    interruption,
    run_trainer,
)
from models.training.prompts import practice_points
from models.training.scoring import PARTS, BatchScorer
from models.training.seams import keep_groups_together, score_labelled_positions_only
from models.training.sft import EmptySplit
from models.training.validation import ValidationCallback


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
    points, counts = practice_points(
        read_decision_points(job.dataset_version, splits=["train"]), stage, job.settings.seed
    )
    reporter.phase("rendering prompts", total=float(len(points)), unit="decision points")
    rows = prompt_rows(tokenizer, points, stage, reporter)
    counts["too_long"] = len(points) - len(rows)
    if len(rows) * stage.num_generations < stage.batch_size:
        raise EmptySplit(
            f"GRPO needs {stage.batch_size // stage.num_generations} decision points a step and has {len(rows)} "
            f"({counts}); ingest more conversations or raise grpo.max_length"
        )
    reporter.say(
        f"{len(rows)} decision points to practise on, {counts['barred']} of {counts['offered']} barred by the "
        f"gold check, {counts['too_long']} too long"
    )
    return _fit(job, reporter, tokenizer, {point.id: point for point in points}, rows, counts)


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
    points: dict[str, DecisionPoint],
    rows: list[dict[str, str]],
    counts: dict[str, int],
) -> TrainingOutcome:
    settings, stage = job.settings, job.settings.grpo
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
        trainer = DecisionPointTrainer(
            job=job,
            reporter=reporter,
            scorer=BatchScorer(points, stage, job.dataset_version),
            twin=twin,
            model=model,
            args=grpo_arguments(job),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_config(stage.lora_rank),
            callbacks=[
                ReportCallback(reporter, "grpo", stage, budget),
                ValidationCallback(
                    job.run_dir, [p for c in validation for p in c], tokenizer, twin, settings, reporter, budget
                ),
                budget,
            ],
        )
        outcome = run_trainer(trainer, job, budget, counts)
    if "best_step" in outcome.metrics:
        reporter.say(
            f"kept the weights of step {outcome.metrics['best_step']:g}, the best by validation "
            f"(turn success {outcome.metrics['best_turn_success']:.0%})"
        )
    return outcome


def grpo_arguments(job: TrainingJob) -> GRPOConfig:
    """TRL's configuration from ours; one generation batch per optimizer step."""
    stage = job.settings.grpo
    return GRPOConfig(
        **common_arguments(job, stage),
        num_generations=stage.num_generations,
        max_completion_length=stage.max_completion_length,
        temperature=stage.temperature,
        top_p=stage.top_p,
        beta=stage.beta,
        loss_type=stage.loss_type,
        scale_rewards=stage.scale_rewards,
        reward_weights=[getattr(stage.weights, part) for part in PARTS],
        shuffle_dataset=False,  # practice_points has decided the order, call and answer turns mixed
        log_completions=False,
        use_vllm=vllm_available(job.settings),
        vllm_mode="colocate",
    )


class DecisionPointTrainer(GRPOTrainer):
    """TRL's trainer with our rollouts, scoring over prefix trees and rollout store; see the module."""

    def __init__(self, *, job: TrainingJob, reporter: Reporter, scorer: BatchScorer, twin: Any, **trl: Any) -> None:
        self._job = job
        self._reporter = reporter
        self._scorer = scorer
        self._twin = twin
        self._batch_ids: list[str] = []
        self._reference: Any | None = None
        rollout = None if trl["args"].use_vllm else self._rollout
        super().__init__(reward_funcs=scorer.functions(), rollout_func=rollout, **trl)
        for scored in (self.model, self.ref_model):
            if scored is not None:
                attend_over_trees(self.accelerator.unwrap_model(scored))

    def _rollout(self, prompts: list[str], trainer: Any) -> dict[str, list[list[float]]]:
        """TRL's ``rollout_func``: it passes prompts only, so the decision points travel in ``_batch_ids``."""
        settings, stage = self._job.settings, self._job.settings.grpo
        refresh(self._twin, self.accelerator.unwrap_model(self.model))
        ids = self.processing_class(prompts, add_special_tokens=False)["input_ids"]
        requests = [
            Request(prompt, (settings.seed, self.state.global_step, identifier, index % stage.num_generations))
            for index, (prompt, identifier) in enumerate(zip(ids, self._batch_ids, strict=True))
        ]
        generated = generate(
            self._twin,
            requests,
            end_token=self.processing_class.eos_token_id,
            max_new_tokens=stage.max_completion_length,
            sampling=Sampling(stage.temperature, stage.top_p),
        )
        return {
            "prompt_ids": ids,
            "completion_ids": [one.ids for one in generated],
            "logprobs": [one.logprobs for one in generated],
        }

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL does; then the batch is stored, while its rows are still in the order they were generated in."""
        self._batch_ids = [row["decision_point_id"] for row in inputs]
        output = super()._generate_and_score_completions(inputs)
        lengths = output["completion_mask"].sum(dim=1)
        last = output["completion_ids"].gather(1, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        truncated = (last != self.processing_class.eos_token_id).tolist()
        rows = self._scorer.rows(output["advantages"].tolist(), lengths.tolist(), truncated)
        step = self.state.global_step + 1
        append_rollouts(self._job.run_id, step, rows)
        figures = self._scorer.figures()
        if self.beta == 0.0 and (step - 1) % self._job.settings.grpo.kl_every == 0:
            figures["train/kl"] = self._kl_to_start(output)
        self._reporter.metrics(figures, step)
        return output

    @torch.no_grad()
    def _kl_to_start(self, output: dict[str, Any]) -> float:
        """KL to the start model on the first group's tokens, by the k3 estimator (Schulman 2020) that TRL uses too."""
        if self._reference is None:
            self._reference = self._load_reference()
        rows = slice(0, self.args.per_device_train_batch_size)
        ids = torch.cat([output["prompt_ids"][rows], output["completion_ids"][rows]], dim=1)
        mask = torch.cat([output["prompt_mask"][rows], output["completion_mask"][rows]], dim=1)
        width = output["completion_ids"].shape[1]
        policy, _, _ = self._get_per_token_logps_and_entropies(self.model, ids, mask, width)
        start, _, _ = self._get_per_token_logps_and_entropies(self._reference, ids, mask, width)
        tokens = output["completion_mask"][rows]
        k3 = torch.exp(start - policy) - (start - policy) - 1
        return float((k3 * tokens).sum() / tokens.sum())

    def _load_reference(self) -> Any:
        from trl.trainer.utils import add_fused_lm_head

        settings = self._job.settings
        reference = load_model(self._job.start_model, dtype=decode_dtype(settings), device=device_name(settings))
        add_fused_lm_head(reference.eval().requires_grad_(False), temperature=self.temperature)
        attend_over_trees(reference)
        return reference

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **others: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """As TRL's, over the prefix tree of the rows; text only."""
        rows = rows_of(input_ids, attention_mask, logits_to_keep)
        with self.accelerator.autocast():
            logps, entropies = score_rows(model, rows, logits_to_keep, entropies=compute_entropy)
        return logps, entropies, None
