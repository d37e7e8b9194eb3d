"""``apprentice promote``, ``rollback``, ``champions``, ``export``, ``endpoint``: from a trained model to one in use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from flows.complaints import plain_errors
from flows.environment import prepare
from flows.options import DatasetOf, Final, Minutes, Profile, Set, checked


def _of_a_model(name: str) -> str:
    """What MLflow takes for a model's name and the endpoint for a repository's (huggingface_hub's rule)."""
    if not re.fullmatch(r"[A-Za-z0-9](?!.*(--|\.\.))([\w.-]{0,78}\w)?(?<!\.git)", name, re.ASCII):
        raise typer.BadParameter(
            "a model's name has at most 80 letters (a to z), digits, _, - and ., begins and ends with a letter or "
            "digit, and has neither -- nor .. nor .git at its end"
        )
    return name


Name = Annotated[str, typer.Option("--name", help="Registered model in MLflow.", callback=_of_a_model)]
Run = Annotated[
    str | None, typer.Option("--run", help="Run of the model; the champion's unless set.", show_default=False)
]


def promote(
    profile: Profile = "laptop",
    run_id: Annotated[
        str | None, typer.Option("--run", help="Challenger; the newest trained model unless set.", show_default=False)
    ] = None,
    source: DatasetOf = None,
    name: Name = "apprentice",
    final: Final = False,
    decision_points: Annotated[
        int | None, typer.Option(min=1, help="Per split; as many as the guards need unless set.", show_default=False)
    ] = None,
    minutes: Minutes = None,
    set_: Set = None,
) -> None:
    """Let a model challenge the champion: promoted only if shown to be better on unseen tools, and worse nowhere.

    Conversations that state no domain have no unseen tools; there the gain must show on seen ones.

        apprentice promote --profile night

        apprentice promote --run 3f2a --decision-points 1000

    Both are judged on the same conversations of the frozen evaluation set, some 250 of each split unless told
    otherwise: fewer cannot rule out the losses that a promotion must not bring. The decision and its evidence are
    kept; `apprentice rollback` takes it back.
    """
    with plain_errors():
        overrides = checked(profile, set_)
        from flows.server import temporary_server

        with temporary_server():
            from flows.promote_model import promote_model

        promote_model(
            profile=profile,
            run_id=run_id,
            source=source,
            name=name,
            final=final,
            decision_points=decision_points,
            minutes=minutes,
            overrides=overrides,
        )


def rollback(
    name: Name = "apprentice",
    reason: Annotated[str, typer.Option(help="Kept with the decision.", show_default=False)] = "",
) -> None:
    """Give the place back to the champion before.

    apprentice rollback --reason "books twice when the user hesitates"
    """
    with plain_errors():
        prepare(quiet=True)
        from tasks.promotion import roll_back

        roll_back(name, reason)


def champions(name: Name = "apprentice") -> None:
    """Every decision about the champion, week by week: who it was, and how it did on the data of that week.

    apprentice champions
    """
    with plain_errors():
        prepare(quiet=True)
        from data.promotions import decisions
        from tasks.promotion_text import print_trend

        if not (made := list(decisions(name))):
            command = "apprentice promote" + (f" --name {name}" if name != "apprentice" else "")
            typer.echo(f"nothing was decided about {name} here: `{command}` makes the first model its champion")
            return
        print_trend(made)


def export(
    run_id: Run = None,
    name: Name = "apprentice",
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder; under var/exports unless set.", show_default=False)
    ] = None,
) -> None:
    """A model as a folder for others: merged safetensors, chat template in the tokenizer, model card with results.

    apprentice export --to my-agent

    apprentice export --run 3f2a --to my-agent
    """
    with plain_errors():
        prepare(quiet=True)
        from tasks.export import export as write
        from tasks.promotion import champion_run

        typer.echo(write(run_id or champion_run(name), to.resolve().name if to else name, to))


def endpoint(
    run_id: Run = None,
    name: Name = "apprentice",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on; nobody is asked for a password.")] = "127.0.0.1",
) -> None:
    """An OpenAI-compatible endpoint with structured tool calls, by `transformers serve`. Ctrl-C ends it.

        apprentice endpoint --port 8000

    Clients name the model `apprentice/NAME` and use `http://127.0.0.1:8000/v1`.
    """
    with plain_errors():
        prepare(quiet=True)
        from models.endpoint import address, serve
        from tasks.export import export as write
        from tasks.promotion import champion_run

        folder = write(run_id or champion_run(name), name)
        typer.echo(f"http://{host}:{port}/v1, model {address(name)}  (starts in some seconds, Ctrl-C ends it)")
        serve(folder, name, host=host, port=port)
