"""Prefect's temporary server: started once it is certain that none is named, and told of what ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data import paths
from flows import environment, server, services

#: Set by importing the flows here; a fresh process must find its own.
PREPARED = {*environment._ALWAYS, *environment._QUIET, "PREFECT_HOME"}


def run(code: str, **told: str) -> subprocess.CompletedProcess[str]:
    """In a fresh interpreter, as a command does it."""
    surroundings = {name: value for name, value in os.environ.items() if name not in PREPARED}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=paths.PROJECT_ROOT,
        env={**surroundings, **told},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_flows_report_to_it_without_heartbeats_and_load_no_server_of_their_own() -> None:
    done = run(
        "import sys, urllib.request\nfrom flows.server import temporary_server\n"
        "with temporary_server(meanwhile=['graphlib']):\n    from prefect import flow\n"
        "from prefect.settings import get_current_settings\n"
        "@flow\ndef inner(): return get_current_settings().flows.heartbeat_frequency\n"
        "@flow\ndef outer(): return inner()\n"
        "print(outer(), 'prefect.server.api.server' in sys.modules)\n"
        "api = get_current_settings().api.url\n"
        "asked = urllib.request.Request(api + '/flow_runs/count', b'{}', {'Content-Type': 'application/json'})\n"
        "print(urllib.request.urlopen(asked).read().decode())"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["None", "False", "2"]


def test_leases_of_a_server_that_stays_lie_on_disk() -> None:
    """In memory they are gone with a restart, and with them the run under way."""
    assert services.SERVER.items() >= server.LEASES.items()
    told = "from prefect.settings import get_current_settings as now\nprint(now().server.concurrency.lease_storage)"
    assert run(told, **services.SERVER).stdout.strip() == "prefect.server.concurrency.lease_storage.filesystem"


@pytest.mark.slow
def test_a_server_that_ends_at_once_is_told_of(tmp_path: Path) -> None:
    nowhere = f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}"
    code = "from flows.server import temporary_server\nwith temporary_server(): pass"
    done = run(code, PREFECT_API_DATABASE_CONNECTION_URL=nowhere)
    assert done.returncode == 1
    assert "Prefect's temporary server ended with 3" in done.stderr


def test_a_server_that_is_named_is_left_to_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(server, "_start", lambda: pytest.fail("started"))
    monkeypatch.setenv("PREFECT_API_URL", "http://prefect.test/api")
    with server.temporary_server():
        pass
    monkeypatch.delenv("PREFECT_API_URL")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert not server._named()


@pytest.mark.slow
def test_a_profile_that_names_a_server_is_heeded(tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text(
        'active = "office"\n[profiles.office]\nPREFECT_API_URL = "http://prefect.test/api"\n', encoding="utf-8"
    )
    done = run("import flows\nfrom flows.server import _named\nprint(_named())", PREFECT_HOME=str(tmp_path))
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.slow
def test_a_schedule_fires_where_deployments_are_served_by_one_process(tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    (tmp_path / "ticking.py").write_text(
        f"from pathlib import Path\nfrom prefect import flow\n@flow\ndef tick(): Path({str(fired)!r}).touch()\n"
    )
    code = (
        "from datetime import timedelta\nfrom flows.server import temporary_server\n"
        "with temporary_server(schedules=True):\n    from prefect import serve\n"
        "    from prefect.schedules import Interval\n    import ticking\n"
        "serve(ticking.tick.to_deployment('ticks', schedules=[Interval(timedelta(seconds=5))]))"
    )
    surroundings = {name: value for name, value in os.environ.items() if name not in PREPARED}
    surroundings["PYTHONPATH"] = os.pathsep.join([str(paths.PROJECT_ROOT), str(tmp_path)])
    told = (tmp_path / "log").open("w+")
    serving = subprocess.Popen([sys.executable, "-c", code], env=surroundings, cwd=tmp_path, stdout=told, stderr=told)
    try:
        deadline = time.monotonic() + 120
        while not fired.exists() and serving.poll() is None and time.monotonic() < deadline:
            time.sleep(0.5)
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(60)
    assert fired.exists(), (tmp_path / "log").read_text()[-3000:]
