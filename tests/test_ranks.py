"""Two processes that train together do what one does; rank 0 alone writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from models.training import ranks

ROOT = Path(__file__).resolve().parent.parent
#: Commands one after the other in one process, as `apprentice` would run each.
COMMANDS = """
from tasks.ranks import run_in_ranks

def commands():
    from flows.cli import app
    common = ["--profile", "smoke", "--source", "simulated"]
    app(["ingest", *common], standalone_mode=False)
    app(["sft", *common], standalone_mode=False)
    app(["prime", *common], standalone_mode=False)
    grpo = ["batch_size=8", "num_generations=2", "micro_batch_size=4", "max_steps=2", "start=sft"]
    for more in ((), ("zero_variance=skip", "loss_type=dr_grpo"), ("zero_variance=replace",)):
        settings = [part for one in (*grpo, *more) for part in ("--set", f"grpo.{one}")]
        app(["grpo", *common, "--no-thinking", *settings], standalone_mode=False)

if __name__ == "__main__":
    run_in_ranks(commands)
"""

#: A command that only tells which threads its process has, during it and afterwards; Linux names threads.
ENDING = """
import time
from pathlib import Path
from tasks.ranks import run_in_ranks

def gloo_threads():
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return sum("gloo" in name for name in names)

def command():
    time.sleep(0.5)  # a thread gives itself its name
    print(f"during: {gloo_threads()}\\n", end="", flush=True)

if __name__ == "__main__":
    run_in_ranks(command)
    print(f"after: {gloo_threads()}\\n", end="", flush=True)
"""


@dataclass(frozen=True)
class Run:
    """What a launch left."""

    var: Path
    said: str

    def directory(self, kind: str) -> Path:
        """Of the one run of a stage, or of ``skipping`` and ``replacing``: GRPO that leaves out groups without
        variance, or draws others."""
        found: dict[str, list[Path]] = {}
        for file in self.var.glob("runs/*/outcome.json"):
            told = json.loads((file.parent / "settings.json").read_text())
            named = {"skip": "skipping", "replace": "replacing"}.get(told.get("zero_variance"), told["stage"])
            found.setdefault(named, []).append(file.parent)
        (one,) = found[kind]
        return one

    def rollouts(self, kind: str) -> pd.DataFrame:
        files = sorted((self.var / "rollouts" / self.directory(kind).name).glob("*.parquet"))
        rows = pd.concat([pq.read_table(file).to_pandas() for file in files])
        return rows.sort_values(["step", "decision_point_id", "completion_index"]).reset_index(drop=True)

    def weights(self, kind: str) -> dict[str, Any]:
        return load_file(self.directory(kind) / "model" / "model.safetensors")

    def curve(self, kind: str, name: str) -> dict[int, float]:
        rows = [json.loads(line) for line in (self.directory(kind) / "metrics.jsonl").read_text().splitlines()]
        return {int(row["step"]): float(row["values"][name]) for row in rows if name in row["values"]}


def launched(var: Path, processes: int, commands: str = COMMANDS) -> Run:
    var.mkdir(parents=True, exist_ok=True)
    script = var / "commands.py"
    script.write_text(commands)
    ranks_of = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    launcher = ranks_of if processes > 1 else []
    # Batches of other sizes round alike.
    float32 = {"APPRENTICE_PRECISION": "float32", "ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *launcher, str(script)],
        env={**os.environ, **float32, "APPRENTICE_VAR": str(var), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Run(var, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, begin_stores: Callable[..., None]) -> Run:
    begin_stores(var := tmp_path_factory.mktemp("alone") / "var")
    return launched(var, 1)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, begin_stores: Callable[..., None]) -> Run:
    begin_stores(var := tmp_path_factory.mktemp("together") / "var")
    return launched(var, 2)


@pytest.mark.parametrize("kind", ["grpo", "skipping", "replacing"])
def test_two_processes_sample_the_same_rollouts_and_all_are_stored_once(alone: Run, together: Run, kind: str) -> None:
    columns = ["step", "decision_point_id", "completion_index", "text", "reward", "attempt"]
    ours, theirs = together.rollouts(kind), alone.rollouts(kind)
    assert (~theirs["discarded"]).sum() == 2 * 8
    pd.testing.assert_frame_equal(ours[columns], theirs[columns])
    assert (ours["advantage"] - theirs["advantage"]).abs().max() < 1e-5


@pytest.mark.parametrize(("kind", "steps"), [("sft", 2), ("primed", 1), ("grpo", 2), ("skipping", 2)])
def test_two_processes_go_through_the_same_losses_to_the_same_weights(
    alone: Run, together: Run, kind: str, steps: int
) -> None:
    losses = alone.curve(kind, "train/loss")
    assert losses.keys() == set(range(1, steps + 1))
    assert together.curve(kind, "train/loss") == pytest.approx(losses, rel=1e-3, abs=1e-4)
    assert together.curve(kind, "train/grad_norm") == pytest.approx(alone.curve(kind, "train/grad_norm"), rel=1e-2)
    ours, theirs = together.weights(kind), alone.weights(kind)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-4


def test_rank_0_alone_keeps_records_of_what_all_did(alone: Run, together: Run) -> None:
    for name in ("train/reward", "train/call_share", "train/zero_variance_groups"):
        assert together.curve("grpo", name) == pytest.approx(alone.curve("grpo", name), abs=1e-4)
    assert sum(alone.curve("skipping", "train/zero_variance_groups").values()) > 0
    assert alone.rollouts("replacing")["discarded"].any()
    assert runs_in_mlflow(together.var) == runs_in_mlflow(alone.var)
    assert together.said.count("grpo: 2 of 2 steps") == 3


@pytest.mark.skipif(sys.platform != "linux", reason="threads are told by name where /proc lists them")
def test_the_threads_that_carried_the_last_message_are_gone_before_a_process_ends(tmp_path: Path) -> None:
    said = launched(tmp_path / "var", 2, ENDING).said
    (during,) = (int(number) for number in re.findall(r"during: (\d+)", said))  # rank 0 alone runs the command
    after = [int(number) for number in re.findall(r"after: (\d+)", said)]
    assert len(after) == 2
    # Half of them are the messages'; the default group's may stay, since others hold it, but have been idle for long.
    assert max(after) <= during // 2


def runs_in_mlflow(var: Path) -> list[tuple[Any, ...]]:
    import sqlite3

    with sqlite3.connect(var / "mlflow.db") as connection:
        return sorted(connection.execute("SELECT name, status FROM runs").fetchall())


def test_shares_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks.shares(8, 8) == {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 1}
    assert ranks.agreed(7) == 7
    assert ranks.gathered([1, 2]) == [1, 2]
    assert ranks.leads()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert not ranks.leads()
    told = ranks.shares(32, 8, group=8)
    assert (told["per_device_train_batch_size"], told["gradient_accumulation_steps"]) == (8, 2)
    assert ranks.shares(8, 8)["per_device_train_batch_size"] == 4
    with pytest.raises(ranks.RanksError, match="multiple of 16"):
        ranks.shares(24, 8, group=8)
    with pytest.raises(ranks.RanksError, match="divisor of 6"):
        ranks.shares(12, 4)
