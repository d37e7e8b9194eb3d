"""The one place where a path under ``var/`` is spelled.

Everything a run produces lies under one root: ``var/`` of the project, or ``$APPRENTICE_VAR``. The variable is read on
every call, so a test can move the root for itself.
"""

from __future__ import annotations

import os
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent


def var() -> Path:
    """Root of all run-time artefacts, created on first use."""
    root = Path(os.environ.get("APPRENTICE_VAR") or PROJECT_ROOT / "var").expanduser().resolve()
    root.mkdir(parents=True, exist_ok=True)
    return root


def warehouse() -> Path:
    """DuckDB file; opened briefly by its one writer, never read by training."""
    return var() / "warehouse.duckdb"


def datasets() -> Path:
    """Immutable snapshots, one directory per dataset version."""
    return var() / "datasets"


def dataset(version: str) -> Path:
    """Snapshot directory of one dataset version."""
    return datasets() / version


def gold_failures(version: str) -> Path:
    """Decision points whose recorded action misses the full reward, with the reason; one JSON object a line."""
    return dataset(version) / "gold_failures.jsonl"


def evaluation_set() -> Path:
    """The frozen evaluation set, ``evaluation_set/<source>.parquet``, and beside it what it led to."""
    return var() / "evaluation_set"


def downloads() -> Path:
    """Fetched wheels and archives, immutable."""
    return var() / "downloads"


def base_models() -> Path:
    """Base models converted to safetensors, one directory per URI digest."""
    return var() / "base_models"


def kernels() -> Path:
    """The engine's compiled kernels, one file per digest of sources and compiler."""
    return var() / "kernels"


def precision() -> Path:
    """What training computes in on each processor that this ``var/`` was used on, timed once."""
    return var() / "precision.json"


def runs() -> Path:
    """One directory per MLflow run."""
    return var() / "runs"


def run(run_id: str) -> Path:
    """Directory of one stage run: ``model/``, ``checkpoints/``, ``settings.json``, ``progress.jsonl``."""
    return runs() / run_id


def rollouts() -> Path:
    """Append-only Parquet of scored completions, ``rollouts/<run_id>/*.parquet``."""
    return var() / "rollouts"


def evaluations() -> Path:
    """Parquet of evaluated decision points, ``evaluations/<evaluation_id>/*.parquet``."""
    return var() / "evaluations"


def comparisons() -> Path:
    """Comparisons of arms, ``comparisons/<id>/``: what is done, results, outcomes, plots, examples."""
    return var() / "comparisons"


def pass_rates() -> Path:
    """How often each decision point was solved, one Parquet file per run or evaluation."""
    return var() / "pass_rates"


def final_uses() -> Path:
    """One line of JSON for each evaluation on the test splits."""
    return var() / "final_uses.jsonl"


def notices() -> Path:
    """One line of JSON for each notice, delivered to the webhook or not."""
    return var() / "notices.jsonl"


def reports() -> Path:
    """Weekly reports, one HTML file each."""
    return var() / "reports"


def promotions() -> Path:
    """One JSON file for each decision about the champion, with its evidence."""
    return var() / "promotions"


def exports() -> Path:
    """Models as folders that others can use, ``exports/<run_id>/<name>``."""
    return var() / "exports"


def redaction_key() -> Path:
    """Secret behind the built-in pseudonyms; without it the same data gets others."""
    return var() / "redaction.key"


def forgotten() -> Path:
    """Tombstones: one line of JSON for each conversation that must not come back."""
    return var() / "forgotten.jsonl"


def stages() -> Path:
    """Records of finished and unfinished stages by content address."""
    return var() / "stages"


def code_files() -> Path:
    """What each file was like behind a digest of code, one JSON file per digest."""
    return var() / "code"


def locks() -> Path:
    """Files for OS locks (``filelock``); a lock dies with its process, the file may stay."""
    return var() / "locks"


def house() -> Path:
    """The name of this ``var/``, drawn once."""
    return var() / "house"


def pages() -> tuple[Path, ...]:
    """Where texts lie that people read."""
    return (reports(), comparisons(), mlflow_artifacts(), runs(), promotions())


def mlflow_database() -> Path:
    """Default MLflow tracking store (SQLite)."""
    return var() / "mlflow.db"


def mlflow_artifacts() -> Path:
    """Default MLflow artifact root."""
    return var() / "mlartifacts"


def prefect_home() -> Path:
    """Prefect's own state, kept out of the user's home."""
    return var() / "prefect"
