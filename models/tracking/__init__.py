"""MLflow, alone: the only package that imports it, and only when a run is opened.

A stage run is created or resumed by its id, and always ends: FINISHED, FAILED on an exception, KILLED when
interrupted. Tracking must never stop training: every number goes to the run's own ``metrics.jsonl`` first, a store
that is away is named once and tried again later, and what it missed is sent when it is back. transformers' and TRL's
own MLflow callbacks are not used, since they cannot resume a run.
"""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from filelock import FileLock

from data import paths
from data.files import write_whole
from models import spool
from models.tracking import store
from models.tracking.run import OUR_ID, PARENT_TAG, StageRun

__all__ = [
    "CLOSED",
    "HOUSE",
    "OUR_ID",
    "PARENT_TAG",
    "StageRun",
    "close_run",
    "deliver_unsent",
    "git_commit",
    "house",
    "left_running",
    "left_unfinished",
    "stage_run",
    "store",
]

#: Tag of a run that was ended from outside, for good.
CLOSED = "apprentice.closed"
#: Tag of the ``var/`` that a run belongs to: several machines may share a tracking server, and only the one whose run
#: it is can tell whether anybody is still at it.
HOUSE = "apprentice.house"


@cache
def git_commit() -> str:
    """Commit of the code, with ``+changes`` if the checkout differs from it; ``unknown`` outside a checkout.

    As a process first finds it, since it goes on with the code that it has loaded.
    """

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(paths.PROJECT_ROOT), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}+changes" if git("status", "--porcelain", "--untracked-files=no") else commit


def house() -> str:
    """The name of this ``var/``, drawn once."""
    file = paths.house()
    if not file.exists():
        paths.locks().mkdir(parents=True, exist_ok=True)
        with FileLock(paths.locks() / ".house.lock"):
            if not file.exists():
                write_whole(file, uuid.uuid4().hex)
    return file.read_text(encoding="utf-8")


def deliver_unsent(but: str = "") -> list[str]:
    """Tell MLflow what it has missed of all runs ``but`` one; ids of those of which something is still to be told."""
    left: list[str] = []
    for run_id in [waiting for waiting in spool.waiting() if waiting != but]:
        # A store that does not answer for one will not for the next.
        if left or not StageRun(run_id, lambda text: None).deliver():
            left.append(run_id)
    return left


@contextmanager
def stage_run(
    stage: str,
    *,
    name: str,
    run_id: str | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[StageRun]:
    """A new run, or with ``run_id`` the same one resumed; whatever happens inside, it ends.

    Args:
        stage: ``pipeline``, ``ingest``, ``base``, ``sft``, ``primed`` or ``grpo``; a tag to filter by.
        name: What the MLflow UI shows.
        run_id: Run to resume; its curves continue and no step is recorded twice.
        parent_run_id: Run of the pipeline this stage belongs to; the UI nests it there.
        tags: Fixed facts: dataset version, upstream ids, model digest.
        params: Resolved settings, flat; written once.
        say: Told once if the tracking store is away.
    """
    facts = {"stage": stage, "git_commit": git_commit(), HOUSE: house(), **(tags or {})}
    if parent_run_id:
        facts[PARENT_TAG] = parent_run_id
    run = StageRun(run_id, say)
    run.open(name, facts)
    deliver_unsent(but=run.ours)
    try:
        if run_id:
            run.tag(facts)
        run.log_params(params or {})
        yield run
        run.close("FINISHED")
    except Exception:
        run.close("FAILED")
        raise
    except BaseException:
        run.close("KILLED")
        raise


def left_running(**tags: str) -> list[str]:
    """Ids of our runs with these tags that MLflow has as running; none where it does not answer."""
    return _with_status("RUNNING", tags)


def left_unfinished(**tags: str) -> list[str]:
    """Ids of our runs with these tags that did not finish and that nobody has closed, by MLflow; it hears of those it
    has missed first."""
    deliver_unsent()
    return [run_id for status in ("RUNNING", "FAILED", "KILLED") for run_id in _with_status(status, tags, closed=False)]


def _with_status(status: str, tags: Mapping[str, str], *, closed: bool = True) -> list[str]:
    wanted = " and ".join([f"attributes.status = '{status}'", *(f"tags.`{key}` = '{tags[key]}'" for key in tags)])
    found = StageRun(None, lambda text: None).ask(
        lambda client, experiment: [
            run.info.run_id
            for run in client.search_runs([experiment], wanted)
            if (closed or CLOSED not in run.data.tags) and run.data.tags.get(HOUSE, house()) == house()
        ]
    )
    return found or []


def close_run(run_id: str, status: str = "KILLED") -> None:
    """End a run that nobody will resume."""
    run = StageRun(run_id, lambda text: None)
    run.tag({CLOSED: "true"})
    run.close(status)
