"""``apprentice plan``: what a run would execute, and why, before it is started."""

from __future__ import annotations

from flows.complaints import plain_errors
from flows.options import (
    Conversations,
    Final,
    ForceStages,
    From,
    MaxSteps,
    Only,
    Path,
    Profile,
    Seed,
    Set,
    Source,
    TotalMinutes,
    UpstreamRun,
    checked,
)


def plan(
    profile: Profile = "laptop",
    source: Source = None,
    path: Path = None,
    conversations: Conversations = None,
    minutes: TotalMinutes = None,
    max_steps: MaxSteps = None,
    seed: Seed = None,
    final: Final = False,
    start_at: From = None,
    only: Only = None,
    force: ForceStages = None,
    upstream: UpstreamRun = None,
    set_: Set = None,
) -> None:
    """What `run` with the same options (all but --upload) would execute, and why; nothing is executed.

        apprentice plan --set grpo.weights.format=1.0

    Which stages are reused, resumed or run anew, and what changed against the nearest earlier result.
    """
    with plain_errors():
        overrides = checked(profile, set_)
        from flows.plan_output import print_plan
        from tasks.beginning import beginning
        from tasks.plan import plan as foretell
        from tasks.selection import forced, select

        selection = select(start_at, only, forced(force))
        settings, ids = beginning(
            selection,
            upstream,
            profile,
            overrides,
            source=source,
            path=path,
            conversations=conversations,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            final=final,
        )
        print_plan(foretell(settings, selection, ids))
