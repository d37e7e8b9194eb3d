"""Loading a policy: weights and tokenizer from a directory, optionally under a LoRA adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models.compute import keep_freed_memory


def load_tokenizer(model_dir: Path) -> Any:
    """The tokenizer saved with a model, with our chat template; pads on the left, as generation needs."""
    tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False)
    tokenizer.padding_side = "left"
    return tokenizer


def load_model(model_dir: Path, *, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Any:
    """The model in ``model_dir`` (safetensors only), in ``dtype`` on ``device``."""
    keep_freed_memory()
    model = AutoModelForCausalLM.from_pretrained(
        model_dir, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False
    )
    return model.to(device)


def lora_config(rank: int | None) -> Any | None:
    """A LoRA config for all linear layers of the blocks, or None to train all weights."""
    if rank is None:
        return None
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def save_weights(model: Any, directory: Path) -> None:
    """Save all weights as safetensors; those of a LoRA adapter are added, and taken out again up to rounding."""
    if not hasattr(model, "peft_config"):
        model.save_pretrained(directory)
        return
    with merged(model) as weights:
        model.get_base_model().save_pretrained(directory, state_dict=weights)


@contextmanager
def merged(model: Any) -> Iterator[dict[str, torch.Tensor]]:
    """The base model's weights by name with the adapter added in, valid within the block."""
    model.merge_adapter()
    try:
        named = model.get_base_model().state_dict()
        yield {name.replace(".base_layer", ""): value for name, value in named.items() if ".lora_" not in name}
    finally:
        model.unmerge_adapter()
