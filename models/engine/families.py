"""Which models the engine computes as transformers does, told from their configuration.

Packed trees and shared trunks have attention of their own: causal over all tokens before, without a window, without
caps, without sinks, and the head's product is the logit. What has more than that would be computed wrongly in silence,
so it is refused by name (measured on tiny models: off by 1 to 6 in log-probability).
"""

from __future__ import annotations

from typing import Any

#: Fields that scale or cap logits, with the value at which they do nothing.
_SCALED = {"logits_scaling": 1, "logit_scale": 1, "lm_head_multiplier": 1}
_CAPPED = ("attn_logit_softcapping", "final_logit_softcapping")
#: Rotary frequencies that depend on the length of the whole batch.
_BY_LENGTH = frozenset({"dynamic", "longrope"})
_WITH_SINKS = frozenset({"gpt_oss"})


def unsupported(config: Any) -> str | None:
    """What of a transformers config the engine does not compute, in words; None if it computes all of it."""
    text = config.get_text_config()
    others = sorted(set(getattr(text, "layer_types", None) or ()) - {"full_attention"})
    if others:
        return f"layers of other kinds than full attention ({', '.join(others)})"
    window = getattr(text, "sliding_window", None)
    if window and getattr(text, "use_sliding_window", True) and window < text.max_position_embeddings:
        return f"attention within a sliding window of {window} tokens"
    if text.model_type in _WITH_SINKS:
        return "attention sinks"
    for name in _CAPPED:
        if getattr(text, name, None):
            return f"capped logits ({name} = {getattr(text, name)})"
    for name, nothing in _SCALED.items():
        if getattr(text, name, None) not in (None, nothing):
            return f"scaled logits ({name} = {getattr(text, name)})"
    changing = sorted(_BY_LENGTH & _rope_types(getattr(text, "rope_parameters", None)))
    return f"rotary positions that depend on a batch's length (rope_type {changing[0]})" if changing else None


def _rope_types(parameters: Any) -> set[str]:
    """The kinds of rotary positions in use; some models keep one set of parameters for each kind of layer."""
    if not isinstance(parameters, dict):
        return set()
    named = parameters.get("rope_type")
    return {str(named)} if named else set().union(*map(_rope_types, parameters.values()))
