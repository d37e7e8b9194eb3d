"""Prompts to completions, every shared prefix computed once.

Prompts that share a conversation share a trunk: it is prefilled once, and all completions of all its decision points
are decoded together (see ``decoding`` and ``attention``). A row stops at the end-of-turn token and leaves the batch.
Used for GRPO's rollouts (through TRL's ``rollout_func``) and, greedily, for evaluation. A conversation that goes on
keeps its keys and values from turn to turn (``sessions``), so a turn costs what is new in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from models.compute import give_back_freed_memory
from models.engine.attention import ATTENTION
from models.engine.decoding import Generated, Request, Wanted, decode
from models.engine.lean import pack
from models.engine.sampling import Sampling
from models.engine.sessions import Sessions
from models.policy import merged

__all__ = ["Generated", "Request", "decoder", "generate", "refresh"]


def decoder(model: Any, dtype: torch.dtype) -> Any:
    """A copy of ``model`` for decoding: in ``dtype``, without gradients, attending over trunks.

    Its weights are cast, its buffers are not, as ``from_pretrained`` has it: rotary frequencies rounded to bfloat16
    would turn a token a thousand positions away by more than a radian too much.
    """
    import copy

    twin = copy.deepcopy(model).eval().requires_grad_(False)
    for weights in twin.parameters():
        weights.data = weights.data.to(dtype)
    twin.set_attn_implementation(ATTENTION)
    pack(twin)
    return twin


def refresh(twin: Any, model: Any) -> None:
    """Copy the current weights of ``model`` (under a LoRA adapter: merged) into its decoding copy."""
    if hasattr(model, "peft_config"):
        with merged(model) as weights:
            twin.load_state_dict(weights)
    else:
        with torch.no_grad():
            for target, source in zip(twin.parameters(), model.parameters(), strict=True):
                target.copy_(source)
    pack(twin)


@torch.inference_mode()
def generate(
    model: Any,
    requests: Sequence[Request],
    *,
    end_token: int,
    max_new_tokens: int,
    sampling: Sampling,
    max_rows: int = 64,
    on_batch: Callable[[int], None] | None = None,
    sessions: Sessions | None = None,
    own_tails: Sequence[int] = (),
) -> list[Generated]:
    """Complete every request.

    Args:
        model: A causal language model prepared by ``decoder``.
        requests: In any order; those that share a prefix are best given together.
        end_token: Id of the end-of-turn token.
        max_new_tokens: Tokens of a completion at most.
        sampling: Greedy or seeded sampling.
        max_rows: Rows decoded together.
        on_batch: Called with the number of requests finished so far.
        sessions: What earlier calls computed of the requests' sessions, and where this one leaves what it computes.
        own_tails: How many of each prompt's last tokens are words of its own, which no other has (a thought that the
            model is made to have); empty: none.

    Returns:
        One ``Generated`` per request, in their order.
    """
    if not requests:
        return []
    wanted = Wanted(end_token, max_new_tokens, sampling, sessions, own_tails)
    results = decode(model, requests, wanted, max_rows, on_batch)
    if len(requests) > max_rows:  # trunks of many lengths came and went
        give_back_freed_memory()
    return results
