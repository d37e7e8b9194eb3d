"""``apprentice rewards …``: what a reward pays, looked at before it trains anything."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from flows.complaints import plain_errors
from flows.environment import prepare

app = typer.Typer(
    name="rewards",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help=(
        "What a reward pays: replay stored rollouts under another one.\n\n    apprentice rewards replay --reward toolrl"
    ),
)

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Other GRPO settings, e.g. grpo.weights.format=1.", show_default=False
    ),
]


@app.command()
def replay(
    reward: Annotated[
        str | None,
        typer.Option(
            help="graded, toolrl, binary, f1, or a Python file; the run's own unless set.", show_default=False
        ),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run", help="GRPO run; the newest with rollouts unless set.", show_default=False)
    ] = None,
    aggregation: Annotated[
        Literal["sum_then_normalize", "normalize_then_sum"] | None,
        typer.Option(help="Sum the parts before or after normalising them (GDPO).", show_default=False),
    ] = None,
    scale_rewards: Annotated[
        Literal["group", "batch", "none"] | None,
        typer.Option(help="What advantages are divided by.", show_default=False),
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("--format", help="Form of the result.")] = "table",
    set_: Set = None,
) -> None:
    """Rewards and advantages of a run's stored rollouts under another reward, without generating anything.

        apprentice rewards replay --run 3f2a --reward toolrl

    What GDPO, or another weight, would have changed:

        apprentice rewards replay --aggregation normalize_then_sum

        apprentice rewards replay --set grpo.weights.format=1.0 --format json
    """
    with plain_errors():
        prepare(quiet=True)
        from flows.assignments import nested
        from models.training.replay import changed_settings, find_run, replay, run_settings
        from tasks.replaying import told_as_json, told_to_people
        from tasks.reporting import reporting

        stated = {"reward": reward, "aggregation": aggregation, "scale_rewards": scale_rewards}
        changes = {name: value for name, value in stated.items() if value is not None}
        run = find_run(run_id)
        original = run_settings(run)
        with reporting("replay") as reporter:
            result = replay(run, original, changed_settings(original, nested(set_ or []), changes), reporter)
        typer.echo(told_as_json(result)) if output == "json" else told_to_people(result)
