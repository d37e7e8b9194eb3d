"""``apprentice server | deploy | serve``: the house on a schedule.

``server`` and ``deploy`` are Prefect's usual two halves (servers and a worker; the deployments); ``serve`` is
both in one process, for a machine where nobody wants to look after servers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Annotated

import typer

from flows.complaints import plain_errors
from flows.environment import prepare

PrefectPort = Annotated[int, typer.Option(min=1, max=65535, help="Port of Prefect on 127.0.0.1.")]
MlflowPort = Annotated[int, typer.Option(min=1, max=65535, help="Port of MLflow on 127.0.0.1.")]


def server(prefect_port: PrefectPort = 4200, mlflow_port: MlflowPort = 5000) -> None:
    """Prefect server, MLflow server and a worker on this machine, until Ctrl-C. Everything lies under var/.

    apprentice server

    Then, in another terminal, `apprentice deploy` once: the weekly run comes by itself.
    """
    with plain_errors():
        prepare(quiet=True)
        from flows.services import Places, running

        places = Places(prefect_port, mlflow_port)
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))  # ends the children as Ctrl-C does
        with running(places, lambda text: typer.echo(text)) as services:
            typer.echo("Register the deployments once:  apprentice deploy\nCtrl-C ends all three.")
            try:
                services[-1].wait()
            except KeyboardInterrupt:
                raise typer.Exit(0) from None
            typer.echo("the worker has ended; its log says why", err=True)
            raise typer.Exit(1)


def deploy(
    prefect_port: PrefectPort = 4200,
    name: Annotated[
        str | None, typer.Option(help="Only this deployment, e.g. train-grpo/grpo.", show_default=False)
    ] = None,
) -> None:
    """Register the deployments of prefect.yaml with the server of $PREFECT_API_URL, or else of this machine.

    apprentice deploy

    Any stage then runs on demand, in the browser or here, where the shell has to know the server:

        export PREFECT_API_URL=http://127.0.0.1:4200/api
        prefect deployment run train-grpo/grpo -p minutes=30
    """
    with plain_errors():
        prepare(quiet=True)
        from data import paths
        from flows.services import POOL, Places, ServiceError, answers

        api = os.environ.setdefault("PREFECT_API_URL", Places(prefect_port).environment()["PREFECT_API_URL"])
        if not answers(f"{api}/health"):
            raise ServiceError(f"no Prefect server answers at {api}: start one with `apprentice server`")
        prefect = [sys.executable, "-m", "prefect"]
        pool = [*prefect, "work-pool", "create", POOL, "--type", "process"]
        if subprocess.run([*prefect, "work-pool", "inspect", POOL], capture_output=True, check=False).returncode:
            subprocess.run(pool, capture_output=True, check=True)
        which = ["--name", name] if name else ["--all"]
        done = subprocess.run([*prefect, "--no-prompt", "deploy", *which], cwd=paths.PROJECT_ROOT, check=False)
        raise typer.Exit(done.returncode)


def serve(limit: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 1) -> None:
    """The deployments of prefect.yaml from this one process, without a worker, until Ctrl-C.

    apprentice serve

    Reports to $PREFECT_API_URL if set, else to a server of its own, with schedules and pages, that ends with it.
    """
    with plain_errors():
        prepare(quiet=True)
        from flows.server import temporary_server

        with temporary_server(schedules=True):
            from flows.serving import serve_all
        serve_all(limit)
