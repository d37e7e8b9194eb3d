"""What a scheduled house needs running: Prefect's server, MLflow's server, a worker. On loopback, under ``var/``.

Started together, ended together: each is a child in a session of its own (so Ctrl-C reaches us first, and we let the
worker finish its checkpoint) that the kernel ends should we be killed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data import paths
from flows.server import LEASES, die_with_parent

POOL = "apprentice"
#: The server's own surroundings: it reports to nobody, and unlike a temporary one it says what goes wrong.
LOUD = {"PREFECT_LOGGING_LEVEL": "INFO", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "INFO"}
SERVER = {**LOUD, "PREFECT_API_URL": "", "PREFECT_SERVER_LOGGING_LEVEL": "WARNING", **LEASES}
#: Seconds a server may take to answer for the first time, and a worker to save what it is at.
PATIENCE, FAREWELL = 300.0, 90.0


class ServiceError(Exception):
    """A server cannot be started; the message says what to do."""


@dataclass(frozen=True)
class Places:
    """Where the servers answer."""

    prefect_port: int = 4200
    mlflow_port: int = 5000

    @property
    def prefect_url(self) -> str:
        """Address of Prefect's browser page."""
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def mlflow_url(self) -> str:
        """Address of MLflow."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    def environment(self) -> dict[str, str]:
        """What a process must be told to report there."""
        return {"PREFECT_API_URL": f"{self.prefect_url}/api", "MLFLOW_TRACKING_URI": self.mlflow_url}


@contextmanager
def running(places: Places, say: Callable[[str], None]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Both servers and the worker, answering, until the block ends; yields their processes, the worker last.

    Raises:
        ServiceError: A port is taken, or a server does not answer in time; names its log.
    """
    from models.tracking_server import server_command

    for port in (places.prefect_port, places.mlflow_port):
        _require_free(port)
    started: list[subprocess.Popen[bytes]] = []
    try:
        mlflow = server_command(places.mlflow_port)
        prefect = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
        prefect += ["--port", str(places.prefect_port)]
        started.append(_start("prefect-server", prefect, SERVER))
        started.append(_start("mlflow-server", mlflow, {}))
        _await("prefect-server", f"{places.prefect_url}/api/health", started[0])
        say(f"Prefect  {places.prefect_url}")
        _await("mlflow-server", f"{places.mlflow_url}/health", started[1])
        say(f"MLflow   {places.mlflow_url}")
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        started.append(_start("worker", worker, {**LOUD, **places.environment()}))
        say(f"worker of the pool '{POOL}'; logs under {log('worker').parent}")
        yield started
    finally:
        for process in reversed(started):
            _end(process)


def log(name: str) -> Path:
    """Where a service writes."""
    return paths.var() / "logs" / f"{name}.log"


def answers(url: str, seconds: float = 2.0) -> bool:
    """Whether something answers there."""
    try:
        with urllib.request.urlopen(url, timeout=seconds) as response:
            return bool(response.status < 500)
    except (urllib.error.URLError, OSError):
        return False


def _require_free(port: int) -> None:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError as error:
            raise ServiceError(
                f"port {port} of 127.0.0.1 is taken, perhaps by servers that run already; end them, or choose others "
                "with --prefect-port and --mlflow-port"
            ) from error


def _start(name: str, command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log(name).parent.mkdir(parents=True, exist_ok=True)
    # An address of the surroundings would send the server's own flows elsewhere: empty means "not set".
    surroundings = {key: value for key, value in {**os.environ, **environment}.items() if value}
    with log(name).open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=paths.PROJECT_ROOT,
            env=surroundings,
            start_new_session=True,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )


def _await(name: str, url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            how = "ended at once" if process.poll() is not None else f"does not answer within {PATIENCE:.0f} s"
            raise ServiceError(f"{name} {how}; its log says why: {log(name)}")
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a service and what it started to end; insist if it does not."""
    for number, within in ((signal.SIGTERM, FAREWELL), (signal.SIGKILL, 10.0)):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(within)
            except subprocess.TimeoutExpired:
                continue
