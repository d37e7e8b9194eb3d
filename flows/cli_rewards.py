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
        "What a reward pays: check it for exploits, replay stored rollouts under another one.\n\n"
        "    apprentice rewards check --reward my_reward.py\n\n"
        "    apprentice rewards replay --reward toolrl"
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


@app.command()
def check(
    reward: Annotated[
        str | None,
        typer.Option(help="graded, toolrl, binary, f1, or a Python file; all four unless set.", show_default=False),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Real turns of the newest dataset of this source.", show_default=False)
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Or of this dataset version.", show_default=False)] = None,
    bench_only: Annotated[bool, typer.Option("--bench-only", help="Only the made cases: a second.")] = False,
    random_cases: Annotated[int, typer.Option("--random", min=0, help="Score so many random completions, too.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random completions.")] = 0,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the sections of docs/rewards.md instead.")
    ] = False,
) -> None:
    """The exploit bench; on real turns also policies that never look, golds, and mutations of golds.

        apprentice rewards check

        apprentice rewards check --reward my_reward.py --source sgd

    A reward of your own is one file with one function:

        def reward(point, parsed): return float(parsed.ok)

    Exit code 1 if the reward (graded, if none is named) breaks a rule.
    """
    with plain_errors():
        if markdown:
            _print_markdown()
            return
        faults = _check(reward, source, dataset, bench_only, random_cases, seed)
        for fault in faults:
            typer.echo(f"FAILED: {fault}", err=True)
        if faults:
            raise typer.Exit(1)


def _check(
    spec: str | None, source: str | None, dataset: str | None, bench_only: bool, random_cases: int, seed: int
) -> list[str]:
    from data.settings import RewardWeights
    from tasks import reward_check
    from tasks.reporting import reporting

    rewards = reward_check.rewards_to_check(spec, RewardWeights())
    judged = rewards[0]
    findings = reward_check.print_bench(rewards)
    broken = reward_check.failed(findings[judged.name])
    faults = [f"{judged.name} breaks {broken} rules of the exploit bench"] if broken else []
    version = None if bench_only else _version(source, dataset)
    if version is None:
        typer.echo("real turns: not checked" if bench_only else "real turns: no dataset yet; run `apprentice ingest`")
        return faults
    with reporting("rewards") as reporter:
        turns = reward_check.check_on_real_turns(judged, version, reporter)
        if random_cases:
            from data.snapshot import read_decision_points

            points = read_decision_points(version)[:2000]
            faults += reward_check.check_random_completions(rewards, points, random_cases, seed, reporter)
    reward_check.print_real_turns(judged, turns)
    return faults + turns.faults


def _version(source: str | None, dataset: str | None) -> str | None:
    """The dataset to look at; None if there is none and none was asked for."""
    from data import snapshot

    if dataset is None and source is None and snapshot.latest() is None:
        return None
    from tasks.ingest import dataset as chosen

    return chosen(dataset, source)


def _print_markdown() -> None:
    from models.rewards.bench_table import document

    for name, text in document().items():
        typer.echo(f"<!-- {name} -->\n{text}\n<!-- end of {name} -->\n")
