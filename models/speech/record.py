"""A parsed completion as rollout and evaluation rows store it."""

from __future__ import annotations

import json

from models.speech.parsing import Parsed


def action_record(parsed: Parsed) -> str | None:
    """The calls as a JSON list of ``{"name", "arguments"}``, else the answer text; None if nothing was understood."""
    if parsed.calls:
        calls = [{"name": call.name, "arguments": call.arguments} for call in parsed.calls]
        return json.dumps(calls, ensure_ascii=False)
    return parsed.answer
