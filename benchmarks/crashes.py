"""What is left after a kill: stages are ended at random moments, run again plainly, and compared with a quiet run.

Run with `make soak` (500 kills) or `python benchmarks/crashes.py --kills 20 --seed 1`. One warm process forks a child
for each attempt, so an attempt costs the stage and not its imports; the child is a process of its own and the kill is
SIGKILL. Moments are drawn in time, and at *commit points*: just before or after the child renames, removes or flushes
something, where a torn state would show. Other disturbances: SIGTERM and Ctrl-C, a full disk (a limit on the size of
files), a damaged newest checkpoint, a truncated Parquet shard, MLflow away. After each, ONE plain run must end with

    the same dataset, byte for byte; the same rollouts and evaluation rows, none lost or doubled; one MLflow run per
    stage, none left running, every curve with the same steps, each once; the same values, the same final models.

The last line is JSON: kills by stage and kind, and every violation with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAGES = ("ingest", "sft", "grpo", "evaluate")
#: How often each kind is drawn. ``time`` and ``commit`` are SIGKILL.
KINDS = {"time": 40, "commit": 40, "SIGTERM": 5, "SIGINT": 3, "disk full": 4, "checkpoint": 3, "shard": 3, "away": 2}
KILLS = ("time", "commit", "checkpoint", "shard", "away")
#: Curves that tell what something took.
CLOCKS = ("seconds", "minutes", "step_seconds", "peak_memory_mb")
#: Columns that say when or by which run, not what.
WHEN = ("created_at", "run_id", "attempt", "evaluation_id")
COMMITS = ("replace", "rename", "fsync", "unlink", "rmdir", "mkdir", "link")
LONGEST = 600.0


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
    """Import all that an attempt needs, and open nothing."""
    import mlflow  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch  # noqa: F401

    import flows  # noqa: F401
    import models.evaluation.run
    import models.training.grpo
    import models.training.priming
    import models.training.sft  # noqa: F401
    from tasks import evaluation, ingest, training, whole  # noqa: F401


def fork(do: Callable[[], None], log: Path) -> int:
    """Run ``do`` in a child of its own session; its process id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
        do()
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - the child's last word goes to its log
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(child: int, within: float) -> int | None:
    """Exit status of a child as ``Popen`` has it, or None if it still runs after so many seconds."""
    deadline = time.monotonic() + within
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


def count_commits(kill_at: int | None = None, tell: Path | None = None) -> None:
    """Wrap the calls that commit something: count them into ``tell``, or SIGKILL ourselves at one of them."""
    seen = 0

    def passed() -> None:
        nonlocal seen
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1
        if tell is not None:
            tell.write_text(str(seen))

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            passed()
            result = call(*given, **named)
            passed()
            return result

        return counted

    for name in COMMITS:
        setattr(os, name, wrapped(getattr(os, name)))


# --- what is left -----------------------------------------------------------------------------------------------------


def facts(last: str) -> dict[str, Any]:
    """Everything that must be the same however often the job was killed on its way."""
    from data import paths, snapshot
    from data.evaluations import files_of, read_evaluations
    from data.rollouts import read_rollouts
    from tasks import records

    version = snapshot.latest()
    assert version is not None
    snapshot.verify(version)
    found: dict[str, Any] = {
        "dataset": [version, snapshot.read_manifest(version).files],
        "gold": paths.gold_failures(version).read_text(),
        "mlflow": curves(paths.mlflow_database()),
        "unfinished": [f"{one.stage} {one.status}" for one in records.running()],
    }
    for record in records.every("sft", "primed", "grpo"):
        found.setdefault(f"{record.stage} records", []).append([record.status, record.steps, record.model_sha256])
        assert records.intact(record), f"the model of {record.stage} is not what its record says"
    for record in records.every("grpo"):
        found["rollouts"] = rows_of(read_rollouts(record.run_id))
    for record in records.every("evaluation"):
        name = record.outputs["evaluation_id"]
        stored = sum(len(read_parquet(file)) for file in files_of(name))
        model = records.of_run(record.start_run_id or "").stage
        found[f"evaluation of {model}"] = [record.status, stored, rows_of(read_evaluations(name))]
    return json.loads(json.dumps(found, default=str))


