"""``apprentice compare``: the table of arms, made in slices, with its page of results."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path as FilePath
from typing import Annotated, Literal

import typer

from data.files import write_whole
from flows.complaints import plain_errors
from flows.options import Conversations, Final, Path, Profile, Seed, Set, Source, TotalMinutes, checked, writable

#: Exit code of a call whose slice ended before the comparison did (EX_TEMPFAIL): a loop goes on.
MORE_TO_DO = 75


def compare(
    context: typer.Context,
    preset: Annotated[Literal["paper-table", "minimum"], typer.Option(help="Which arms.")] = "paper-table",
    arm: Annotated[
        list[str] | None, typer.Option("--arm", help="Only this arm, with what it starts from.", show_default=False)
    ] = None,
    reward: Annotated[
        list[str] | None, typer.Option("--reward", help="One more GRPO arm: toolrl, binary, f1.", show_default=False)
    ] = None,
    profile: Profile = "laptop",
    source: Source = None,
    path: Path = None,
    conversations: Conversations = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset version.", show_default=False)] = None,
    practice: Annotated[
        str | None,
        typer.Option(
            help="Dataset version that GRPO and its SFT controls learn from, with the same validation and test: the "
            "same conversations under other tool names (data.rename_tools).",
            show_default=False,
        ),
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(
            help="ARM/SEED=RUN: take this model instead of training it, if it was trained as asked, by whatever code.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Make anew the models that are gone, and what comes from them."),
    ] = False,
    minutes: TotalMinutes = None,
    slice_: Annotated[
        float | None,
        typer.Option("--slice", min=1.0, help="Minutes of this call; the next one goes on.", show_default=False),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds; three, or one on a small budget.", show_default=False)
    ] = None,
    seed: Seed = None,
    only_seed: Annotated[
        int | None, typer.Option(min=0, help="Only this seed's part; others on other machines.", show_default=False)
    ] = None,
    pool: Annotated[
        list[FilePath] | None,
        typer.Option(help="Only write the page of outcomes in these directories, one each.", show_default=False),
    ] = None,
    final: Final = False,
    report_only: Annotated[
        bool,
        typer.Option(
            "--report", help="Only write the page of what is done: of the comparison that was asked for last."
        ),
    ] = False,
    id_: Annotated[
        str | None, typer.Option("--id", help="With --report: of this comparison instead.", show_default=False)
    ] = None,
    write: Annotated[
        FilePath | None,
        typer.Option(
            help="Also write the page here, e.g. my-results.md; a file that is there is replaced.",
            show_default=False,
            dir_okay=False,
            callback=writable,
        ),
    ] = None,
    set_: Set = None,
) -> None:
    """Base, SFT, GRPO with and without thinking and their controls: trained and judged alike, with verdicts.

    A small but complete version, anywhere:

        apprentice compare --preset paper-table --minutes 30

    A real one in slices of ten minutes (exit code 75: there is more to do):

        until apprentice compare --preset minimum --source sgd --path ../shared/data/sgd --slice 10; do
          [ $? -eq 75 ] || break; done

    Seeds on several machines, with the same options but --only-seed, then one page of what they left:

        apprentice compare --preset minimum --seeds 3 --only-seed 1 …
        apprentice compare --pool comparisons/machine-a --pool comparisons/machine-b

    What is published for evaluation only (bfcl, sgd-x-v5) is judged too; that, and --final, is not in --minutes.
    """
    with plain_errors():
        overrides = checked(profile, set_)
        from data.arms import UnknownArm
        from tasks import comparison
        from tasks.comparison_datasets import OthersHeldOut
        from tasks.comparison_head import page_file
        from tasks.comparison_report import report
        from tasks.comparison_taken import NotTakable

        if pool:
            _only_a_page(context, "pool", "what was asked stands in the files of each directory")
        elif report_only:
            asked_for = "it is of the comparison asked for last, or of the one that --id names"
            _only_a_page(context, "report_only", asked_for)
        if pool:
            _tell(_of_several(pool, final), write)
            return
        if report_only:
            state = comparison.newest() if id_ is None else comparison.load(id_) if id_ else None
            if state is None:
                named = "no comparison was made here yet" if id_ is None else f"no comparison '{id_}' here"
                raise typer.BadParameter(f"{named}; run `apprentice compare` without --report first")
            typer.echo(f"comparison {state.id}, preset {state.preset}, dataset {state.dataset_version}")
            page = report(state, final=final)
            if page is None:
                typer.echo("no page yet: fewer than two of its arms are judged on the same turns")
            _tell(page, write)
            return
        if id_ is not None:
            raise typer.BadParameter(
                "--id names a comparison for --report; what is to be made follows from the options"
            )
        try:
            from flows.server import temporary_server

            with temporary_server():
                from flows.compare_arms import compare_arms

            made = compare_arms(
                preset=preset,
                arms=arm or (),
                rewards=reward or (),
                profile=profile,
                source=source,
                path=path,
                conversations=conversations,
                dataset_version=dataset,
                practice_version=practice,
                taken=take or (),
                again=again,
                minutes=minutes,
                slice_minutes=slice_,
                seeds=seeds,
                only_seed=only_seed,
                final=final,
                overrides=overrides if seed is None else {**overrides, "seed": seed},
                command=_command(),
            )
        except (UnknownArm, comparison.UnknownSeed, OthersHeldOut, NotTakable) as error:
            raise typer.BadParameter(str(error)) from error
        state = comparison.load(made) if made else None
        if state is not None and (page := page_file(state.directory, final=final)).exists():
            _tell(page, write, said=True)
        if state is None or comparison.left(state, final=final, only_seed=only_seed):
            raise typer.Exit(MORE_TO_DO)


def _only_a_page(context: typer.Context, asked: str, instead: str) -> None:
    """Refuse options that say what is to be made where ``asked``, a parameter, only writes a page: they would be
    ignored. ``instead`` says where that is taken from."""
    said = "COMMANDLINE"  # a name, since typer's enumeration of sources is not public
    heeded = {asked, "final", "write", *(("id_",) if asked == "report_only" else ())}
    options = {one.name: one.opts[0] for one in context.command.params}
    meant = [
        options[name]
        for name in context.params
        if name not in heeded and (source := context.get_parameter_source(name)) and source.name == said
    ]
    if meant:
        raise typer.BadParameter(f"{options[asked]} takes no {' and no '.join(meant)}: {instead}")


def _of_several(pool: list[FilePath], final: bool) -> FilePath:
    """The page of what several machines left."""
    from tasks.comparison_outcomes import NotOneComparison
    from tasks.comparison_report import pooled_report

    try:
        page = pooled_report(pool, final=final)
    except NotOneComparison as error:
        raise typer.BadParameter(str(error)) from error
    if page is None:
        raise typer.BadParameter(
            f"fewer than two arms are judged on {'test' if final else 'validation'} in these directories"
        )
    return page


def _tell(page: FilePath | None, write: FilePath | None, *, said: bool = False) -> None:
    """Say where the page is, unless that was said, and copy it."""
    if page is not None:
        if not said:
            typer.echo(f"results: {page}")
        if write is not None:
            write.parent.mkdir(parents=True, exist_ok=True)
            write_whole(write, page.read_text(encoding="utf-8"))


def _command() -> str:
    return shlex.join(["apprentice", *sys.argv[1:]])
