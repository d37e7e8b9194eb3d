"""``apprentice show`` and ``apprentice chat``: episodes to read, and an agent to talk to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.complaints import plain_errors
from flows.environment import prepare

if TYPE_CHECKING:
    from data.practice.drawing import PracticeTask
    from data.settings import Settings


def show(
    episode: Annotated[str, typer.Argument(help="Id of an episode, or its first characters.")],
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="For people or for programs.")] = "text",
) -> None:
    """Print a whole episode: every message, the reasoning, calls and results, and where it went wrong.

        apprentice show 3f2a91bc

    Which there are:

        apprentice query "SELECT episode_id, stage, domain, success, cause FROM episodes WHERE NOT success LIMIT 20"
    """
    with plain_errors():
        from data.episodes import find_episode

        row = find_episode(episode)
        if output == "json":
            import json

            typer.echo(json.dumps(row, default=str, ensure_ascii=False))
        else:
            from flows.episode_output import print_episode

            print_episode(row)


def chat(
    model: Annotated[
        str,
        typer.Option(help="Run id (its first characters), or the newest base, sft, primed or grpo model."),
    ] = "base",
    domain: Annotated[str, typer.Option(help="Where: hotel, bank, …")] = "hotel",
    thinking: Annotated[
        bool | None, typer.Option("--thinking/--no-thinking", help="As it was trained unless set.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another world and other tools on offer.")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="E.g. evaluation.episodes.temperature=0.3 or evaluation.episodes.drop_reasoning=true.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Talk to an agent in a practice domain: its tools execute, and every change of the database is shown.

        apprentice chat --model sft --domain bank

        apprentice chat --model 3f2a --domain hotel --seed 7

    An empty line or Ctrl-D ends it.
    """
    with plain_errors():
        prepare(quiet=True)
        from data.profiles import resolve
        from flows.assignments import nested
        from flows.episode_output import Terminal
        from models.practice.chat import chat as talk

        settings = resolve("laptop", nested(set_ or []))
        task = _task(domain, seed)
        model_dir, thinks = _model(model, settings)
        terminal = Terminal()
        terminal.out.print(f"[dim]{task.place}. For example: {task.brief()}[/]", highlight=False)
        terminal.out.print(f"[dim]Tools on offer: {', '.join(tool.name for tool in task.tools)}[/]\n", highlight=False)
        ended = talk(
            model_dir,
            task,
            thinking=thinks if thinking is None else thinking,
            settings=settings,
            ask=terminal.ask,
            show=terminal.show,
        )
        terminal.out.print(f"[dim]\nended: {ended}[/]")


def _task(domain: str, seed: int) -> PracticeTask:
    from data.practice.domains import DOMAINS
    from data.practice.drawing import draw_task

    if domain not in DOMAINS:
        raise typer.BadParameter(f"there is no domain {domain!r}; there are {', '.join(DOMAINS)}")
    part = next(part for part, errands in DOMAINS[domain].errands.items() if errands)
    return draw_task(DOMAINS[domain], part, f"chat-{seed}")


def _model(name: str, settings: Settings) -> tuple[Path, bool]:
    """Directory of a model, and whether it was trained to think."""
    from tasks import records

    if name == "base":
        from data.reporting import Silent
        from models.base import fetch_base_model

        return fetch_base_model(settings.base_model.uri, Silent()), False
    stages = [stage for stage in records.MODEL_STAGES if stage == name]
    record = records.latest_good(*stages) if stages else records.of_run(name)
    return record.model_place[0], record.thinking
