"""What a comparison asks, without what changes no result of it: names, places, clocks of saving."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data.settings import Settings
from tasks.records import WITHOUT_EFFECT

if TYPE_CHECKING:
    from tasks.comparison import State

#: How a page names an arm and where it stands there.
_WORDING = ("title", "number")
#: Fields of a section: how often a training is saved, and whole episodes, of which no page of a comparison tells.
_OF_SECTIONS = WITHOUT_EFFECT | {"episodes"}
#: Fields of the settings as a whole; the budget of a comparison is shared out over its stages' own clocks.
_BESIDE = ("upload", "minutes")


def same_question(one: State, other: State) -> bool:
    """Whether two comparisons were asked the same, whatever their names: a setting that is younger than one of them
    counts as its default there, so a comparison goes on when the settings have grown."""
    return _question(one) == _question(other)


def key_of(state: State) -> str:
    """The id of a comparison: a digest of what it asks."""
    return hashlib.sha256(json.dumps(_question(state), sort_keys=True).encode()).hexdigest()[:12]


def _question(state: State) -> dict[str, Any]:
    try:
        settings = Settings.model_validate(state.settings).model_dump(mode="json")
    except ValueError:  # a setting is gone: what it asked cannot be asked any more
        settings = state.settings
    asked = state.model_dump(mode="json", include={"arms", "seeds", "dataset_version", "practice_version"})
    arms = {name: _without(arm, _WORDING) for name, arm in asked["arms"].items()}
    return {**asked, "arms": arms, "settings": _of_effect(settings)}


def _of_effect(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what changes no figure: where the files lie, among others."""
    kept = {
        name: _without(value, _OF_SECTIONS) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name not in _BESIDE
    }
    return {**kept, "data": {**kept["data"], "path": None}}


def _without(fields: Mapping[str, Any], names: tuple[str, ...] | frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
