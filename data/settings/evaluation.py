"""How models are judged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from data.settings.base import Positive, StageSettings


class EpisodeEvaluationSettings(StageSettings):
    """Judging a model by whole episodes with simulated users, where it was trained on ``simulated``."""

    tasks: int = Field(75, ge=0)
    """Tasks per split, the domains taking turns; 0 leaves episodes out."""
    trials: int = Field(4, ge=1, le=8)
    """Attempts at each task, every one with another user: pass^k is told for k up to it."""
    temperature: Positive = 0.7
    max_turns: int = Field(16, ge=1)
    """Assistant messages of an episode; the gold agent needs 4 to 9."""
    drop_reasoning: bool = False
    """Leave earlier turns' reasoning out of the history, to see what it is good for. Training always keeps it."""
    any_source: bool = False
    """Play episodes with models trained on other sources too."""
    batch_size: int = Field(16, ge=1)
    """Episodes under way at once; each holds some 100 MB for the 135M model."""
    minutes: Positive | None = None
    """Wall-clock budget; whole tasks that were reached are reported with their n."""


class EvaluationSettings(StageSettings):
    """Judging a model outside its trainer."""

    dataset: str | None = None
    """Dataset version to judge on instead of the one the model was trained on (``--on bfcl``)."""
    decision_points: int | None = Field(400, ge=1)
    """Decision points per split, whole conversations at a time; None takes all."""
    thinking: bool | None = None
    """None: as the model was trained."""
    final: bool = False
    """Evaluate on the test splits. Everything else looks at validation; each use is recorded."""
    batch_size: int = Field(64, ge=1)
    """Decision points decoded together; whole conversations, so that each history is computed once."""
    max_completion_length: int = Field(256, ge=8)
    max_prompt_length: int = Field(4096, ge=16)
    """Tokens of a prompt, and of a whole episode."""
    minutes: Positive | None = None
    """Wall-clock budget; what was reached is reported with its n."""
    episodes: EpisodeEvaluationSettings = EpisodeEvaluationSettings()
    variant: Literal["few_shot", "distractors", "withheld"] | None = None
    """Decision points changed before they are judged (models/evaluation/variants.py); None: as they were recorded."""
    thoughts: Literal["own", "empty", "shuffled"] = "own"
    """With thinking: the model's own reasoning, none at all, or what it thought at another decision point."""
    thoughts_of: str | None = None
    """Evaluation whose thoughts are shuffled; it must be of the same model."""
    sample: int | None = Field(None, ge=1)
    """Sampled at ``temperature`` instead of greedy; each number is another draw, so one model can be run again."""
    temperature: Positive = 0.7
    """Of a sampled evaluation."""

    @property
    def changes(self) -> str | None:
        """What is not as recorded or not greedy, as the column ``variant`` has it; None where nothing is."""
        parts = [
            self.variant,
            None if self.thoughts == "own" else f"thoughts {self.thoughts}",
            f"sample {self.sample}" if self.sample else None,
        ]
        return ", ".join(part for part in parts if part) or None
