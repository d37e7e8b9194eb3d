"""The named places where TRL is extended, each with a parity test against TRL's own result.

TRL's trainers stay the trainers. What is listed here is all that is replaced inside the library; subclasses in
``sft.py`` and ``grpo.py`` override methods in the ordinary way.
"""

from __future__ import annotations

from typing import Any

import torch


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
