"""PostgreSQL behind Prefect and MLflow: Debian's server on loopback, one ingestion and one run recorded in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from data import paths

pytestmark = pytest.mark.slow


def tool(name: str) -> str | None:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@pytest.fixture
def postgres() -> Iterator[str]:
    """``host:port`` of a fresh server that trusts loopback, with the databases prefect and mlflow."""
    if tool("initdb") is None or tool("pg_ctl") is None:
        pytest.skip("needs PostgreSQL's server (Debian: postgresql), which is not installed here")
    if find_spec("psycopg2") is None:
        pytest.skip("needs psycopg2 for MLflow (pip install psycopg2-binary), which is not installed here")
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    place = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    if user:
        shutil.chown(place, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        done = subprocess.run(
            command,
            user=user,
            cwd=place,
            env={**os.environ, "HOME": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run(str(tool("initdb")), "-D", str(place / "data"), "-A", "trust", "-U", "apprentice", "--no-sync")
    options = f"-p {port} -k {place} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [str(tool("pg_ctl")), "-D", str(place / "data"), "-w", "-l", str(place / "log")]
    run(*control, "-o", options, "start")
    try:
        for name in ("prefect", "mlflow"):
            run(str(tool("createdb")), "-h", "127.0.0.1", "-p", str(port), "-U", "apprentice", name)
        yield f"127.0.0.1:{port}"
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)


def test_both_record_in_postgresql(postgres: str, tmp_path: Path) -> None:
    import psycopg2

    surroundings = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))},
        "APPRENTICE_VAR": str(tmp_path / "var"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://apprentice@{postgres}/prefect",
        "MLFLOW_TRACKING_URI": f"postgresql+psycopg2://apprentice@{postgres}/mlflow",
    }
    command = [sys.executable, "-m", "flows.cli", "evaluate", "--profile", "smoke", "--model", "base"]
    for arguments in ([*command[:3], "ingest", "--profile", "smoke"], command):
        done = subprocess.run(
            arguments,
            env=surroundings,
            cwd=paths.PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    host, _, port = postgres.partition(":")
    asked = {
        "prefect": "SELECT name, state_name FROM flow_run ORDER BY created",
        "mlflow": "SELECT t.value, r.status FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'stage'",
    }
    found = {}
    for name, sql in asked.items():
        with psycopg2.connect(host=host, port=port, user="apprentice", dbname=name) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            found[name] = cursor.fetchall()
    assert found["prefect"] == [("ingest (smoke)", "Completed"), ("evaluate (smoke)", "Completed")]
    assert found["mlflow"] == [("base", "FINISHED")]
    assert not (tmp_path / "var" / "mlflow.db").exists()
    assert not list((tmp_path / "var" / "prefect").glob("*.db"))
