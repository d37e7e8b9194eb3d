"""What the process's environment must say before Prefect, MLflow or the model hub client is imported.

Prefect reads its settings once, at import, so this runs at the door of the room (``flows/__init__``). Everything goes
through ``setdefault``: what the user has set stays. With ``PREFECT_API_URL`` set the flows report to that server,
without it to a temporary one that lives under ``var/`` and ends with the process.
"""

from __future__ import annotations

import os
import sys
import warnings

from data import paths

_ALWAYS = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # 17 s were measured on an empty home, more than 90 s on two cores with ten other jobs; the default is 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # A server that has answered once may be away for 8 minutes (2 + 4 + … + 256 s) before a run gives up on it; by
    # default it is one.
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # The word, not "1": Prefect takes both, MLflow only this.
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Seven more processes for jobs (scorers by language models) that nobody here starts.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # The temporary server is torn down with events still in its queues and would log a traceback for each.
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # A tracking server that is away must cost seconds, not minutes: what it missed is sent again from the run's log.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
}

_QUIET = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # Only the console: a server that is there still gets the logs of its flow runs.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
}


def prepare(*, quiet: bool = False) -> None:
    """Set what is not set. ``quiet`` also silences the libraries' consoles: the command line speaks for itself."""
    home = paths.prefect_home()
    home.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("PREFECT_HOME", str(home))
    for name, value in {**_ALWAYS, **(_QUIET if quiet else {})}.items():
        os.environ.setdefault(name, value)
    if quiet and not sys.warnoptions:
        # What libraries tell their own authors about coming versions.
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
