"""Decision points to completed texts with the shared-trunk engine; one path for evaluation and validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.schema import DecisionPoint
from models.engine.rollout import Request, generate
from models.engine.sampling import Sampling
from models.speech.template import THINK_OPEN, prompt_text


@dataclass(frozen=True)
class Completion:
    """What a model wrote at a decision point: the text with its think opener, without the end-of-turn token."""

    point: DecisionPoint
    text: str
    tokens: int
    truncated: bool


def prompt_ids(tokenizer: Any, point: DecisionPoint, *, thinking: bool) -> list[int]:
    """Token ids of a decision point's prompt."""
    text = prompt_text(tokenizer, point.history, point.tools, thinking=thinking)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def complete(
    model: Any,
    tokenizer: Any,
    points: Sequence[DecisionPoint],
    *,
    thinking: bool,
    max_new_tokens: int,
    max_rows: int,
    on_batch: Callable[[int], None] | None = None,
    sampling: Sampling | None = None,
    draw: int = 0,
    forced: Mapping[str, str] | None = None,
) -> list[Completion]:
    """Completions, one per decision point and in their order; greedy unless ``sampling`` says otherwise.

    Args:
        model: A decoding copy (``models.engine.rollout.decoder``).
        tokenizer: With our chat template.
        points: Decision points; those of one conversation share its prefill.
        thinking: Whether the prompt opens a think block.
        max_new_tokens: Tokens of a completion at most.
        max_rows: Decision points decoded together.
        on_batch: Called with the number finished so far.
        sampling: How to choose tokens.
        draw: Which draw of a sampled completion: another number is another one.
        forced: By decision point, what the model is made to begin its completion with; it counts to the text.
    """
    begun = [(forced or {}).get(point.id, "") for point in points]
    starts = [_ids(tokenizer, start) for start in begun]
    requests = [
        Request([*prompt_ids(tokenizer, point, thinking=thinking), *start], ("judged", point.id, draw))
        for point, start in zip(points, starts, strict=True)
    ]
    generated = generate(
        model,
        requests,
        end_token=tokenizer.eos_token_id,
        max_new_tokens=max_new_tokens,
        sampling=sampling or Sampling(),
        max_rows=max_rows,
        on_batch=on_batch,
        own_tails=[len(start) for start in starts],
    )
    opener = THINK_OPEN if thinking else ""
    return [
        Completion(
            point=point,
            text=opener + start + tokenizer.decode(one.ids, skip_special_tokens=True),
            tokens=len(one.ids),
            truncated=one.ids[-1] != tokenizer.eos_token_id,
        )
        for point, start, one in zip(points, begun, generated, strict=True)
    ]


def complete_greedily(model: Any, tokenizer: Any, points: Sequence[DecisionPoint], **how: Any) -> list[Completion]:
    """``complete`` without sampling; ``how`` as there."""
    return complete(model, tokenizer, points, **how)


def _ids(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []
