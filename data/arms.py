"""The arms of a comparison, as data: how each model comes about, from which other, and how it is judged.

``paper-table`` is the table of arXiv 2512.11277 (base, SFT without thinking, GRPO with thinking) with the arms that
its claim needs: what the format alone brings, what more of the same compute brings, what RL brings without thinking,
what the rollouts bring without RL, and whether the thoughts matter at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from data.schema import Frozen

Recipe = Literal["base", "sft", "continued", "primed", "grpo", "rejection", "judged"]


class Arm(Frozen):
    """One row of the table."""

    number: int
    name: str
    title: str
    recipe: Recipe
    """The stage that makes its model; ``judged``: the model of another arm, judged otherwise."""
    start: str | None = None
    """Name of the arm whose model it starts from; for ``judged`` the arm whose model it is; of several, the best by
    validation, joined by ``|``."""
    seeded: bool = False
    """Whether it is trained once for each seed; others once."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What differs from the comparison's settings, nested like ``Settings``."""
    evaluation: dict[str, Any] = Field(default_factory=dict)
    """How it is judged, if not as trained: fields of ``EvaluationSettings``."""

    @property
    def starts(self) -> tuple[str, ...]:
        """Names of the arms it may start from."""
        return tuple(self.start.split("|")) if self.start else ()


def _arms(*arms: Arm) -> dict[str, Arm]:
    return {arm.name: arm for arm in arms}


_GRPO = "grpo-thinking|grpo-from-base"
PAPER_TABLE: Mapping[str, Arm] = _arms(
    Arm(number=1, name="base", title="base", recipe="base"),
    Arm(
        number=2,
        name="base-format-help",
        title="base, told the format",
        recipe="judged",
        start="base",
        evaluation={"variant": "few_shot"},
    ),
    Arm(number=3, name="sft", title="SFT, no thinking", recipe="sft", start="base", seeded=True),
    Arm(number=4, name="sft-continued", title="SFT continued", recipe="continued", start="sft", seeded=True),
    Arm(number=5, name="rejection", title="SFT on best rollouts", recipe="rejection", start="primed"),
    Arm(number=6, name="primed", title="primed to think", recipe="primed", start="sft", seeded=True),
    Arm(
        number=7,
        name="grpo-plain",
        title="GRPO, no thinking",
        recipe="grpo",
        start="sft",
        seeded=True,
        settings={"grpo": {"thinking": False}},
    ),
    Arm(
        number=8,
        name="grpo-thinking",
        title="GRPO, thinking",
        recipe="grpo",
        start="primed",
        seeded=True,
        settings={"grpo": {"thinking": True}},
    ),
    Arm(
        number=9,
        name="grpo-from-base",
        title="GRPO, thinking, from base",
        recipe="grpo",
        start="base",
        settings={"grpo": {"thinking": True}},
    ),
    Arm(
        number=10,
        name="thinking-off",
        title="best of 8 and 9, thinking off",
        recipe="judged",
        start=_GRPO,
        evaluation={"thinking": False},
    ),
    Arm(
        number=10,
        name="thoughts-empty",
        title="… thoughts empty",
        recipe="judged",
        start=_GRPO,
        evaluation={"thinking": True, "thoughts": "empty"},
    ),
    Arm(
        number=10,
        name="thoughts-shuffled",
        title="… thoughts shuffled",
        recipe="judged",
        start=_GRPO,
        evaluation={"thinking": True, "thoughts": "shuffled"},
    ),
)
#: Arms 3, 4, 7 and 8 with what they need, and the two zero lines.
MINIMUM = ("base", "base-format-help", "sft", "sft-continued", "primed", "grpo-plain", "grpo-thinking")
#: The rewards that can be arms beside ``graded``: GRPO with thinking under each.
REWARDS = ("toolrl", "binary", "f1")
PRESETS: Mapping[str, Mapping[str, Arm]] = {
    "paper-table": PAPER_TABLE,
    "minimum": {name: PAPER_TABLE[name] for name in MINIMUM},
}


#: What is asked of the table: (challenger, the one to beat, the question). All answers are corrected together. That
#: thinking helps may only be concluded from 8 against 7; 8 against 3 and 4 is what the paper claims.
QUESTIONS: tuple[tuple[str, str, str], ...] = (
    ("grpo-thinking", "sft", "Is GRPO with thinking above SFT?"),
    ("grpo-thinking", "sft-continued", "… above as much more SFT?"),
    ("grpo-thinking", "grpo-plain", "Does thinking help (same RL, without)?"),
    ("grpo-plain", "sft", "Does RL alone help?"),
    ("grpo-plain", "sft-continued", "… above as much more SFT?"),
    ("grpo-thinking", "primed", "Does RL bring more than priming?"),
    ("grpo-thinking", "rejection", "… more than learning the best rollouts?"),
    ("grpo-thinking", "grpo-from-base", "Does it need SFT and priming first?"),
    ("sft", "base-format-help", "Is SFT above the base model that knows the format?"),
    *((f"grpo-{reward}", "grpo-thinking", f"Is the reward {reward} better than graded?") for reward in REWARDS),
)
#: The same comparison on the slices that must not become worse, and by how much they may.
GUARDED: Mapping[str, float] = {"seen": 0.03, "no-call turns": 0.03}


class UnknownArm(ValueError):
    """No arm of that name; the message lists those there are."""


def chosen_arms(preset: str, names: tuple[str, ...] = (), rewards: tuple[str, ...] = ()) -> dict[str, Arm]:
    """The arms of a preset by name, or those of them that are named with all they start from; then one for each reward.

    Raises:
        UnknownArm: No such preset, arm or reward.
    """
    if preset not in PRESETS:
        raise UnknownArm(f"no preset {preset}; there are {', '.join(PRESETS)}")
    arms = dict(PRESETS[preset])
    for reward in rewards:
        if reward not in REWARDS:
            raise UnknownArm(f"no reward {reward}; there are {', '.join(REWARDS)}")
        arms[f"grpo-{reward}"] = _rewarded(reward)
    if not names:
        return arms
    unknown = set(names) - arms.keys()
    if unknown:
        raise UnknownArm(f"no arm {', '.join(sorted(unknown))}; there are {', '.join(arms)}")
    asked = (*names, *(f"grpo-{reward}" for reward in rewards))
    wanted = {needed for name in asked for needed in _lineage(arms, name)}
    return {name: arm for name, arm in arms.items() if name in wanted}


def _rewarded(reward: str) -> Arm:
    return Arm(
        number=8,
        name=f"grpo-{reward}",
        title=f"GRPO, thinking, reward {reward}",
        recipe="grpo",
        start="primed",
        settings={"grpo": {"thinking": True, "reward": reward}},
    )


def _lineage(arms: Mapping[str, Arm], name: str) -> Iterator[str]:
    """The arm and all it comes from; rejection sampling also needs the run that made the rollouts."""
    yield name
    needed = (*arms[name].starts, *(("grpo-thinking",) if arms[name].recipe == "rejection" else ()))
    for start in needed:
        if start in arms:
            yield from _lineage(arms, start)
