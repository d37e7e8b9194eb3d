"""The ``apprentice`` command: a light door to the flows.

Nothing heavy is imported before it is needed, so ``--help`` answers at once and a wrong setting is refused before
anything is loaded. A stage command runs the very flow that a deployment runs.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated, Literal

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
)
from flows.complaints import plain_errors
from flows.environment import prepare
from flows.options import (
    Conversations,
    DatasetOf,
    Final,
    Force,
    ForceStages,
    From,
    MaxSteps,
    Minutes,
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

    What of it would be done, and why: `apprentice plan`, with the same options.

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


@app.command()
def ingest(
    profile: Profile = "laptop",
    source: Source = None,
    path: Path = None,
    conversations: Conversations = None,
    seed: Seed = None,
    set_: Set = None,
) -> None:
    """Source files → checked conversations → a dataset version.

        apprentice ingest --source sgd --path ../shared/data/sgd --conversations 600

    What was rejected, and why:

        apprentice query "SELECT reason, count(*) FROM quarantine GROUP BY ALL"
    """
    with plain_errors():
        overrides = checked(profile, set_)
        from flows.server import temporary_server

        with temporary_server():
            from flows.ingest_data import ingest_data

        ingest_data(
            profile=profile, source=source, path=path, conversations=conversations, seed=seed, overrides=overrides
        )


@app.command()
def sft(
    profile: Profile = "laptop",
    source: DatasetOf = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset version.", show_default=False)] = None,
    minutes: Minutes = None,
    max_steps: MaxSteps = None,
    seed: Seed = None,
    force: Force = False,
    upload: Upload = False,
    set_: Set = None,
) -> None:
    """The SFT baseline on the newest dataset.

    apprentice sft --source sgd --minutes 18
    """
    with plain_errors():
        overrides = checked(profile, set_, upload=upload)
        from flows.server import temporary_server

        with temporary_server():
            from flows.train_sft import train_sft

        train_sft(
            profile=profile,
            dataset_version=dataset,
            source=source,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            overrides=overrides,
            force=force,
        )


@app.command()
def prime(
    profile: Profile = "laptop",
    run_id: Annotated[str | None, typer.Option("--run", help="SFT run to start from.", show_default=False)] = None,
    source: DatasetOf = None,
    thoughts: Annotated[
        str | None, typer.Option(help="Learn the thoughts of this source, e.g. toolrl.", show_default=False)
    ] = None,
    minutes: Minutes = None,
    max_steps: MaxSteps = None,
    seed: Seed = None,
    force: Force = False,
    upload: Upload = False,
    set_: Set = None,
) -> None:
    """Teach the newest SFT model to think at all: a short SFT on rationales.

    apprentice prime --minutes 2

    apprentice prime --thoughts toolrl
    """
    with plain_errors():
        overrides = checked(profile, set_, upload=upload)
        from flows.server import temporary_server

        with temporary_server():
            from flows.prime_thinking import prime_thinking

        prime_thinking(
            profile=profile,
            sft_run_id=run_id,
            source=source,
            thoughts=thoughts,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            overrides=overrides,
            force=force,
        )


@app.command()
def grpo(
    profile: Profile = "laptop",
    start: Annotated[
        Literal["base", "sft", "primed"] | None,
        typer.Option("--from", help="Model to start from; primed unless set.", show_default=False),
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Or the run to start from.", show_default=False)] = None,
    thinking: Annotated[
        bool | None, typer.Option("--thinking/--no-thinking", help="Open with reasoning.", show_default=False)
    ] = None,
    engine: Annotated[
        Literal["tree", "trl"] | None,
        typer.Option(help="tree: shared prefixes once; trl: TRL as it comes, to compare.", show_default=False),
    ] = None,
    source: DatasetOf = None,
    minutes: Minutes = None,
    max_steps: MaxSteps = None,
    seed: Seed = None,
    force: Force = False,
    upload: Upload = False,
    set_: Set = None,
) -> None:
    """GRPO with reasoning from the newest primed model.

    Ten minutes with another reward, and the control without thinking:

        apprentice grpo --minutes 10 --set grpo.weights.format=1.0

        apprentice grpo --from sft --no-thinking
    """
    with plain_errors():
        overrides = checked(profile, [*(set_ or []), *([f"grpo.engine={engine}"] if engine else [])], upload=upload)
        from flows.server import temporary_server

        with temporary_server():
            from flows.train_grpo import train_grpo

        train_grpo(
            profile=profile,
            start_run_id=run_id,
            start=start,
            thinking=thinking,
            source=source,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            overrides=overrides,
            force=force,
        )


@app.command()
def evaluate(
    profile: Profile = "laptop",
    run_id: Annotated[
        str | None, typer.Option("--run", help="Run to judge; the newest unless set.", show_default=False)
    ] = None,
    model: Annotated[
        Literal["base", "sft", "primed", "grpo"] | None,
        typer.Option(help="Or the newest model of this stage.", show_default=False),
    ] = None,
    thinking: Annotated[
        bool | None,
        typer.Option("--thinking/--no-thinking", help="As it was trained unless set.", show_default=False),
    ] = None,
    final: Final = False,
    decision_points: Annotated[int | None, typer.Option(min=1, help="Per split.", show_default=False)] = None,
    source: DatasetOf = None,
    on: Annotated[
        str | None, typer.Option(help="Judge on the newest dataset of another source.", show_default=False)
    ] = None,
    minutes: Minutes = None,
    force: Force = False,
    set_: Set = None,
) -> None:
    """Judge a model on validation: every metric with its 95 % interval, on seen and unseen tools apart.

    apprentice evaluate --model base --decision-points 100

    apprentice evaluate --run 3f2a --no-thinking

    apprentice evaluate --on bfcl --decision-points 200

    Models of the simulated source play whole episodes as well: pass^k over tasks.

    apprentice evaluate --set evaluation.episodes.tasks=100 --set evaluation.episodes.trials=4
    """
    with plain_errors():
        overrides = checked(profile, set_)
        from flows.server import temporary_server

        with temporary_server():
            from flows.evaluate_model import evaluate_model
            from tasks.episode_results import print_episodes
            from tasks.results import print_model

        evaluation_id = evaluate_model(
            profile=profile,
            run_id=run_id,
            model=model,
            thinking=thinking,
            final=final,
            decision_points=decision_points,
            source=source,
            on=on,
            minutes=minutes,
            overrides=overrides,
            force=force,
        )
        print_model(evaluation_id)
        print_episodes([evaluation_id])


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
