"""What is left after a kill: stages are ended at random moments, run again plainly, and compared with a quiet run.

Run with `make soak` (500 kills) or `python benchmarks/crashes.py --kills 20 --seed 1`. One warm process forks a child
for each attempt, so an attempt costs the stage and not its imports; the child is a process of its own and the kill is
SIGKILL. Moments are drawn in time, and at *commit points*: just before or after the child renames, removes or flushes
something, where a torn state would show. Other disturbances: SIGTERM and Ctrl-C, a full disk (a limit on the size of
files), a damaged newest checkpoint, a truncated Parquet shard, MLflow away. After each, ONE plain run must end with

    the same dataset, byte for byte; the same rollouts and evaluation rows, none lost or doubled; one MLflow run per
    stage, none left running, every curve with the same steps, each once; the same values, the same final models.

The last line is JSON: kills by stage and kind, and every violation with the seed that repeats it. How a stage is
disturbed is in ``disturbances.py``, what must be left in ``aftermath.py``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from aftermath import differences, facts, last_whole
from disturbances import KILLS, KINDS, LONGEST, count_commits, damage, ended, fork, limit_files, mlflow_away, newest

#: What every child would import again; none of it starts a thread, which a fork would lose.
WARM = (
    "cryptography.fernet",
    "duckdb",
    "flows",
    "git",
    "matplotlib.figure",
    "mlflow",
    "mlflow.pyfunc",
    "mlflow.store.db.utils",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "pyarrow.parquet",
    "scipy.stats",
    "sqlalchemy.dialects.sqlite",
    "torch",
    "data.ingest",
    "data.sources.simulated",
    "models.base",
    "models.evaluation.run",
    "models.figures",
    "models.practice.evaluation",
    "models.random_model",
    "models.rewards.bench",
    "models.training.early_stopping",
    "models.training.grpo",
    "models.training.priming",
    "models.training.sft",
    "tasks.base_model",
    "tasks.evaluation",
    "tasks.ingest",
    "tasks.ingest_table",
    "tasks.training",
    "tasks.whole",
)
STAGES = ("ingest", "sft", "grpo", "evaluate")


def settings() -> Any:
    """The smoke profile with a checkpoint after each step."""
    from data import profiles

    often = {"save_every_minutes": 1e-6}
    return profiles.resolve(
        "smoke",
        {
            "sft": {"max_steps": 4, "averaging": 0.1, **often},
            "prime": {"max_steps": 2, **often},
            "grpo": {"max_steps": 3, **often},
            "evaluation": {"decision_points": 8, "batch_size": 2},
            "data": {"processes": 1},
        },
    )


def whole_job(last: str) -> None:
    """Everything up to the stage ``last``, without Prefect; what is done already is reused."""
    from tasks.base_model import prepare_base_model
    from tasks.evaluation import evaluate
    from tasks.ingest import ingest_source
    from tasks.selection import Selection
    from tasks.training import train
    from tasks.whole import parent_run

    chosen = settings()
    with parent_run(chosen, Selection()) as whole:
        version = ingest_source.fn(chosen, whole)
        base = prepare_base_model.fn(chosen, version, whole)
        if last == "ingest":
            return
        sft = train.fn("sft", chosen, base, whole)
        if last == "sft":
            return
        grpo = train.fn("grpo", chosen, train.fn("primed", chosen, sft, whole), whole)
        if last == "grpo":
            return
        for run_id in (sft, grpo):
            evaluate.fn(chosen, run_id, whole)


def warm_up() -> None:
    """Import and read what an attempt needs, also what it imports only on its way, and open nothing."""
    from tasks.addresses import TRAINERS
    from tasks.code import code_digest

    for name in WARM:
        import_module(name)
    for trainer in TRAINERS.values():
        code_digest(trainer.module)
    gc.freeze()  # else every collection in a child walks over all of this, and copies its pages


@dataclass
class Bench:
    """The place where jobs are run, the undisturbed results, and what was counted."""

    var: Path
    kept: Path
    seed: int
    reference: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    commits: dict[str, int] = field(default_factory=dict)
    counted: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        """What the attempts said."""
        return self.kept / "log"

    def run(self, stage: str, prepare: Callable[[], None] | None = None) -> int:
        """Start an attempt at everything up to ``stage``."""

        def do() -> None:
            if prepare is not None:
                prepare()
            whole_job(stage)

        return fork(do, self.log)

    def look(self, stage: str) -> dict[str, Any]:
        """The facts, gathered in a child."""
        told = self.kept / "facts.json"
        told.unlink(missing_ok=True)
        code = ended(fork(lambda: _tell(told, facts(stage)), self.log), LONGEST)
        if code != 0:
            return {"facts": f"could not be gathered: {self.last_words()}"}
        return dict(json.loads(told.read_text()))

    def last_words(self) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-1500:]

    def begin(self) -> None:
        """Run every stage once undisturbed; keep what lay there before it, and what came out."""
        for number, stage in enumerate(STAGES):
            shutil.copytree(self.var, self.kept / f"before-{stage}", symlinks=True)
            told = self.kept / "commits"
            began = time.monotonic()
            code = ended(self.run(stage, partial(count_commits, tell=told)), LONGEST)
            if code != 0:
                raise SystemExit(f"{stage} fails undisturbed ({code}):\n{self.last_words()}")
            self.seconds[stage] = time.monotonic() - began
            self.commits[stage] = int(told.read_text())
            self.reference[stage] = self.look(stage)
            print(f"{number + 1}/{len(STAGES)} {stage}: {self.seconds[stage]:.1f} s, {self.commits[stage]} commits",
                  file=sys.stderr, flush=True)  # fmt: skip

    def restore(self, stage: str) -> None:
        """Put back what lay there before the stage."""
        shutil.rmtree(self.var)
        shutil.copytree(self.kept / f"before-{stage}", self.var, symlinks=True)

    def disturb(self, number: int, stage: str, kind: str) -> bool:
        """One disturbance, one plain run, one comparison; False if the job ended before it could be disturbed."""
        draw = random.Random(f"{self.seed}-{number}")
        self.restore(stage)
        self.log.write_text("")
        if not self.hit(stage, kind, draw) or last_whole(self.var) != last_whole(self.kept / f"before-{stage}"):
            return False  # it had ended, and recorded so: the plain run is another one
        self.counted[f"{stage}: {kind}"] += 1
        code = ended(self.run(stage), LONGEST)
        wrong = [f"the plain run ends with {code}: {self.last_words()}"] if code != 0 else []
        wrong = wrong or differences(self.reference[stage], self.look(stage))
        for line in wrong:
            told = f"--seed {self.seed}, number {number}, {stage}, {kind}: {line}"
            self.violations.append(told)
            print(f"VIOLATION {told}", file=sys.stderr, flush=True)
        if wrong:
            shutil.copytree(self.var, self.kept / f"violation-{number}", dirs_exist_ok=True, symlinks=True)
        return True

    def hit(self, stage: str, kind: str, draw: random.Random) -> bool:
        """Start the job and do to it what ``kind`` says."""
        if kind == "commit":
            at = draw.randrange(self.commits[stage])
            return ended(self.run(stage, lambda: count_commits(kill_at=at)), LONGEST) == -signal.SIGKILL
        if kind == "disk full":
            most = int(2 ** draw.uniform(8, 19))
            return ended(self.run(stage, lambda: limit_files(most)), LONGEST) not in (0, None)
        prepare = mlflow_away if kind == "away" else None
        sent = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}.get(kind, signal.SIGKILL)
        child = self.run(stage, prepare)
        if (code := ended(child, draw.uniform(0, self.seconds[stage]))) is None:
            os.kill(child, sent)
            code = ended(child, LONGEST)
        if code == 0 or code is None:
            return False
        if kind == "checkpoint":
            return damage(sorted(self.var.glob("runs/*/checkpoints/checkpoint-*/*"), key=newest), draw)
        if kind == "shard":
            folders = ("datasets/*/*.parquet", "rollouts/*/*.parquet", "evaluations/*/*.parquet")
            return damage([file for folder in folders for file in sorted(self.var.glob(folder))], draw)
        return True


def _tell(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found))


def soak(kills: int, seed: int, kinds: list[str] | None = None, stages: list[str] | None = None) -> dict[str, Any]:
    """Disturb until so many SIGKILLs have hit; what was done and what went wrong."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="apprentice-soak-") as place:
        var, kept = Path(place) / "var", Path(place) / "kept"
        var.mkdir()
        kept.mkdir()
        os.environ["APPRENTICE_VAR"] = str(var)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        warm_up()
        bench = Bench(var, kept, seed)
        bench.begin()
        draw = random.Random(seed)
        number = hit = 0
        while hit < kills:
            chosen = stages or STAGES
            stage = chosen[number % len(chosen)]
            kind = draw.choices(kinds or list(KINDS), [KINDS[kind] for kind in kinds or KINDS])[0]
            hit += bench.disturb(number, stage, kind) and kind in KILLS
            number += 1
            if number % 10 == 0:
                print(f"{hit} of {kills} kills, {len(bench.violations)} violations", file=sys.stderr, flush=True)
        if bench.violations:
            shutil.copytree(kept, Path(tempfile.gettempdir()) / "apprentice-soak-violations", dirs_exist_ok=True)
    return {
        "kills": hit,
        "disturbances": sum(bench.counted.values()),
        "by_stage_and_kind": dict(sorted(bench.counted.items())),
        "commit_points": bench.commits,
        "violations": bench.violations,
        "seconds": round(time.monotonic() - began, 1),
        "seed": seed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only these; may be repeated")
    parser.add_argument("--stage", action="append", choices=STAGES, help="only these; may be repeated")
    given = parser.parse_args()
    found = soak(given.kills, given.seed, given.kind, given.stage)
    print(json.dumps(found, indent=1) if found["violations"] else json.dumps(found))
    raise SystemExit(1 if found["violations"] else 0)


if __name__ == "__main__":
    main()
