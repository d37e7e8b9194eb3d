"""The format reward: whether a completion has the form that the chat template asks for, and nothing else.

It is a gate without degrees: a longer, prettier or second thought earns nothing, an empty one loses all.
"""

from __future__ import annotations

from models.speech.parsing import Parsed


def format_reward(parsed: Parsed) -> float:
    """1 for a well-formed completion, else 0.

    Well-formed when thinking: exactly one non-empty think block first, then either calls alone or an answer alone.
    Without thinking: the same without any think block. Calls name tools on offer and are strict JSON.
    """
    return 1.0 if parsed.ok else 0.0
