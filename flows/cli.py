"""The ``apprentice`` command: a light door to the flows.

Nothing heavy is imported before it is needed, so ``--help`` answers at once and a wrong setting is refused before
anything is loaded. A stage command runs the very flow that a deployment runs.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from data import paths
from flows import (
    cli_compare,
    cli_data,
    cli_doctor,
    cli_plan,
    cli_practice,
    cli_promote,
    cli_query,
    cli_report,
    cli_rewards,
    cli_server,
    cli_stages,
)
from flows.complaints import plain_errors
from flows.environment import prepare
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
    Upload,
    UpstreamRun,
    checked,
)
from tasks.ranks import run_in_ranks

#: What training and judging a model take longest to load.
TRAINING = ("torch", "models.evaluation.run", "models.training.sft", "models.training.grpo")

app = typer.Typer(
    name="apprentice",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Train conversational agents that think before they act: ingest, SFT, priming, GRPO, evaluation.\n\n"
        "The whole job on built-in conversations, about 20 minutes on two cores:\n\n"
        "    apprentice run --profile laptop\n\n"
        "Every stage runs alone too and starts from the newest good result of the one before. What has not changed "
        "is reused; what was stopped goes on where it was. Everything lands under var/ (or $APPRENTICE_VAR)."
    ),
)


@app.command()
def run(
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
    upload: Upload = False,
    set_: Set = None,
) -> None:
    """The whole job: ingest, SFT, priming, GRPO, evaluation, results table.

    What of it would be done, and why: `apprentice plan`, with the same options but --upload.

    A part of it, on the latest good results of what comes before:

        apprentice run --from grpo --set grpo.weights.format=1.0

        apprentice run --only evaluate

    On real conversations within an hour:

        apprentice run --source sgd --path ../shared/data/sgd --minutes 60 --seed 1

    On your own, in OpenAI's form (docs/data.md shows it in five minutes):

        apprentice run --source openai --path mine.jsonl
    """
    with plain_errors():
        overrides = checked(profile, set_, upload=upload)
        from flows.server import temporary_server

        # Where nothing was done yet, all of it will be: training is loaded while the server makes its database.
        with temporary_server(meanwhile=() if paths.stages().exists() else TRAINING):
            from flows.pipeline import pipeline
            from tasks.selection import forced
            from tasks.whole import open_tracking

            open_tracking()

        pipeline(
            profile=profile,
            source=source,
            path=path,
            conversations=conversations,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            final=final,
            overrides=overrides,
            start_at=start_at,
            only=only,
            force=forced(force),
            upstream_run_id=upstream,
        )


for _stage in (cli_stages.ingest, cli_stages.sft, cli_stages.prime, cli_stages.grpo, cli_stages.evaluate):
    app.command()(_stage)


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 5000) -> None:
    """Runs, curves and comparisons in the browser: the MLflow UI over var/. Ctrl-C ends it."""
    with plain_errors():
        prepare(quiet=True)
        from models.tracking_server import serve_ui

        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # ends the server as Ctrl-C does
        typer.echo(f"http://127.0.0.1:{port}  (starts in some seconds, Ctrl-C ends it)")
        raise typer.Exit(serve_ui(port))


# After the stages, so that --help lists those first.
app.add_typer(cli_rewards.app)
app.add_typer(cli_data.app)
app.command()(cli_data.forget)
app.command()(cli_practice.show)
app.command()(cli_practice.chat)
app.command()(cli_plan.plan)
for _command in (
    cli_promote.promote,
    cli_promote.rollback,
    cli_promote.champions,
    cli_promote.export,
    cli_promote.endpoint,
):
    app.command()(_command)
app.command()(cli_query.query)
app.command()(cli_report.report)
app.command()(cli_server.server)
app.command()(cli_server.deploy)
app.command()(cli_server.serve)
app.command()(cli_doctor.doctor)
app.command()(cli_compare.compare)


def main() -> None:
    """The command line; started by ``torchrun``, in the first process, which the others follow."""
    run_in_ranks(app)


if __name__ == "__main__":
    main()
