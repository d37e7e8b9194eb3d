"""What a training stage is given and what it hands back: paths and identifiers, no live objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from data.settings import Settings

StopReason = Literal["finished", "budget", "interrupted", "breach"]


@dataclass(frozen=True)
class TrainingJob:
    """One training stage.

    ``start_model`` is a directory with safetensors weights and a tokenizer; ``run_dir`` is where the stage keeps
    ``checkpoints/`` and leaves ``model/``. If ``run_dir/checkpoints`` holds a checkpoint the stage resumes from it.
    """

    run_id: str
    dataset_version: str
    start_model: Path
    run_dir: Path
    settings: Settings


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training stage ended.

    ``stopped`` is ``finished`` (all steps done), ``budget`` (minutes were up), ``breach`` (the hacking monitor ended
    it) or ``interrupted`` (SIGTERM, Ctrl-C: saved, not done). ``counts`` tells of rows: used, dropped as too long,
    barred by the gold check, …. ``verdict`` is the monitor's, for GRPO.
    """

    model_dir: Path
    steps: int
    planned_steps: int
    seconds: float
    stopped: StopReason
    metrics: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None
