"""What a whole job, or a part of it, begins with: its settings, and the earlier results that its stages take."""

from __future__ import annotations

from typing import Any

from data import profiles
from data.settings import ProfileName, Settings, environment_overrides
from tasks.choices import source_of, whole_job
from tasks.selection import Selection, SelectionError
from tasks.upstream import handed_on


def beginning(
    selection: Selection,
    upstream_run_id: str | None,
    profile: ProfileName,
    overrides: dict[str, Any] | None,
    *,
    source: str | None = None,
    **asked: Any,
) -> tuple[Settings, dict[str, str]]:
    """Settings, and ids of the results that the chosen stages begin with (``tasks.upstream.handed_on``).

    A part that ingests nothing has the source of the dataset it goes on with: by it the budget of evaluation is shared
    out between turns and episodes.

    Args:
        selection: What will be executed.
        upstream_run_id: Model to begin with; None: the latest good one.
        profile: Preset of settings.
        overrides: What is stated explicitly, nested like ``Settings``.
        source: Whose conversations; None: what the settings or the environment state, if they do.
        asked: What else ``whole_job`` takes.

    Raises:
        SelectionError: Something is stated about an ingestion that is not among the stages.
        MissingUpstream: An earlier result is missing; the message names the command that makes it.
    """
    if "ingest" not in selection:
        _refuse_unheeded(selection, overrides, asked)
    settings = whole_job(profile, overrides, source=source, **asked)
    ids = handed_on(selection, settings.grpo.start, upstream_run_id, stated_source(source, overrides))
    if "dataset_version" in ids:
        settings = whole_job(profile, overrides, source=source_of(ids["dataset_version"]), **asked)
    return settings, ids


def stated_source(source: str | None, overrides: dict[str, Any] | None) -> str | None:
    """The source that is stated in any of three ways: as itself, as a setting, or by the environment."""
    return source or profiles.merge(environment_overrides(), overrides or {}).get("data", {}).get("source")


def _refuse_unheeded(selection: Selection, overrides: dict[str, Any] | None, asked: dict[str, Any]) -> None:
    """What the environment states holds for many commands; what a command states is meant for this one."""
    options = [f"--{name}" for name in ("path", "conversations") if asked.get(name) is not None]
    options += [f"--set data.{name}=…" for name in (overrides or {}).get("data", {}) if name != "source"]
    if options:
        raise SelectionError(
            f"{', '.join(options)}: nothing is ingested where a run begins with {selection.first}; "
            "leave it out, or ingest first"
        )
