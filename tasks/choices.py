"""From what a person or a deployment states to the settings of a stage, and from one budget to the stages' budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data import profiles
from data.settings import ProfileName, Settings, environment_overrides

#: Shares of a whole run's minutes; the rest is start-up, ingestion, loading and saving.
SHARES = {"sft": 0.31, "prime": 0.09, "grpo": 0.27, "evaluation": 0.22}
#: What episodes take of the share of evaluation, where models are judged by them.
EPISODES = 0.4
TRAINED = ("sft", "prime", "grpo")


def stated(overrides: dict[str, Any] | None, section: str | None = None, **values: Any) -> dict[str, Any]:
    """``overrides`` with the values that are not None laid over them, in ``section`` of the settings or at the top."""
    given = {name: value for name, value in values.items() if value is not None}
    return profiles.merge(overrides or {}, {section: given} if section and given else given)


def plays_episodes(settings: Settings, source: str) -> bool:
    """Whether models of this source are judged by whole episodes too: the tools of ``simulated`` execute."""
    chosen = settings.evaluation.episodes
    return chosen.tasks > 0 and (source == "simulated" or chosen.any_source)


def source_of(dataset_version: str) -> str:
    """The source that a dataset was made from."""
    from data import snapshot

    return snapshot.manifest(dataset_version).source


def whole_run(
    profile: ProfileName, overrides: dict[str, Any] | None, *, max_steps: int | None = None, models: int = 4
) -> Settings:
    """Settings of a whole run: ``minutes``, if stated, is shared out, and evaluation is split over the models.

    Args:
        profile: Name of the preset.
        overrides: What is stated explicitly, nested like ``Settings``; what the environment states counts as well.
        max_steps: For every training stage.
        models: How many models share the evaluation budget.
    """
    settings = profiles.resolve(profile, overrides)
    changes = profiles.merge(environment_overrides(), overrides or {})
    if settings.minutes is not None:
        shares: dict[str, Any] = {stage: {"minutes": settings.minutes * share} for stage, share in SHARES.items()}
        if plays_episodes(settings, settings.data.source):
            whole = settings.minutes * SHARES["evaluation"]
            shares["evaluation"] = {"minutes": whole * (1 - EPISODES), "episodes": {"minutes": whole * EPISODES}}
        changes = profiles.merge(shares, changes)
    for stage in TRAINED if max_steps is not None else ():
        changes = stated(changes, stage, max_steps=max_steps)
    settings = profiles.resolve(profile, changes)
    judging = settings.evaluation
    if judging.minutes is not None:
        changes = profiles.merge(changes, {"evaluation": {"minutes": judging.minutes / models}})
    if judging.episodes.minutes is not None:
        each = {"episodes": {"minutes": judging.episodes.minutes / models}}
        changes = profiles.merge(changes, {"evaluation": each})
    return profiles.resolve(profile, changes)


def whole_job(
    profile: ProfileName,
    overrides: dict[str, Any] | None,
    *,
    source: str | None = None,
    path: str | None = None,
    conversations: int | None = None,
    minutes: float | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    final: bool = False,
) -> Settings:
    """Settings of the whole job from what a person or a deployment states; ``seed`` is that of everything drawn."""
    changes = stated(overrides, "data", source=source, path=path, conversations=conversations, seed=seed)
    changes = stated(stated(changes, "evaluation", final=final or None), minutes=minutes, seed=seed)
    return whole_run(profile, changes, max_steps=max_steps)


def judged_within(settings: Settings, source: str, minutes: float | None, stated: Mapping[str, Any]) -> Settings:
    """Settings of one judgement whose budget is ``minutes`` in all: episodes, where models play any, get their share.

    Args:
        settings: With what else was stated.
        source: Of the dataset that is judged on.
        minutes: Of turns and episodes together; None: as the settings have it.
        stated: The section ``evaluation`` of what was stated explicitly, which stays.
    """
    if minutes is None or not plays_episodes(settings, source) or "minutes" in stated.get("episodes", {}):
        return settings
    shares = {"minutes": minutes * (1 - EPISODES), "episodes": {"minutes": minutes * EPISODES}}
    return Settings.model_validate(profiles.merge(settings.model_dump(), {"evaluation": shares}))


def judging_minutes(settings: Settings, source: str) -> float | None:
    """Budget of a judgement, turns and episodes; None where either has none."""
    chosen = settings.evaluation
    if not plays_episodes(settings, source):
        return chosen.minutes
    both = (chosen.minutes, chosen.episodes.minutes)
    return None if None in both else sum(part for part in both if part is not None)


def deadline(minutes: float | None) -> float | None:
    """Seconds after which a task that has a budget is taken to hang: twice the budget and half an hour for the rest."""
    return None if minutes is None else 60 * (2 * minutes + 30)
