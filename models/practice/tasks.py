"""Which tasks a model practises on and which it is judged by, and how the attempts at them are begun.

A task's id says it all (``<domain>/<part>/<seed>``): the part of a domain that a split may use, and a seed that no
other split has. Domains take turns, so that any first few tasks hold them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import cycle, islice

from data.practice.domains import DOMAINS
from data.practice.drawing import PracticeTask, task_of
from data.practice.episode import Episode
from data.schema import Split
from data.sources.simulated import SLICES
from models.practice.play import Attempt


def task_ids(split: Split, number: int, *, purpose: str = "evaluation") -> list[str]:
    """Ids of the first ``number`` tasks of a split; ``purpose`` tells seeds apart that must not meet.

    A larger number only adds tasks, so models judged on different budgets still share the first ones.
    """
    part = SLICES[split]
    domains = [name for name, domain in DOMAINS.items() if domain.errands.get(part)]
    return [f"{name}/{part}/{purpose}-{split}-{seed}" for seed, name in enumerate(islice(cycle(domains), number))]


def attempts_at(task_id: str, trials: Sequence[int], key: tuple[int | str, ...]) -> list[Attempt]:
    """Trials of a task with another user each: same goal, same world, another manner."""
    return [
        Attempt(
            name=f"{task_id}#{trial}",
            task_id=f"{task_id}#{trial}",
            start=partial(begin, task_id, trial),
            key=(*key, task_id, trial),
        )
        for trial in trials
    ]


def group_at(task_id: str, size: int, key: tuple[int | str, ...]) -> list[Attempt]:
    """A group of attempts at one task with one user: they begin with one prompt, and only the agent differs."""
    return [
        Attempt(name=f"{task_id}#{k}", task_id=task_id, start=partial(begin, task_id, 0), key=(*key, task_id, k))
        for k in range(size)
    ]


def begin(task_id: str, user_seed: int) -> Episode:
    """The episode of a task with the user of this seed."""
    return Episode(_task(task_id), user_seed)


@lru_cache(maxsize=64)
def _task(task_id: str) -> PracticeTask:
    """Tasks do not change; a group's attempts and a task's trials share the one that was drawn."""
    return task_of(task_id)
