"""``apprentice ingest | sft | prime | grpo | evaluate``: each stage alone, by the very flow that a deployment runs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from flows.complaints import plain_errors
from flows.options import (
    Conversations,
    DatasetOf,
    Final,
    Force,
    LearnFrom,
    MaxSteps,
    Minutes,
    Path,
    Profile,
    Seed,
    Set,
    Source,
    Upload,
    checked,
)


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


def prime(
    profile: Profile = "laptop",
    run_id: Annotated[str | None, typer.Option("--run", help="SFT run to start from.", show_default=False)] = None,
    source: DatasetOf = None,
    dataset: LearnFrom = None,
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
            dataset_version=dataset,
            thoughts=thoughts,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            overrides=overrides,
            force=force,
        )


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
    dataset: LearnFrom = None,
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

    Last week's model on this week's conversations:

        apprentice grpo --run RUN --dataset VERSION
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
            dataset_version=dataset,
            minutes=minutes,
            max_steps=max_steps,
            seed=seed,
            overrides=overrides,
            force=force,
        )


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
