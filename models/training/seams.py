"""The named places where TRL is extended, each with a parity test against TRL's own result.

TRL's trainers stay the trainers. What is listed here is all that is replaced inside the library; subclasses in
``sft.py`` and ``grpo.py`` override methods in the ordinary way.
"""

from __future__ import annotations

from typing import Any

import torch

from models.engine.head import OUTPUTS, LogProbs


def score_labelled_positions_only() -> None:
    """Let TRL's fused LM head project only positions that carry a label, on every device.

    TRL 1.16 compacts the positions on Triton devices alone (``trl/trainer/utils.py:1642``); elsewhere it projects
    every position, which for GRPO on long prompts is most of the head's work. The switch is the name ``_use_triton``
    as imported into that module; the kernels look the function up in their own module and are not affected.
    Idempotent.
    """
    import trl.trainer.utils as trl_utils

    if not hasattr(trl_utils, "_use_triton"):
        raise RuntimeError("this TRL has no trl.trainer.utils._use_triton; install the version in constraints.txt")
    trl_utils._use_triton = _compact_everywhere


def _compact_everywhere(device: torch.device) -> bool:
    return True


def fold_in_caches() -> None:
    """Let TRL's fused LM head fold logits on CPUs in blocks that fit the caches (``models.engine.head``).

    The switch is the name ``_ChunkedLogProbFunction`` in ``trl/trainer/utils.py`` (TRL 1.16, line 1644). What ours does
    not compute (soft-capped logits, the two rarer outputs) and other devices stay with TRL's. Idempotent.
    """
    import trl.trainer.utils as trl_utils

    if not hasattr(trl_utils, "_ChunkedLogProbFunction"):
        raise RuntimeError(
            "this TRL has no trl.trainer.utils._ChunkedLogProbFunction; install the version in constraints.txt"
        )
    trl_utils._ChunkedLogProbFunction = _Fold


class _Fold:
    """Stands where TRL looks up its function: takes its arguments, returns its five outputs."""

    @staticmethod
    def apply(
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        temperature: float,
        chunk_size: int,
        softcap: float | None,
        logit_scale: float,
        outputs: tuple[str, ...],
    ) -> tuple[torch.Tensor | None, ...]:
        """TRL's outputs, by ours where it can."""
        from trl.kernels import ChunkedLogProbFunction

        if hidden.device.type != "cpu" or softcap is not None or not set(outputs) <= OUTPUTS:
            asked = (hidden, weight, bias, targets, temperature, chunk_size, softcap, logit_scale, outputs)
            return tuple(ChunkedLogProbFunction.apply(*asked))
        scale = logit_scale / temperature
        log_probs, entropy, is_top1 = LogProbs.apply(hidden, weight, bias, targets, scale, outputs)
        return log_probs, entropy, None, None, is_top1


def keep_groups_together() -> None:
    """Stop TRL's GRPO from shuffling the rows of a generation batch across micro-batches.

    ``GRPOTrainer._prepare_inputs`` (TRL 1.16, ``grpo_trainer.py:1543``) shuffles so that several optimizer steps on one
    generation batch see different mixtures. We make one optimizer step per generation batch, over all of its rows, so
    the order changes nothing but rounding; kept in order, a group's rows meet in one micro-batch and share their
    prompt. Idempotent.
    """
    import trl.trainer.grpo_trainer as grpo_trainer

    if not hasattr(grpo_trainer, "shuffle_sequence_dict"):
        raise RuntimeError("this TRL has no shuffle_sequence_dict; install the version in constraints.txt")
    grpo_trainer.shuffle_sequence_dict = _unshuffled


def _unshuffled(batch: dict[str, Any]) -> dict[str, Any]:
    return batch
