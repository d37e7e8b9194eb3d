"""Options that several commands share: what they are called, what they accept, what their help says."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import typer

from flows.environment import prepare

ProfileChoice = Literal["smoke", "laptop", "night", "paper"]

Profile = Annotated[
    ProfileChoice,
    typer.Option(
        envvar="APPRENTICE_PROFILE",
        help="smoke: seconds, for tests; laptop: about 20 minutes; night: about 9 hours, both budgets for two cores; "
        "paper: one GPU, Qwen3-1.7B, not run here yet.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        help="Source of conversations: simulated, sgd, openai (your own), star, tau-bench, toolrl; for evaluation "
        "only: bfcl, tau2-bench, sgd-x-v1 to sgd-x-v5.",
        show_default=False,
    ),
]
DatasetOf = Annotated[
    str | None, typer.Option("--source", help="Use the newest dataset of this source.", show_default=False)
]
LearnFrom = Annotated[
    str | None,
    typer.Option(
        "--dataset", help="Learn from this version instead of the one the start model is of.", show_default=False
    ),
]
Path = Annotated[str | None, typer.Option(help="The source's files; openai: a file or folder.", show_default=False)]
Conversations = Annotated[int | None, typer.Option(min=1, help="Ingest at most this many.", show_default=False)]


def _some_time(minutes: float | None) -> float | None:
    if minutes is not None and not 0 < minutes < math.inf:
        raise typer.BadParameter(f"{minutes:g} minutes are no budget: give more than 0, or leave it out for no clock")
    return minutes


Minutes = Annotated[
    float | None,
    typer.Option(help="Budget of the stage; it stops cleanly.", show_default=False, callback=_some_time),
]
TotalMinutes = Annotated[
    float | None, typer.Option(help="Budget of the whole, shared out.", show_default=False, callback=_some_time)
]
MaxSteps = Annotated[int | None, typer.Option(min=1, help="Optimizer steps at most.", show_default=False)]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of everything drawn.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Do it again although nothing has changed.")]
Final = Annotated[bool, typer.Option("--final", help="Judge on the test splits. Each use is recorded.")]
Upload = Annotated[
    bool,
    typer.Option("--upload", help="Put trained models into MLflow's artifact store too, for other machines."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any other setting, e.g. sft.learning_rate=1e-4; 'sft=?' ends in an error that names all of a section.",
        show_default=False,
    ),
]

StageChoice = Literal["ingest", "sft", "prime", "grpo", "evaluate"]
From = Annotated[
    StageChoice | None,
    typer.Option(
        "--from", help="Begin with this stage, on the latest good results of those before.", show_default=False
    ),
]
Only = Annotated[
    StageChoice | None,
    typer.Option("--only", help="This stage alone, on the latest good results of those before.", show_default=False),
]
ForceStages = Annotated[
    list[str] | None,
    typer.Option(
        "--force",
        metavar="STAGE",
        help="Do this stage again although nothing has changed: sft, prime, grpo, evaluate or all.",
        show_default=False,
    ),
]
UpstreamRun = Annotated[
    str | None,
    typer.Option("--run", help="With --from or --only: the run to begin with.", show_default=False),
]


def writable(output: FilePath | None) -> FilePath | None:
    """``output``, if a file can be written there: asked before the work, and of the file system itself.

    Raises:
        typer.BadParameter: It is a folder, or nothing can be made in the folder it would lie in.
    """
    if output is None:
        return None
    from flows.output import not_a_folder

    place = output.absolute()
    try:
        not_a_folder(output)
        place = next(folder for folder in place.parents if folder.exists())  # those between are made when it is written
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise typer.BadParameter(f"{output} cannot be written, {place}: {error.strerror}") from error
    return output


def checked(profile: ProfileChoice, assignments: list[str] | None, *, upload: bool = False) -> dict[str, Any]:
    """Overrides from ``--set``, refused before Prefect is loaded if the settings do not accept them."""
    prepare(quiet=True)
    from data.profiles import resolve
    from flows.assignments import nested

    overrides = nested([*(assignments or []), *(["upload=true"] if upload else [])])
    resolve(profile, overrides)
    return overrides
