"""GRPO: its reward, its monitor, its rollouts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.settings.base import Positive, StageSettings
from data.settings.training import TreeSettings


class RewardWeights(StageSettings):
    """Weights of the reward's parts. The paper names tool accuracy and answer correctness, not their weights."""

    format: float = 0.5
    tool_accuracy: float = 1.0
    answer_correctness: float = 1.0
    partial: Annotated[float, Field(ge=0, le=1)] = 1.0
    """What an action that is right in part keeps of the credit for it: all, down to none. Where few call turns are
    exact, groups teach the nearly right call almost as much as the exact one; mistakes cost what they cost."""


class MonitorSettings(StageSettings):
    """When the hacking monitor calls a figure a breach. *Before* means the run's first ``window`` steps."""

    on_breach: Literal["mark", "stop"] = "mark"
    """Mark the run, or end it cleanly as well: its best weights by validation are kept."""
    window: int = Field(10, ge=1)
    """Steps that are averaged; nothing is called a breach before two windows have passed."""
    validation_drop: Positive = 0.05
    """Turn success on validation this far below its best, beyond chance, while the reward has risen since."""
    reward_rise: Positive = 0.02
    """What counts as a risen reward, as a share of the greatest possible."""
    share_off: Positive = 0.2
    """Share of turns with any call this far from the share at which one is due, and further than before."""
    share_rise: Positive = 0.15
    """How far a share of bad completions must have risen since before to count, or that of named values fallen."""
    bad_share: Positive = 0.3
    """Share of malformed completions, of unasked or withheld calls on the turns concerned, or of empty, copied or
    repeated thoughts, above which it counts."""
    length_factor: Annotated[float, Field(gt=1)] = 2.0
    """Completions this many times as long, or as short, as before."""
    calls_factor: Annotated[float, Field(gt=1)] = 1.5
    """Calls per turn this many times those that are due."""
    entropy_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Entropy below this share of what it was before."""
    carried_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the reward's rise owed to one part, while another part has fallen."""


