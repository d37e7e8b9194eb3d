"""What a promotion judges: turns as they were recorded, and as many turns and episodes as its guards need."""

from __future__ import annotations

import math
from typing import Any

from data import profiles
from data.schema import Split
from data.settings import ProfileName, environment_overrides
from tasks import choices, records
from tasks.stage import say


class NotAsRecorded(Exception):
    """Settings under which models are judged on something else than a promotion is about; the message names them."""


def as_recorded(profile: ProfileName, chosen: dict[str, Any], what: str = "a promotion is decided") -> None:
    """See to it that models are judged greedily, in the mode they were trained in, on turns as they were recorded.

    Raises:
        NotAsRecorded: They would not be.
    """
    asked = profiles.resolve(profile, chosen).evaluation
    refused = {"thinking": asked.thinking, "dataset": asked.dataset, "changes": asked.changes}
    named = ", ".join(name if name != "changes" else str(value) for name, value in refused.items() if value is not None)
    if named:
        raise NotAsRecorded(
            f"{what} on recorded turns, greedily, in the mode each model was trained in, so not with "
            f"evaluation settings that change that ({named}); `apprentice evaluate` takes them"
        )


def scoped(
    profile: ProfileName, chosen: dict[str, Any], dataset_version: str, splits: list[Split], *, timed: bool = False
) -> tuple[dict[str, Any], bool]:
    """What is chosen, with the size of the judgement where nobody stated one; and whether policy has to be guarded.

    A profile's own size is that of a glance at a model: with a hundred turns no loss of 3 points can be ruled out, so
    every challenger would be kept whatever it can do. With ``timed`` each judgement has a budget of its own, which
    says how long turns and episodes may take.
    """
    from models.evaluation.promotion import CONVERSATIONS, TASKS

    said = profiles.merge(environment_overrides(), chosen).get("evaluation", {})
    settings = profiles.resolve(profile, chosen)
    own, source = settings.evaluation, choices.source_of(dataset_version)
    plays = choices.plays_episodes(settings, source)
    due = source == "simulated" or own.episodes.any_source
    sizes: dict[str, Any] = {}
    if "decision_points" not in said and own.decision_points is not None:
        sizes["decision_points"] = max(own.decision_points, turns_of(dataset_version, splits, CONVERSATIONS))
        if not timed and "minutes" not in said:
            sizes["minutes"] = None
    episodes = said.get("episodes", {})
    if plays and "tasks" not in episodes:
        sizes["episodes"] = {"tasks": max(own.episodes.tasks, TASKS)}
        if not timed and "minutes" not in episodes:
            sizes["episodes"]["minutes"] = said.get("minutes")  # who bounds the turns does not want hours of episodes
    if sizes:
        tasks = f" and {sizes['episodes']['tasks']} tasks" if "episodes" in sizes else ""
        turns = sizes.get("decision_points", own.decision_points)
        say(
            f"promote: both are judged on about {turns} decision points{tasks} of each split, which the guards need; "
            "--decision-points and --minutes take fewer"
        )
    return profiles.merge(chosen, {"evaluation": sizes}), due


def judged_alike(name: str, challenger: str, champion: str, splits: list[Split]) -> None:
    """See to it, before hours of judging, that there are conversations to judge both on.

    Args:
        name: Registered model.
        challenger: Its run.
        champion: Its run.
        splits: What both are judged on.

    Raises:
        models.evaluation.promotion.NothingShared: There are none; the message says why, and what to do.
    """
    from data.evaluation_set import shared_items
    from models.evaluation.promotion import NothingShared

    versions = [records.of_run(run).model_place[1] for run in (challenger, champion)]
    if shared_items(list(dict.fromkeys(versions)), splits):
        return
    new, old = map(choices.source_of, versions)
    if new != old:
        raise NothingShared(
            f"the champion of {name} is of the source {old} and run {challenger} of {new}: no conversations are in "
            f"both, so neither can be judged against the other; give this one a place of its own: --name {name}-{new}"
        )
    raise NothingShared(
        f"the datasets of run {challenger} and of the champion ({', '.join(versions)}) hold out no conversations in "
        "common to be judged on; train on the newest dataset of one of them again"
    )


def turns_of(dataset_version: str, splits: list[Split], conversations: int) -> int:
    """Decision points of about so many conversations of a split: of the one whose conversations are longest."""
    from data import snapshot

    counts = snapshot.manifest(dataset_version).counts
    most = 1
    for split in splits:
        held, points = (counts.get(what, {}).get(split, 0) for what in ("conversations", "decision_points"))
        if held:
            most = max(most, math.ceil(points / held * min(conversations, held)))
    return most
