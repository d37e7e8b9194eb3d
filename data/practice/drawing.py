"""Draws tasks: the goals and the world of one errand, independent of the manner of the user who brings it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING

from data.practice.declarations import Domain, Ending, Goal, Row, Slice
from data.practice.world import World
from data.schema import Fact, ToolSpec

if TYPE_CHECKING:
    from data.practice.gold import Gold

_FIRST_DAY = date(2025, 1, 1)
_DAYS = 900
_ATTEMPTS = 60
#: Shares of goals with a change that end without one.
_REFUSED, _LEFT, _DECLINED = 0.05, 0.03, 0.05


@dataclass(frozen=True, eq=False)
class PracticeTask:
    """One errand in one world. The same (domain, part, seed) is the same task, to the byte, in any process."""

    domain: Domain
    part: Slice
    seed: str
    today: date
    place: str
    goals: tuple[Goal, ...]
    tools: tuple[ToolSpec, ...]
    image: bytes = field(repr=False)
    """The database at the start."""
    max_rows: int = 3
    """Rows of a look-up's result at most."""

    @property
    def id(self) -> str:
        """``<domain>/<part>/<seed>``; ``task_of`` finds it again."""
        return f"{self.domain.name}/{self.part}/{self.seed}"

    @property
    def domains(self) -> tuple[str, ...]:
        """The slices its goals count under, such as ``("hotel", "spa")``."""
        return tuple(dict.fromkeys(goal.task.domain for goal in self.goals))

    def world(self) -> World:
        """A fresh copy of its world."""
        return World.from_image(self.domain, self.image, self.place)

    @cached_property
    def gold(self) -> Gold:
        """What the oracle did with a plain user: final state, rows wanted, facts owed, people concerned."""
        from data.practice.gold import gold_of

        return gold_of(self)

    @property
    def needs_gold(self) -> bool:
        """Whether the user must know from the gold conversation which row it wants: where it may first ask for others.

        Elsewhere an ``unjudged`` episode of the oracle says the same words in half the time.
        """
        return any(goal.first and goal.task.outcome == "choose" for goal in self.goals)

    def expected_state(self) -> str:
        """Hash of the rows after the right changes; see ``World.digest``."""
        return self.gold.state

    @property
    def required_facts(self) -> tuple[Fact, ...]:
        """What must have been communicated, with the codes the oracle's changes were given.

        An episode that makes its changes in another order is given other codes: ask ``Episode.required_facts()``.
        """
        return self.gold.facts

    def brief(self) -> str:
        """What the user wants, in sentences, for a model that plays the user."""
        return " ".join(_told(goal) for goal in self.goals)


def draw_task(domain: Domain, part: Slice, seed: str | int, *, max_rows: int = 3) -> PracticeTask:
    """Draw the task of this seed.

    Args:
        domain: Declarations to draw from.
        part: Slice of errands.
        seed: The same seed gives the same task, in any process.
        max_rows: Rows of a look-up's result at most, part of what every agent sees.

    Raises:
        RuntimeError: The domain's samplers find no goal for this seed in many tries.
        KeyError: The domain has no errand of this slice.
    """
    for attempt in range(_ATTEMPTS):
        rng = Random(f"{domain.name}:{part}:{seed}:{attempt}")
        today = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS))
        world = World(domain, rng, today)
        goals = _goals(domain, rng.choice(domain.errands[part]), world, today, rng)
        if goals:
            tools = _offered(domain, goals, rng)
            image = world.image()
            world.close()
            return PracticeTask(domain, part, str(seed), today, world.place, goals, tools, image, max_rows)
        world.close()
    raise RuntimeError(f"{domain.name}/{part}: no goal drawn for seed {seed} in {_ATTEMPTS} tries; loosen its samplers")


def task_of(task_id: str, *, max_rows: int = 3) -> PracticeTask:
    """The task with this id.

    Raises:
        KeyError: No registered domain or slice of that name.
    """
    from data.practice.domains import DOMAINS

    name, part, seed = task_id.split("/", 2)
    return draw_task(DOMAINS[name], part, seed, max_rows=max_rows)  # type: ignore[arg-type]


def _goals(domain: Domain, names: Sequence[str], world: World, today: date, rng: Random) -> tuple[Goal, ...]:
    goals: list[Goal] = []
    lasting: Row = {}
    for number, name in enumerate(names, start=1):
        task = domain.tasks[name]
        drawn = task.sample(rng, world.connection, today, lasting)
        if drawn is None:
            return ()
        values, first = drawn
        lasting |= {slot: value for slot, value in values.items() if slot in domain.lasting}
        ending = _ending(rng, writes=bool(task.write), chooses=task.outcome == "choose", last=number == len(names))
        goals.append(Goal(task, values, first, choice=rng.randrange(2), ending=ending))
    return tuple(goals)


def _ending(rng: Random, *, writes: bool, chooses: bool, last: bool) -> Ending:
    """How a goal ends; only the last one of a conversation may end without its change."""
    drawn = rng.random()
    if not (writes and last):
        return "done"
    if drawn < _REFUSED:
        return "refuse"
    if drawn < _REFUSED + _LEFT:
        return "leave"
    return "decline" if chooses and drawn < _REFUSED + _LEFT + _DECLINED else "done"


def _offered(domain: Domain, goals: Sequence[Goal], rng: Random) -> tuple[ToolSpec, ...]:
    """The tools these goals take, one or two that distract, in random order.

    Held-out tools never distract: only the slices of these goals and the domain's own slice lend tools.
    """
    needed = dict.fromkeys(name for goal in goals for name in goal.task.tools)
    slices = {domain.name, *(goal.task.domain for goal in goals)}
    others = [name for name, tool in domain.tools.items() if name not in needed and tool.domain in slices]
    distracting = rng.sample(others, k=min(len(others), rng.choice((1, 1, 2)) if len(needed) > 1 else 2))
    names = [*needed, *distracting]
    rng.shuffle(names)
    return tuple(domain.tools[name].spec for name in names)


def _told(goal: Goal) -> str:
    values = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in goal.values.items())
    ends = {
        "done": "",
        "refuse": " When asked to confirm, refuse.",
        "decline": " Decline whatever is offered.",
        "leave": " When asked to confirm, say that you have to go.",
    }
    return f"You want: {goal.task.name.replace('_', ' ')} ({values}).{ends[goal.ending]}"
