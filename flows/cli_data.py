"""``apprentice data …`` and ``apprentice forget``: what a dataset version is made of, what changed, what can go."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from flows.complaints import plain_errors
from flows.environment import prepare

Form = Annotated[Literal["table", "json"], typer.Option("--format", help="For people or for programs.")]
_SHOWN = 20

app = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Dataset versions: what changed between two, where a number comes from, what nothing refers to any more.",
)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Dataset version, or its first characters.")],
    after: Annotated[str, typer.Argument(help="The version to compare it with.")],
    output: Form = "table",
) -> None:
    """New, changed and removed conversations between two dataset versions, per split, and what caused it.

        apprentice data diff 3f2a 91bc

    The versions there are:

        apprentice query "SELECT version, source, created_at, conversations FROM dataset_versions"
    """
    with plain_errors():
        from data.diff import diff as compare
        from flows.data_output import print_difference

        found = compare(before, after)
        if output == "json":
            typer.echo(found.model_dump_json())
        else:
            print_difference(found, most=_SHOWN)


@app.command()
def lineage(
    name: Annotated[str, typer.Argument(help="Evaluation, run, dataset version, decision point or conversation.")],
    point: Annotated[
        str | None, typer.Option(help="Follow this decision point to its raw record.", show_default=False)
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Start from this metric of the evaluation.", show_default=False)
    ] = None,
    output: Form = "table",
) -> None:
    """From a metric, rollout or evaluation back to run, dataset version, conversation and raw record.

    apprentice data lineage 4c1d --metric exact_call

    apprentice data lineage 4c1d --point "sgd/test/1_00001#4"
    """
    with plain_errors():
        import json

        from flows.data_output import print_steps
        from tasks.lineage import trace

        steps = trace(name, point=point, metric=metric)
        if output == "json":
            typer.echo(json.dumps([step.model_dump(mode="json") for step in steps], ensure_ascii=False, default=str))
        else:
            print_steps(steps)


@app.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Delete what is listed; without it nothing is.")] = False,
    output: Form = "table",
) -> None:
    """List snapshots, rollouts and checkpoints that nothing refers to; with --yes delete them.

    Kept is what any run that is not deleted in MLflow, any registered model, any comparison's record or "the newest"
    refers to.

        apprentice data gc

        apprentice data gc --yes
    """
    with plain_errors():
        prepare(quiet=True)
        from flows.data_output import print_garbage
        from tasks.garbage import collect
        from tasks.reporting import reporting

        with reporting("gc") as reporter:
            found = collect(reporter, really=yes)
        if output == "json":
            import json

            typer.echo(json.dumps({"freed": yes, "items": [item.model_dump(mode="json") for item in found]}))
        else:
            print_garbage(found, freed=yes)


def forget(
    conversation_id: Annotated[str, typer.Argument(help="As in table conversations, e.g. openai/4711.")],
    output: Form = "table",
) -> None:
    """Erase a conversation from warehouse, snapshots, rollouts and evaluations, for good, and say who had seen it.

    It cannot be undone, and the next ingestion does not bring it back. Models keep what they have learned: the report
    names them.

        apprentice forget openai/4711
    """
    with plain_errors():
        prepare(quiet=True)
        from flows.data_output import print_forgotten
        from tasks.forgetting import forget_conversation
        from tasks.reporting import reporting

        with reporting("forget") as reporter:
            report = forget_conversation(conversation_id, reporter)
        if output == "json":
            typer.echo(report.model_dump_json())
        else:
            print_forgotten(report)
