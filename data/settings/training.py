"""SFT, SFT that goes on, rejection sampling and priming; what GRPO shares with them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from data.settings.base import Positive, StageSettings


class TrainingSettings(StageSettings):
    """What SFT, priming and GRPO share."""

    minutes: Positive | None = None
    """Wall-clock budget; the stage stops cleanly, saves, and says how far it came."""
    max_steps: int = Field(400, ge=1)
    """Optimizer steps at most."""
    learning_rate: Positive = 5e-4
    warmup_steps: int = Field(5, ge=0)
    schedule_timescale: int = Field(40, ge=1)
    """After warm-up the rate falls as sqrt(timescale / (timescale + steps since)), which no budget bends."""
    batch_size: int = Field(4, ge=1)
    """Rows of one optimizer step."""
    micro_batch_size: int = Field(1, ge=1)
    """Rows of one forward pass; ``batch_size`` is reached by accumulation."""
    max_length: int = Field(2048, ge=16)
    """Tokens of one row; longer rows are dropped and counted."""
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: Positive = 1.0
    save_every_minutes: Positive = 5.0
    """Wall clock between resumable checkpoints."""
    averaging: float | None = Field(None, gt=0, lt=0.288)
    """Leave an average of the weights over the last part of the run instead of the last weights, and validate that: its
    width as a share of the run, say 0.1, which lies at 89 % of it; 0.25 at 63 %, so a short run loses a third of its
    steps (models/training/averaging.py). None: the last weights, for SFT worse by 6 to 9 points of turn success after
    7 minutes of SGD (``benchmarks/averaging.py``, docs/log.md)."""
    lora_rank: int | None = Field(None, ge=1)
    """Train a LoRA adapter of this rank instead of all weights."""
    engine: Literal["tree", "trl"] = "tree"
    """``tree``: every shared prefix is computed once; ``trl``: TRL's trainer as it comes, row by row with ``generate``,
    to compare with. The algorithm is the same."""

    @model_validator(mode="after")
    def _batches_divide(self) -> TrainingSettings:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size={self.batch_size} is not a multiple of micro_batch_size={self.micro_batch_size}; "
                f"set micro_batch_size to a divisor of {self.batch_size}"
            )
        return self


class ChosenSettings(TrainingSettings):
    """Imitation whose weights validation may choose: else the last ones are kept, whatever they have unlearned."""

    validate_every: int | None = Field(None, ge=1)
    """Optimizer steps between validations by turn success; the best weights are kept. None: the last weights are."""
    validations: int | None = Field(None, ge=1)
    """Instead: so many validations at even distances, by its steps or its clock, whichever is nearer its end."""
    patience: int = Field(3, ge=1)
    """Validations without improvement after which the stage ends, where it is validated."""
    validation_decision_points: int = Field(60, ge=1)

    @property
    def is_validated(self) -> bool:
        """Whether validation chooses among its weights."""
        return self.validate_every is not None or self.validations is not None

    @model_validator(mode="after")
    def _validated_one_way(self) -> ChosenSettings:
        if self.validate_every is not None and self.validations is not None:
            raise ValueError(
                f"validate_every={self.validate_every} and validations={self.validations} both say when to validate; "
                "set one of them to null"
            )
        return self


class SFTSettings(ChosenSettings):
    """SFT without thinking on whole conversations: the paper's baseline."""

    epochs: Positive = 3.0
    order: Literal["shuffled", "coverage"] = "shuffled"
    """Which conversations come first. ``coverage``: those whose turns teach most per token, rare tools before frequent
    ones (models/training/coverage.py), for budgets that end within the first epoch; what comes last, the long ones of
    frequent tools, would weigh too much on a model that reads them all."""


class ContinuedSettings(SFTSettings):
    """SFT that goes on from its own model for GRPO's time: what more of the same would have brought. In the order
    ``coverage`` it would begin with what an SFT in that order has read (392 of its 394 conversations of SGD)."""

    learning_rate: Positive = 1e-4
    """Below SFT's, whose schedule has come down by then."""


class TreeSettings(TrainingSettings):
    """Stages whose rows share prefixes: what meets in one forward pass is computed once, so unless it is stated
    ``micro_batch_size`` is the whole batch. It takes about 1 MB of activations for each token of the 135M model; where
    memory has no room for them, layers are computed again in backward (models/engine/recomputing.py). Row by row
    (``engine=trl``) a batch would take several times that, so there the class default, one row, stands."""

    @model_validator(mode="before")
    @classmethod
    def _whole_batch(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "micro_batch_size" in values or values.get("engine") == "trl":
            return values
        batch = values.get("batch_size", cls.model_fields["batch_size"].default)
        if values.get("unit") == "episode":  # an episode is ten times as long as a turn's completion
            batch = 1 if str(batch).strip()[-1:] in tuple("13579") else 2  # text where the environment states it
        return {**values, "micro_batch_size": batch}


class RejectionSettings(TreeSettings):
    """SFT on the best of a GRPO run's completions (rejection sampling): what its rollouts teach without its loss."""

    max_steps: int = Field(300, ge=1)
    learning_rate: Positive = 1e-4
    batch_size: int = Field(8, ge=1)
    epochs: Positive = 2.0
    """Passes over the chosen completions."""
    rollouts_of: str | None = None
    """GRPO run whose stored rollouts are chosen from."""


class PrimingSettings(TreeSettings, ChosenSettings):
    """A short SFT on brief rationales, so that GRPO starts from a model that thinks at all. Where it is validated, that
    is with thinking; the model it starts from, which does not think yet, is no candidate."""

    max_steps: int = Field(60, ge=1)
    learning_rate: Positive = 2e-4
    batch_size: int = Field(8, ge=1)
    decision_points: int = Field(400, ge=1)
    """How many decision points with a rationale to learn from."""
    history: Literal["plain", "reasoned"] = "plain"
    """Earlier turns without their reasoning, as at a recorded decision point, or with it, as within an episode (then
    GRPO on episodes begins with what it will see)."""
    exchanged: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the decision points that are learned once more with the thought of a turn nearby, and of one of the same
    kind elsewhere, before that turn's action: only the action counts, so that it has to follow from its thought
    (models/training/exchanged.py). These rows take steps as others do: raise ``max_steps`` with it."""
    rationales: str | None = None
    """Dataset version whose thoughts to learn instead of those of the run's own (``--thoughts toolrl``)."""
