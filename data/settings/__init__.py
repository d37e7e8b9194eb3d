"""Settings of every stage. The class defaults are the vetted run (profile ``night``); a profile states what differs.

Precedence, weakest first: class defaults, profile, environment (``APPRENTICE_SFT__LEARNING_RATE=1e-4``), command line.
The resolved settings are saved with each run, so what is written by hand stays sparse and what a run keeps is complete.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from data.settings.base import Positive, StageSettings
from data.settings.evaluation import EpisodeEvaluationSettings, EvaluationSettings
from data.settings.grpo import GRPOSettings, MonitorSettings, RewardWeights
from data.settings.source import BaseModelSettings, DataSettings
from data.settings.training import (
    ChosenSettings,
    ContinuedSettings,
    PrimingSettings,
    RejectionSettings,
    SFTSettings,
    TrainingSettings,
    TreeSettings,
)

__all__ = [
    "BaseModelSettings",
    "ChosenSettings",
    "ContinuedSettings",
    "DataSettings",
    "EnvironmentSettings",
    "EpisodeEvaluationSettings",
    "EvaluationSettings",
    "GRPOSettings",
    "MonitorSettings",
    "PaperAssumptions",
    "PrimingSettings",
    "ProfileName",
    "RejectionSettings",
    "RewardWeights",
    "SFTSettings",
    "Settings",
    "StageSettings",
    "TrainingSettings",
    "TreeSettings",
    "UnknownVariable",
    "environment_overrides",
]

ProfileName = Literal["smoke", "laptop", "night", "paper"]


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
    precision: Literal["auto", "bf16", "float32"] = "auto"
    """What products are computed in; weights are float32 all the same. ``auto`` takes what is faster here for training
    and leaves decoding to the compiled kernels, which have bf16."""
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


#: What the environment may say besides settings, less its prefix; the last two are sizes of tests.
NO_SETTINGS = frozenset(
    [
        "VAR",
        "PROFILE",
        "KERNELS",
        "WEBHOOK",
        "WAIT_MINUTES",
        "ARTIFACT_ROOT",
        "REDACTION_KEY",
        "PRACTICE_SEEDS",
        "PRACTICE_FUZZ",
    ]
)


class UnknownVariable(ValueError):
    """An environment variable looks like a setting and is none; the message says which was meant, or all."""


def environment_overrides() -> dict[str, Any]:
    """Nested dictionary of the settings that environment variables state; empty if none.

    Raises:
        UnknownVariable: One is named like a setting and is none: a training of hours would begin without it.
    """
    prefix = "APPRENTICE_"
    fields = {name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        name = variable.removeprefix(prefix)
        if variable.startswith(prefix) and name not in NO_SETTINGS and name.partition("__")[0].upper() not in fields:
            raise UnknownVariable(
                f"the environment variable {variable} is no setting; sections and names are joined by two underscores, "
                f"as in {prefix}SFT__LEARNING_RATE, and begin with one of {', '.join(sorted(fields))}"
            )
    return EnvSettingsSource(EnvironmentSettings)()
