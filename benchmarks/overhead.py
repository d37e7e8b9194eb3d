"""What Prefect and MLflow cost: the smoke pipeline through both, against the same functions called directly.

    python benchmarks/overhead.py --repeat 3

Four ways, each in a fresh process whose wall clock counts from start to end, the imports of both included:

* ``direct``: the stage functions alone, tasks' wrappers, records, Prefect and MLflow left out;
* ``warm``: `apprentice run`, both databases already created, the results thrown away so that every stage runs;
* ``empty``: `apprentice run` on an empty var/;
* ``again``: `apprentice run` once more, everything reused.

The issue's bounds: warm at most direct + 15 s + 5 %, empty at most direct + 25 s, `apprentice --help` under 0.5 s. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIPELINE = [sys.executable, "-m", "flows.cli", "run", "--profile", "smoke"]
DIRECT = [sys.executable, __file__, "--direct"]
#: What a run leaves besides the two databases.
RESULTS = ("datasets", "runs", "rollouts", "evaluations", "stages", "pass_rates", "evaluation_set", "base_models")
FIXED, SHARE, EMPTY, HELP = 15.0, 0.05, 25.0, 0.5


def direct() -> None:
    """The same work with nothing around it: ingest, gold check, three trainings, four evaluations."""
    from data import paths
    from data.ingest import ingest
    from data.profiles import resolve
    from data.reporting import Silent
    from data.schema import VALIDATION_SPLITS
    from models.base import fetch_base_model
    from models.evaluation.run import evaluate
    from models.training.grpo import train_grpo
    from models.training.job import TrainingJob
    from models.training.priming import prime_thinking
    from models.training.sft import train_sft
    from tasks.ingest import check_gold

    settings, silent = resolve("smoke"), Silent()
    version = ingest(settings.data, silent).dataset_version
    check_gold(version, settings.grpo.weights, silent)
    model = base = fetch_base_model(settings.base_model.uri, silent)
    made = {"base": base}
    for stage, train in (("sft", train_sft), ("primed", prime_thinking), ("grpo", train_grpo)):
        job = TrainingJob(stage, version, model, paths.run(stage), settings)
        model = made[stage] = train(job, silent).model_dir
    for stage, model in made.items():
        evaluate(
            model,
            run_id=stage,
            stage=stage,
            evaluation_id=stage,
            dataset_version=version,
            splits=VALIDATION_SPLITS,
            thinking=stage in ("primed", "grpo"),
            settings=settings,
            reporter=silent,
        )


def timed(command: list[str], var: Path) -> float:
    """Seconds of one process; it must end well."""
    surroundings = {**os.environ, "APPRENTICE_VAR": str(var), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    began = time.perf_counter()
    done = subprocess.run(command, env=surroundings, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ends with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - began


def emptied(var: Path) -> Path:
    """``var`` with its databases and nothing else."""
    for name in RESULTS:
        shutil.rmtree(var / name, ignore_errors=True)
    for file in var.glob("warehouse.duckdb*"):
        file.unlink()
    return var


def measure(repeat: int) -> dict[str, list[float]]:
    """Seconds of each way, in turn."""
    found: dict[str, list[float]] = {"direct": [], "empty": [], "again": [], "warm": [], "help": []}
    for number in range(repeat):
        with tempfile.TemporaryDirectory(prefix="apprentice-overhead-") as place:
            alone, var = Path(place) / "direct", Path(place) / "var"
            found["direct"].append(timed(DIRECT, alone))
            found["empty"].append(timed(PIPELINE, var))
            found["again"].append(timed(PIPELINE, var))
            found["warm"].append(timed(PIPELINE, emptied(var)))
            found["help"].append(timed([*PIPELINE[:3], "--help"], var))
        print(f"{number + 1}/{repeat}: " + ", ".join(f"{way} {took[-1]:.1f} s" for way, took in found.items()),
              file=sys.stderr, flush=True)  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--direct", action="store_true", help="do the work itself and nothing else")
    given = parser.parse_args()
    if given.direct:
        direct()
        return
    found = measure(given.repeat)
    middle = {way: statistics.median(took) for way, took in found.items()}
    bounds = {
        "warm": middle["warm"] <= middle["direct"] * (1 + SHARE) + FIXED,
        "empty": middle["empty"] <= middle["direct"] + EMPTY,
        "help": min(found["help"]) < HELP,
    }
    load = os.getloadavg()[0]
    told = {"median_s": middle, "all_s": found, "within_bounds": bounds, "cores": os.cpu_count(), "load": load}
    print(json.dumps({key: _rounded(value) for key, value in told.items()}))


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
