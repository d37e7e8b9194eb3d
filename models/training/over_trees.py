"""TRL's ``GRPOTrainer`` with log-probabilities over prefix trees: what training on turns and on episodes share.

Rows keep their groups across micro-batches (``seams``), so the rows of a micro-batch share prompts and beginnings, and
each is computed once. KL to the start model can be measured where it has no weight in the loss. Where ``tool_mask``
marks tokens the model did not write, they carry neither loss nor KL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from trl import GRPOTrainer

from data.settings import GRPOSettings
from models.compute import device_name, training_dtype
from models.engine.scoring import attend_over_trees, score_rows
from models.engine.tree import Row, rows_of
from models.policy import load_model
from models.training.job import TrainingJob


class OverTrees(GRPOTrainer):
    """TRL's trainer, scoring over prefix trees unless ``grpo.engine`` says otherwise; see the module."""

    def __init__(self, *, job: TrainingJob, **trl: Any) -> None:
        self._job = job
        self._reference: Any | None = None
        self._over_trees = job.settings.grpo.engine == "tree"
        self.made_up = 1.0
        """What the loss is multiplied by where rows that count in its mean were left out (``leave_out``)."""
        super().__init__(**trl)
        for scored in (self.model, self.ref_model):
            if self._over_trees and scored is not None:
                attend_over_trees(self.accelerator.unwrap_model(scored))

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """As TRL's, whose mean entropy and KL would count a micro-batch of nothing but left-out groups as 0."""
        loss = super()._compute_loss(model, inputs) * self.made_up
        metrics = self._metrics["train"]
        for name in ("entropy", "kl"):
            if not inputs["completion_mask"].any() and metrics.get(name):
                metrics[name].pop()
            if name in metrics and not metrics[name]:
                del metrics[name]
        return loss

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
        tokens = loss_mask(output)[rows]
        k3 = torch.exp(start - policy) - (start - policy) - 1
        return float((k3 * tokens).sum() / tokens.sum())

    def _load_reference(self) -> Any:
        from trl.trainer.utils import add_fused_lm_head

        settings = self._job.settings
        reference = load_model(self._job.start_model, dtype=training_dtype(settings), device=device_name(settings))
        add_fused_lm_head(reference.eval().requires_grad_(False), temperature=self.temperature)
        if self._over_trees:
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
        """As TRL's, over the prefix tree of the rows; text only. Rows without completion tokens are not computed."""
        if not self._over_trees:
            return super()._get_per_token_logps_and_entropies(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **others
            )
        told = attention_mask[:, -logits_to_keep:].any(dim=1).nonzero().squeeze(1)
        rows = rows_of(input_ids[told], attention_mask[told], logits_to_keep)
        with self.accelerator.autocast():
            found, spread = score_rows(model, rows, logits_to_keep, entropies=compute_entropy)
        logps = found.new_zeros(len(input_ids), logits_to_keep).index_put((told,), found)
        if torch.is_grad_enabled() and not logps.requires_grad:
            # Nothing to learn, but something to differentiate, through the model: other ranks wait for its gradients.
            with self.accelerator.autocast():
                logps = logps + 0.0 * score_rows(model, [Row(input_ids[0, -2:].tolist(), 1)], 1)[0].sum()
        entropies = None if spread is None else torch.zeros_like(logps).index_put((told,), spread)
        return logps, entropies, None


def loss_mask(inputs: dict[str, Any]) -> torch.Tensor:
    """1 on the tokens that carry loss: the completion's, less those of tools and user."""
    mask: torch.Tensor = inputs["completion_mask"]
    return mask * inputs["tool_mask"] if "tool_mask" in inputs else mask


def leave_out(
    output: dict[str, Any], flat: Sequence[bool], flat_everywhere: Sequence[bool], stage: GRPOSettings
) -> float:
    """Take groups without variance out of a generation batch: neither computed nor counted in the loss's mean.

    Their completion masks become 0. ``dapo`` divides by the tokens that are left, ``bnpo`` by those of a micro-batch,
    ``grpo`` and ``dr_grpo`` by all rows.

    Returns:
        What the loss has to be multiplied by, KL and all, to be the mean over the rows that are left.
    """
    out = torch.tensor(flat, device=output["completion_mask"].device).repeat_interleave(stage.num_generations)
    output["completion_mask"] = output["completion_mask"] * (~out).long().unsqueeze(1)
    output["num_items_in_batch"] = loss_mask(output).sum()
    if stage.loss_type not in ("grpo", "dr_grpo") or all(flat_everywhere):
        return 1.0
    return len(flat_everywhere) / (len(flat_everywhere) - sum(flat_everywhere))
