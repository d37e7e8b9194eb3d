"""Prefect's temporary server: where no server is named, the flows of this process report to one of its own.

Prefect would start one too, but only when the first flow runs, after loading the whole server here as well, and in our
own process group: Ctrl-C at a terminal would end it together with the training that is just about to save, and Prefect
would then retry for a minute to report to a server that is gone. After ``kill -9`` it would stay behind for ever. So it
is started at the door, at work while the flows are imported, in a session of its own and with a death wish: on Linux
the kernel ends it with us.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

_PR_SET_PDEATHSIG = 1
#: As Prefect tells a server of its own kind: none but this one in its process; and no pages, no schedules.
_ALONE = {"PREFECT__SERVER_FINAL": "1"}
#: Where leases of deployments' slots lie: in memory, as Prefect has it, a server that restarts knows none any more, so
#: that it ends the run under way and counts the slot of a dead one for ever.
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
_BARE = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
#: What names a server in one of the files that Prefect reads its settings from.
_NAMES_A_SERVER = re.compile(r"(?im)api[._]url|^\s*\[(tool\.prefect\.)?api\]|tool\.prefect\b")
#: Seconds it may take to end.
_FAREWELL = 5.0
#: Settings of Prefect that hold until this process ends.
_settings = ExitStack()


class ServerError(Exception):
    """The temporary server does not start; the message says what to do."""


@contextmanager
def temporary_server(meanwhile: Sequence[str] = (), *, schedules: bool = False) -> Iterator[None]:
    """A server that ends with this process, unless one is named; it answers when the block ends.

    The block is for what has to be done anyway, such as importing the flows.

    Args:
        meanwhile: Modules that will probably be needed, loaded in turn for as long as the server is not ready then: a
            new database takes it some seconds.
        schedules: Let it fire schedules and show its pages, as one does that is there for longer than a run.

    Raises:
        ServerError: It ends or does not answer in time.
    """
    if _named():
        yield
        return
    server, api = _start(_ALONE | (LEASES if schedules else _BARE))
    os.environ["PREFECT_API_URL"] = api
    yield
    with ThreadPoolExecutor(1, "await-server") as waiting:
        ready = waiting.submit(_await, server, f"{api}/health")
        for module in meanwhile:
            if not ready.done():
                importlib.import_module(module)
        ready.result()
    _report_to(api)
    # What was loaded stays to the end; every collection (the trainer forces some) would walk through it all again.
    gc.freeze()


def _named() -> bool:
    """Whether Prefect has been told of a server; it is asked itself, which loads it, only where a file may name one."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    profiles = os.environ.get("PREFECT_PROFILES_PATH") or Path(os.environ["PREFECT_HOME"]) / "profiles.toml"
    files = (Path(profiles), Path("prefect.toml"), Path("pyproject.toml"), Path(".env"))
    if not any(file.is_file() and _NAMES_A_SERVER.search(file.read_text(encoding="utf-8")) for file in files):
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _start(told: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], str]:
    """Its process and address; ``told`` are its variables beside ours."""
    prefect = find_spec("prefect")
    assert prefect is not None
    assert prefect.submodule_search_locations
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(prefect.submodule_search_locations[0])]
    command += ["--factory", "prefect.server.api.server:create_app", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--log-level", "error", "--lifespan", "on"],
        env={**os.environ, **told},
        start_new_session=True,
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )
    # Before Prefect is imported, whose own farewells (sending the last events) then come before this one.
    atexit.register(_end, server)
    return server, f"http://127.0.0.1:{port}/api"


def _free_port() -> int:
    """One that the system has just chosen; a socket handed down would be slow, as uvicorn takes it for a local one."""
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        return int(chosen.getsockname()[1])


def _await(server: subprocess.Popen[bytes], url: str) -> None:
    patience = float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"])
    deadline = time.monotonic() + patience
    while server.poll() is None and (left := deadline - time.monotonic()) > 0:
        try:
            with urllib.request.urlopen(url, timeout=left):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    how = f"does not answer within {patience:.0f} s" if server.poll() is None else f"ended with {server.returncode}"
    raise ServerError(
        f"Prefect's temporary server {how}. Its database is under {os.environ['PREFECT_HOME']}; "
        "what it says with PREFECT_SERVER_LOGGING_LEVEL=WARNING may tell why"
    )


def _report_to(api: str) -> None:
    """Settings of this process: where it reports, and no heartbeats.

    A server that ends with us can never find out that they stopped, and Prefect ends the thread that sends them by
    waiting up to a second for it, once a flow. A variable cannot say "none", hence not in ``flows.environment``.
    """
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    _settings.enter_context(temporary_settings({PREFECT_API_URL: api, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_FAREWELL)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def die_with_parent() -> None:
    """Runs in the child, before it becomes the server."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
