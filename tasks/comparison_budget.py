"""What a comparison's ``--minutes`` are spent on: trainings and judgements, and how many seeds they buy."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import Any

from data import profiles
from data.arms import Arm
from data.settings import GRPOSettings, ProfileName, Settings, environment_overrides
from models.training import ranks
from tasks.comparison import LOOKED_AT, SAMPLED, SAMPLES

#: Minutes of ``--minutes`` that no budget of a stage knows of, measured on two cores: a judgement loads its model and
#: ends the batch it is in, ingestion fetches the base model. They take at most half.
BEGINNING_MINUTES, A_JUDGEMENTS_MINUTES = 1.5, 0.2
#: Shares of what is left; the rest is the step or batch by which each stage goes over its budget.
TRAINING_SHARE, JUDGING_SHARE = 0.53, 0.39
#: Training time of a recipe against SFT's.
UNITS = {"sft": 1.0, "primed": 0.25, "grpo": 1.0, "continued": 1.25, "rejection": 0.5}
#: Judging time of a look at changed turns against a plain one's.
ASIDE = 0.5
#: Below this budget one seed has to do.
MINUTES_FOR_SEEDS = 240.0
#: Validations that SFT has on its way.
VALIDATIONS_OF_SFT = 8
#: Below this budget of GRPO its steps and validations are small, so that one of them is not longer than all of it: a
#: step of 32 completions and a validation of 60 turns took 3 minutes and 1 of 2.3 on a slow machine (docs/log.md,
#: 2026-11-30), which from here on makes one step at least.
MINUTES_FOR_WHOLE_STEPS = 4.0
#: Prompts of a small step, and turns of a small validation. Of these some four are calls, so one call less is 12 points
#: of the balanced accuracy by which weights are not kept: that is within a small validation's margin, two are not.
PROMPTS_OF_A_SMALL_STEP, TURNS_OF_A_SMALL_VALIDATION, GUARD_OF_A_SMALL_VALIDATION = 2, 16, 0.2
#: A comparison's page is of turns.
NO_EPISODES: dict[str, Any] = {"evaluation": {"episodes": {"tasks": 0}}}
#: Conversations a minute of budget is given to choose from, where nobody says how many: reading more takes it up.
CONVERSATIONS_PER_MINUTE, FEWEST_CONVERSATIONS = 10, 200


def budgeted(
    profile: ProfileName, overrides: Mapping[str, Any], arms: Mapping[str, Arm], seeds: int, minutes: float | None
) -> Settings:
    """Settings of a comparison; ``minutes`` of the whole are shared out over trainings and judgements.

    Judgements elsewhere (bfcl, sgd-x) and on the test splits come on top: counted, they would make another question of
    the same command as soon as one of those sources was ingested. Whole episodes are left out: a comparison's page is
    of turns. What is stated explicitly, in ``overrides`` or by the environment, stays as stated.
    """
    overrides = profiles.merge(environment_overrides(), dict(overrides))
    if minutes is None or minutes >= MINUTES_FOR_SEEDS:
        own = profiles.resolve(profile, dict(overrides))
        unstated = _until_it_no_longer_improves(own, overrides.get("sft", {}))
        overrides = profiles.merge({"sft": unstated}, dict(overrides))
    if minutes is None:
        return profiles.resolve(profile, profiles.merge(NO_EPISODES, dict(overrides)))
    times = {name: seeds if arm.seeded else 1 for name, arm in arms.items()}
    trained = sum(UNITS.get(arm.recipe, 0.0) * times[name] for name, arm in arms.items())
    looked = sum(name in LOOKED_AT for name in arms) * 2 + sum(name in SAMPLED for name in arms) * SAMPLES
    judgements = sum(times.values())
    fixed = BEGINNING_MINUTES + A_JUDGEMENTS_MINUTES * (judgements + looked)
    left = minutes - min(fixed, minutes / 2)
    unit = TRAINING_SHARE * left / max(trained, 1.0)
    shares: dict[str, Any] = {section: {"minutes": unit} for section in ("sft", "grpo")}
    shares["prime"] = {"minutes": UNITS["primed"] * unit}
    a_judgement = JUDGING_SHARE * left / (judgements + ASIDE * looked)
    shares["evaluation"] = {"minutes": a_judgement, **NO_EPISODES["evaluation"]}
    most = profiles.resolve(profile).data.conversations
    fitting = max(FEWEST_CONVERSATIONS, round(CONVERSATIONS_PER_MINUTE * minutes))
    shares["data"] = {"conversations": min(fitting, most) if most else fitting}
    whole = profiles.resolve(profile, profiles.merge(shares, dict(overrides)))
    if whole.grpo.minutes is None or whole.grpo.minutes >= MINUTES_FOR_WHOLE_STEPS:
        return whole
    shares["grpo"] |= _small_steps(overrides, whole.grpo)
    return profiles.resolve(profile, profiles.merge(shares, dict(overrides)))


def _until_it_no_longer_improves(own: Settings, stated: Mapping[str, Any]) -> dict[str, Any]:
    """SFT that ends where validation no longer improves, unless it is ``stated`` otherwise: with its last weights it
    would be held against models whose best ones were chosen. Validated on as many turns as GRPO, at even distances on
    its way, which its conversations or its clock may end long before ``max_steps``; a small budget of the whole ends it
    by the clock before that is worth while."""
    points = {"validation_decision_points": own.grpo.validation_decision_points}
    return points if "validate_every" in stated else {**points, "validations": VALIDATIONS_OF_SFT}


def _small_steps(stated: Mapping[str, Any], own: GRPOSettings) -> dict[str, Any]:
    """GRPO's steps and validations for a budget of few minutes, as far as nobody stated theirs."""
    asked = stated.get("grpo", {})
    small: dict[str, Any] = {}
    if "validation_decision_points" not in asked and own.validation_decision_points > TURNS_OF_A_SMALL_VALIDATION:
        small["validation_decision_points"] = TURNS_OF_A_SMALL_VALIDATION
        small |= {} if "guard" in asked else {"guard": max(own.guard, GUARD_OF_A_SMALL_VALIDATION)}
    batch = max(PROMPTS_OF_A_SMALL_STEP, ranks.count()) * own.num_generations
    if not {"batch_size", "micro_batch_size"} & set(asked) and batch < own.batch_size:
        whole = own.micro_batch_size == own.batch_size
        small |= {"batch_size": batch, "micro_batch_size": batch if whole else gcd(batch, own.micro_batch_size)}
    return small


def affordable_seeds(minutes: float | None) -> int:
    """How many seeds a budget is worth: three, or one where three would leave each training next to nothing."""
    return 3 if minutes is None or minutes >= MINUTES_FOR_SEEDS else 1
