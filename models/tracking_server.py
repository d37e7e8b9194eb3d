"""MLflow's own server, for browsers on this machine."""

from __future__ import annotations

import subprocess
import sys

from models.tracking import store


def server_command(port: int) -> list[str]:
    """Command of an MLflow server over the store where runs are recorded, for browsers on this machine only."""
    store.ask()  # makes the store if it is new
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    names = ",".join(f"{host}:{port}" for host in ("127.0.0.1", "localhost"))
    places = [
        "--backend-store-uri",
        store.tracking_uri(),
        "--default-artifact-root",
        store.artifact_root(),
    ]
    return [*command, *places, "--allowed-hosts", names]


def serve_ui(port: int) -> int:
    """Serve the MLflow UI on 127.0.0.1 until it is ended; returns its exit code."""
    with subprocess.Popen(server_command(port)) as server:
        try:
            return server.wait()
        except KeyboardInterrupt:  # the server got it too: being ended is how it is meant to end
            server.wait()
            return 0
        finally:
            if server.poll() is None:
                server.terminate()
