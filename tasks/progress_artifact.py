"""How far a stage is, in Prefect's browser page: one progress artifact per stage, moved now and then.

Only inside a flow run. A server that is away is asked no more for this stage; progress is on the console and in
``progress.jsonl`` too.
"""

from __future__ import annotations

import re
import time
from typing import Any

#: Seconds between updates, each a request to the server.
EVERY = 10.0


class ProgressArtifact:
    """The artifact of one stage; created at its first word."""

    def __init__(self, stage: str) -> None:
        self._key = f"progress-{re.sub(r'[^a-z0-9-]+', '-', stage.lower())}"
        self._stage = stage
        self._id: Any = None
        self._at = float("-inf")
        self._off = not _in_flow()

    def tell(self, phase: str, done: float, total: float | None, *, now: bool = False) -> None:
        """Move it, if the last move is old enough or ``now``; without a total it stays at 0 %."""
        if self._off or (not now and time.monotonic() - self._at < EVERY):
            return
        self._at = time.monotonic()
        share = min(100.0, 100.0 * done / total) if total else 0.0
        try:
            self._move(share, f"{self._stage}: {phase}, {done:g}" + (f" of {total:g}" if total else ""))
        except Exception:  # noqa: BLE001 - whatever Prefect's server has must not stop a training
            self._off = True

    def _move(self, share: float, text: str) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        if self._id is None:
            self._id = create_progress_artifact(share, key=self._key, description=text)
        else:
            update_progress_artifact(self._id, share, description=text)


def _in_flow() -> bool:
    """Whether a flow run is under way here; without loading Prefect where nobody has."""
    import sys

    if "prefect.context" not in sys.modules:
        return False
    from prefect.context import FlowRunContext, TaskRunContext

    return FlowRunContext.get() is not None or TaskRunContext.get() is not None
