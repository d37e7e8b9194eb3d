"""Which stages of the whole job a run executes, and which of them although nothing has changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

#: The stages by the names of their commands.
StageName = Literal["ingest", "sft", "prime", "grpo", "evaluate"]
#: What can be done again although nothing has changed; an ingestion of the same files gives the same dataset.
Forced = Literal["sft", "prime", "grpo", "evaluate", "all"]
#: In order.
STAGES: tuple[StageName, ...] = get_args(StageName)


class SelectionError(ValueError):
    """Stages that cannot be chosen together; the message says what to do."""


@dataclass(frozen=True)
class Selection:
    """``stages`` are executed, in order; those in ``force`` anew."""

    stages: tuple[StageName, ...] = STAGES
    force: frozenset[StageName] = frozenset()

    def __contains__(self, stage: object) -> bool:
        return stage in self.stages

    @property
    def first(self) -> StageName:
        """The first stage that is executed; it takes what it needs from earlier results."""
        return self.stages[0]

    @property
    def whole(self) -> bool:
        """Whether it is the whole job."""
        return self.stages == STAGES


def forced(names: Sequence[str] | None) -> list[Forced]:
    """What a person typed as stages to do again.

    Raises:
        SelectionError: One of them is none.
    """
    known: tuple[Forced, ...] = get_args(Forced)
    if unknown := sorted(set(names or ()) - set(known)):
        raise SelectionError(f"--force {unknown[0]}: choose among {', '.join(known)}")
    return [name for name in known if name in (names or ())]


def select(
    start_at: StageName | None = None, only: StageName | None = None, force: Sequence[Forced] | None = None
) -> Selection:
    """The stages from ``start_at`` on, or ``only`` one, or all; ``force`` may say ``all``.

    Raises:
        SelectionError: Both are given, or a stage is forced that is not executed.
    """
    if start_at and only:
        raise SelectionError(f"--from {start_at} and --only {only} exclude each other: leave one out")
    stages = (only,) if only else STAGES[STAGES.index(start_at) :] if start_at else STAGES
    named = {stage for stage in force or () if stage != "all"}
    if idle := sorted(stage for stage in named if stage not in stages):
        raise SelectionError(f"--force {idle[0]}: this run does not execute it, only {', '.join(stages)}")
    chosen = stages if "all" in (force or ()) else named
    return Selection(stages, frozenset(stage for stage in STAGES[1:] if stage in chosen))