def read_parquet(file: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(file)


def rows_of(frame: Any) -> list[Any]:
    """Rows without the columns that tell when."""
    kept = frame.drop(columns=[name for name in WHEN if name in frame.columns])
    rows = json.loads(kept.to_json(orient="values", double_precision=15))
    return sorted(rows, key=json.dumps) if "decision_point_id" in kept.columns and "step" not in kept.columns else rows


def curves(database: Path) -> dict[str, Any]:
    """Per stage: how many runs and how they ended, and steps (values too, where no clock is told) of every curve."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        runs = connection.execute(
            "SELECT t.value, r.status, run_uuid FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'stage'"
        ).fetchall()
        points = connection.execute(
            "SELECT run_uuid, key, step, value FROM metrics ORDER BY step, timestamp"
        ).fetchall()
    stages = {run: stage for stage, _, run in runs}
    told: dict[str, Any] = {"runs": sorted([stage, status] for stage, status, _ in runs)}
    for run, key, step, value in points:
        clock = key.rpartition("/")[2] in CLOCKS
        told.setdefault(f"{stages.get(run)} {key}", []).append([step, None if clock else value])
    return told


def differences(expected: Any, found: Any, where: str = "") -> list[str]:
    """Where two nested structures differ, a line for each place."""
    if isinstance(expected, dict) and isinstance(found, dict):
        names = sorted(expected.keys() | found.keys())
        return [line for name in names for line in differences(expected.get(name), found.get(name), f"{where}/{name}")]
    if expected == found:
        return []
    return [f"{where}: {json.dumps(found)[:300]} instead of {json.dumps(expected)[:300]}"]


# --- disturbing -------------------------------------------------------------------------------------------------------


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
            code = ended(self.run(stage, lambda told=told: count_commits(tell=told)), LONGEST)
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
        if not self.hit(stage, kind, draw):
            return False
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
            return ended(self.run(stage, lambda: _limit_files(most)), LONGEST) not in (0, None)
        prepare = _mlflow_away if kind == "away" else None
        sent = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}.get(kind, signal.SIGKILL)
        child = self.run(stage, prepare)
        if (code := ended(child, draw.uniform(0, self.seconds[stage]))) is None:
            os.kill(child, sent)
            code = ended(child, LONGEST)
        if code == 0 or code is None:
            return False
        if kind == "checkpoint":
            return damage(sorted(self.var.glob("runs/*/checkpoints/checkpoint-*/*"), key=_newest), draw)
        if kind == "shard":
            folders = ("datasets/*/*.parquet", "rollouts/*/*.parquet", "evaluations/*/*.parquet")
            return damage([file for folder in folders for file in sorted(self.var.glob(folder))], draw)
        return True


def _tell(file: Path, found: dict[str, Any]) -> None:
    file.write_text(json.dumps(found))


def _limit_files(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _mlflow_away() -> None:
    os.environ["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"


def _newest(file: Path) -> tuple[int, str]:
    return int(file.parent.name.split("-")[1]), file.name


def damage(files: list[Path], draw: random.Random) -> bool:
    """Cut one of the files short or change a byte of it; of checkpoints one of the newest. False if there is none."""
    if files and files[-1].parent.name.startswith("checkpoint-"):
        files = [file for file in files if file.parent == files[-1].parent]
    files = [file for file in files if file.is_file() and file.stat().st_size]
    if not files:
        return False
    file = draw.choice(files)
    content = file.read_bytes()
    at = draw.randrange(len(content))
    file.write_bytes(
        content[:at] if draw.random() < 0.5 else content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    )
    return True


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
