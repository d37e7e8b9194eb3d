"""Named presets: what differs from the class defaults, and how settings are resolved."""

from __future__ import annotations

from typing import Any

from data.settings import PaperAssumptions, ProfileName, Settings, environment_overrides

_PAPER = PaperAssumptions()

PROFILES: dict[str, dict[str, Any]] = {
    # Seconds: a tiny random model, for tests and for seeing that everything is wired.
    "smoke": {
        "data": {"conversations": 24},
        "base_model": {"uri": "random:qwen3"},
        "sft": {"max_steps": 2, "batch_size": 2, "warmup_steps": 0, "max_length": 4096},
        "prime": {
            "max_steps": 1,
            "batch_size": 2,
            "warmup_steps": 0,
            "max_length": 4096,
            "decision_points": 8,
        },
        "grpo": {
            "max_steps": 2,
            "batch_size": 4,
            "micro_batch_size": 4,
            "num_generations": 2,
            "max_completion_length": 8,
            "max_length": 4096,
            "warmup_steps": 0,
            "validate_every": 1,
            "validation_decision_points": 2,
            "episode_tasks": 4,
            "max_turns": 2,
            "validation_episodes": 2,
        },
        "evaluation": {
            "decision_points": 4,
            "max_completion_length": 8,
            "episodes": {"tasks": 1, "trials": 1, "max_turns": 2},
        },
    },
    # About 20 minutes on two cores: shows the whole job; its intervals say how little it proves.
    "laptop": {
        "data": {"conversations": 2000},
        "sft": {
            "minutes": 7.0,
            "batch_size": 2,
            "learning_rate": 3e-4,
            # Of 768 to 2,048 tokens, the length that shows most calls of a typical tool of SGD in the same time.
            "max_length": 1536,
            # Such a budget ends within the first epoch: in as many tokens there are 1.3 times the calls, and 1.6 times
            # those of a typical tool, that there are drawn at random. After 7 minutes of SGD either of the two brings 6
            # to 8 points of turn success on seen tools (docs/log.md, 2026-11-28).
            "order": "coverage",
            "averaging": 0.1,
        },
        "prime": {"minutes": 2.0, "batch_size": 8, "warmup_steps": 2, "max_length": 1536},
        "grpo": {
            "minutes": 5.0,
            "max_length": 1536,
            "validate_every": 1000,
        },
        "evaluation": {
            "decision_points": 120,
            "minutes": 3.5,
            "episodes": {"tasks": 6, "trials": 1, "max_turns": 10, "minutes": 2.5},
        },
    },
    # About nine hours on two cores: the class defaults with the time shared out.
    "night": {
        # 3,072 tokens, so that the second half of conversations is learned too: 38 % of SGD's turns begin beyond 1,536,
        # 15 % beyond 2,048. With exchanged thoughts a model that had read its conversations several times heeded its
        # own (docs/log.md, 2026-11-29).
        "sft": {"minutes": 120.0, "max_steps": 2000, "averaging": 0.1, "max_length": 3072},
        "prime": {
            "minutes": 20.0,
            "max_steps": 2000,  # so that the budget ends it
            "decision_points": 4000,
            "max_length": 3072,
            "exchanged": 0.5,
        },
        # After a warm-up of two steps a policy that thinks stopped calling for twenty steps, after ten (and more call
        # turns) it did not (docs/log.md, 2026-11-28). Too long for a run of minutes.
        "grpo": {"minutes": 265.0, "max_steps": 2000, "warmup_steps": 10, "max_length": 3072},  # the budget ends it
        "evaluation": {"minutes": 40.0, "episodes": {"minutes": 80.0}},
    },
    # One GPU, bf16: the paper's model; its unknowns are the named assumptions of PaperAssumptions.
    "paper": {
        "base_model": {"uri": _PAPER.base_model},
        "sft": {"learning_rate": 1e-5, "batch_size": 32, "micro_batch_size": 4, "max_length": 4096, "max_steps": 3000},
        "prime": {"learning_rate": 1e-5, "batch_size": 32, "micro_batch_size": 4, "max_length": 4096},
        "grpo": {
            "learning_rate": _PAPER.learning_rate,
            "num_generations": _PAPER.num_generations,
            "batch_size": 256,
            "micro_batch_size": 8,
            "max_completion_length": _PAPER.max_completion_length,
            "max_length": 4096,
            "max_steps": 500,
            "beta": _PAPER.beta,
            "weights": _PAPER.reward_weights.model_dump(),
        },
        "evaluation": {"decision_points": None, "batch_size": 64, "max_completion_length": 512},
    },
}


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, nested dictionaries merged; neither argument is altered."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def without_environment(profile: ProfileName) -> Settings:
    """Settings of a profile as they are where nothing is stated."""
    return Settings.model_validate({**PROFILES[profile], "profile": profile})


def resolve(profile: ProfileName = "laptop", overrides: dict[str, Any] | None = None) -> Settings:
    """Settings of a run: class defaults, then the profile, then the environment, then ``overrides``.

    Args:
        profile: Name of a preset in ``PROFILES``.
        overrides: Nested dictionary of what the command line or a deployment states explicitly.

    Raises:
        pydantic.ValidationError: A value is out of range or two values do not fit; the message names the cure.
    """
    stated = merge(PROFILES[profile], environment_overrides())
    return Settings.model_validate(merge(stated, {**(overrides or {}), "profile": profile}))