class GRPOSettings(TreeSettings):
    """GRPO on decision points, or on whole episodes with a simulated user."""

    unit: Literal["turn", "episode"] = "turn"
    """What a completion is: one turn at a recorded history, or a whole episode that the model plays itself, in which
    case ``micro_batch_size`` is 2 unless stated and the settings of turns (reward, weights, curriculum) are unused."""
    episode_reward: Literal["outcome", "milestones"] = "outcome"
    """The product of final state, facts told and policy kept, or partial credit below it for what was reached."""
    episode_tasks: int = Field(400, ge=1)
    """Tasks to practise on before they come again."""
    max_turns: int = Field(16, ge=1)
    """Assistant messages of an episode."""
    validation_episodes: int = Field(16, ge=1)
    """Episodes of a validation, where ``unit`` is episode; the weights with the best pass^1 are kept."""
    start: Literal["base", "sft", "primed"] = "primed"
    """Which model GRPO starts from."""
    thinking: bool = True
    max_steps: int = Field(300, ge=1)
    learning_rate: Positive = 1e-5
    schedule_timescale: int = Field(200, ge=1)
    warmup_steps: int = Field(2, ge=0)
    num_generations: int = Field(8, ge=2)
    """Completions per prompt, the group over which advantages are normalised."""
    batch_size: int = Field(32, ge=2)
    """Completions of one optimizer step: ``batch_size / num_generations`` prompts."""
    max_completion_length: int = Field(256, ge=8)
    """Tokens of a completion, as in an evaluation: a thought and a call of SGD take 116 in the median and 206 at the
    99th percentile, on unseen services 145 and 228; a thought and an answer 62 and 149."""
    temperature: Positive = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    beta: float = Field(0.0, ge=0)
    """Weight of the KL penalty to the start model; the KL is measured even at 0."""
    kl_every: int = Field(10, ge=1)
    """Optimizer steps between measurements of the KL where it has no weight."""
    loss_type: Literal["grpo", "dapo", "dr_grpo", "bnpo"] = "dapo"
    scale_rewards: Literal["group", "batch", "none"] = "group"
    aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = "sum_then_normalize"
    """Sum the reward's parts before they are normalised, or after: GDPO, where ``scale_rewards`` is unused."""
    zero_variance: Literal["keep", "skip", "resample", "replace"] = "keep"
    """What becomes of groups whose completions all earn the same, from which nothing can be learned.

    ``keep``: they stay in the loss's mean, as TRL has it; ``skip``: left out of it and not computed; ``resample``:
    the prompt is drawn again; ``replace``: another prompt is drawn, chosen by stored pass rates. What is still flat
    after the last draw is skipped.
    """
    draws: int = Field(2, ge=2)
    """How often a place of the batch is drawn at most under ``resample`` and ``replace``."""
    curriculum: Literal["off", "passes", "signal"] = "off"
    """``passes``: prompts that were always or never solved in earlier runs rest; ``signal``: only those whose groups
    never had variance either, so that a prompt with partial credit stays."""
    rest_after: int = Field(16, ge=2)
    """Attempts that must agree before a prompt rests; the newest so many count."""
    return_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the resting prompts that are tried again in each run, others each time."""
    call_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of prompts at which a call is due; the rest are answer turns."""
    withheld_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of prompts that are call turns with a required value taken out of what the user said, so that asking is
    right. They come in the place of recorded answer turns, from conversations that have such turns."""
    reward: str = Field("graded", min_length=1)
    """``graded``, ``toolrl``, ``binary``, ``f1``, or the path of a Python file with ``reward(point, parsed)``."""
    points_per_conversation: int = Field(4, ge=1)
    """Prompts in a row from one conversation: they share its history, which is computed once. 1 mixes as far as can
    be; more is faster, and the gradients of a step are no more alike for it (``benchmarks/gradients.py``)."""
    weights: RewardWeights = RewardWeights()
    """Weights of ``graded``'s parts; the others bring their own."""
    validate_every: int = Field(20, ge=1)
    """Optimizer steps between validations by metrics that know nothing of the reward."""
    validation_decision_points: int = Field(60, ge=1)
    guard: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Weights are not kept, whatever their turn success, if on validation the balanced accuracy of their decision to
    call lies below the start's by more than this: ten points less of the turns where a call is due, or of the others,
    and nothing gained on the other side. 1: never mind."""
    monitor: MonitorSettings = MonitorSettings()

    @model_validator(mode="after")
    def _redrawing_takes_the_tree(self) -> GRPOSettings:
        if self.engine == "trl" and self.zero_variance in ("resample", "replace"):
            raise ValueError(
                f"zero_variance={self.zero_variance} draws single prompts again, which engine=trl cannot; "
                "set engine=tree, or zero_variance to keep or skip"
            )
        return self

    @model_validator(mode="after")
    def _a_mean_of_micro_batches_leaves_none_out(self) -> GRPOSettings:
        if self.loss_type == "bnpo" and self.zero_variance != "keep" and self.micro_batch_size < self.batch_size:
            raise ValueError(
                f"loss_type=bnpo averages over micro-batches, those left empty by zero_variance={self.zero_variance} "
                "among them; set loss_type=dapo, zero_variance=keep, or micro_batch_size to batch_size"
            )
        return self

    @model_validator(mode="after")
    def _recorded_answers_stay(self) -> GRPOSettings:
        if self.call_share + self.withheld_share >= 1:
            raise ValueError(
                f"call_share={self.call_share:g} and withheld_share={self.withheld_share:g} leave no recorded answer "
                "turns; let them sum to less than 1"
            )
        return self

    @model_validator(mode="after")
    def _episodes_take_the_tree(self) -> GRPOSettings:
        if self.unit == "episode" and (self.engine == "trl" or self.zero_variance not in ("keep", "skip")):
            raise ValueError("unit=episode needs engine=tree and zero_variance keep or skip; set these, or unit=turn")
        return self

    @model_validator(mode="after")
    def _groups_divide(self) -> GRPOSettings:
        if self.batch_size % self.num_generations:
            raise ValueError(
                f"batch_size={self.batch_size} completions cannot be split into groups of "
                f"num_generations={self.num_generations}; use a multiple, e.g. batch_size="
                f"{max(1, round(self.batch_size / self.num_generations)) * self.num_generations}"
            )
        return self
