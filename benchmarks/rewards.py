"""Replaying stored rollouts under another reward: ours against TRL's own path over the same completions.

    .venv/bin/python benchmarks/rewards.py
    .venv/bin/python benchmarks/rewards.py --source sgd --path ../shared/data/sgd --rollouts 20000

Rollouts of ``--rollouts`` completions in groups of 8 are stored first: golds and their usual mistakes, each with a
thought of its own, so that no two are equal and nothing is saved by scoring equals once. Everything runs on one core.

*Ours* is ``apprentice rewards replay`` without printing: reading Parquet and the decision points, scoring, advantages,
and the comparison with what was stored. The *peer* is what TRL offers: its ``GRPOTrainer`` is given the stored
completions by ``rollout_func`` and goes through ``_generate_and_score_completions`` step by step, with the same reward;
its prompts are empty, reading the data is not counted, and no model is called, all in its favour. It is timed with one
scorer behind all reward functions (our ``BatchScorer``) and with functions that know nothing of each other, as TRL's
usually are; the better of the two counts.
``row_by_row`` is the published ToolRL scorer in a plain loop, which does less: it knows no schema, no answers and no
history, and its rows are in memory. The last line is JSON: seconds of ours and the peer, how many times longer the peer
takes (``ratio``), and completions a minute; ``_cpu`` is processor time, which says more on a machine with other work.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

GROUP = 8
GROUPS_A_STEP = 4
SENTENCES = (
    "The user has named what is needed.",
    "One thing is still missing, so I ask for it.",
    "The last result answers the question.",
    "I compare the options and take the cheapest.",
    "Nothing has to be booked yet.",
    "The date was changed in the last message.",
)


class Seconds(NamedTuple):
    """Wall clock and processor time; ordered by wall clock."""

    wall: float
    cpu: float

    def __sub__(self, earlier: Seconds) -> Seconds:
        return Seconds(self.wall - earlier.wall, self.cpu - earlier.cpu)


def now() -> Seconds:
    """Both clocks."""
    return Seconds(time.perf_counter(), time.process_time())


def completion(point: Any, number: int, dice: random.Random) -> str:
    """Gold or a usual mistake, after a thought that no other completion has."""
    from models.speech.template import completion_text

    thought = " ".join([f"Case {number}.", *dice.sample(SENTENCES, dice.randint(1, 4))])
    gold = completion_text(point.expected, thought)
    body, closed, action = gold.partition("</think>")
    mistakes = (
        gold,
        gold.replace('": "', '": "un', 1),
        f"{gold}\n{action.strip()}",
        f"{body}{closed}\n\nCould you tell me a little more about what you would like, please?",
        f'{body}{closed}\n\n<tool_call>\n{{"name": "{point.tools[0].name}", "arguments": {{}}}}\n</tool_call>',
        f"{body}{closed}\n\n<tool_call>\n{{",
        f"{gold} Is there anything else I can do for you?",
        gold[: max(len(body), len(gold) - 12)],
    )
    return mistakes[dice.randrange(len(mistakes))]


def store_run(version: str, rollouts: int, stage: Any) -> tuple[str, list[list[tuple[Any, str]]]]:
    """Store rollouts as a GRPO run would have; its id, and the steps as ``(decision point, text)``."""
    from data import paths
    from data.rollouts import append_rollouts
    from data.snapshot import read_decision_points
    from models.training.advantages import advantages, part_table
    from models.training.scoring import BatchScorer

    dice = random.Random("rewards")
    points = read_decision_points(version, splits=["train"])
    dice.shuffle(points)
    scorer = BatchScorer({point.id: point for point in points}, stage, version)
    steps = []
    for step in range(max(1, rollouts // (GROUP * GROUPS_A_STEP))):
        chosen = [points[(step * GROUPS_A_STEP + number) % len(points)] for number in range(GROUPS_A_STEP)]
        made = [
            (point, completion(point, step * 100 + number, dice))
            for number, point in enumerate(one for one in chosen for _ in range(GROUP))
        ]
        opened = [text.removeprefix("<think>\n") for _, text in made]
        scorer.batch = scorer.judge(opened, [point.id for point, _ in made])
        found = advantages(part_table([one.parts for one in scorer.batch]), scorer.rule).tolist()
        append_rollouts("benchmark", step + 1, scorer.rows(found, [40] * len(made), [False] * len(made)))
        steps.append(made)
    paths.run("benchmark").mkdir(parents=True)
    (paths.run("benchmark") / "settings.json").write_text(json.dumps(stage.model_dump(mode="json")))
    return "benchmark", steps


def time_ours(run_id: str, reward: str) -> Seconds:
    """Seconds of a replay with its comparison."""
    from data.reporting import Silent
    from models.training.comparison import by_tool, compare, largest_flips
    from models.training.replay import changed_settings, replay, run_settings

    started = now()
    original = run_settings(run_id)
    replayed = replay(run_id, original, changed_settings(original, {}, {"reward": reward}), Silent())
    assert compare(replayed).completions == len(replayed.rollouts)
    assert len(by_tool(replayed))
    largest_flips(replayed)
    return now() - started


def time_peer(steps: list[list[tuple[Any, str]]], stage: Any, reward: str, folder: Path, separate: bool) -> Seconds:
    """Seconds of TRL's trainer over the same completions; its construction is not counted."""
    from datasets import Dataset
    from trl import GRPOTrainer

    from data.profiles import resolve
    from data.reporting import Silent
    from models.base import fetch_base_model
    from models.policy import load_model, load_tokenizer
    from models.training.grpo import grpo_arguments
    from models.training.job import TrainingJob
    from models.training.scoring import BatchScorer

    directory = fetch_base_model("random:qwen3", Silent())
    tokenizer = load_tokenizer(directory)
    settings = resolve("smoke", {"device": "cpu", "grpo": {**stage.model_dump(), "reward": reward}})
    points = {point.id: point for step in steps for point, _ in step}
    first, *others = (BatchScorer(points, settings.grpo, "none") for _ in range(3))
    waiting: list[list[str]] = []

    def stored(prompts: list[str], trainer: Any) -> dict[str, Any]:
        ids = tokenizer([text.removeprefix("<think>\n") for text in waiting.pop()], add_special_tokens=False)
        found = ids["input_ids"]
        return {
            "prompt_ids": [[1]] * len(found),
            "completion_ids": found,
            "logprobs": [[0.0] * len(one) for one in found],
        }

    trainer = GRPOTrainer(
        model=load_model(directory),
        args=grpo_arguments(TrainingJob("peer", "none", directory, folder, settings)),
        reward_funcs=[
            scorer.functions()[number] for number, scorer in enumerate([first, *others] if separate else [first] * 3)
        ],
        rollout_func=stored,
        train_dataset=Dataset.from_list([{"prompt": "", "decision_point_id": one} for one in points]),
        processing_class=tokenizer,
    )
    trainer.model.train()
    started = now()
    for step in steps:
        waiting.append([text for _, text in step])
        trainer._generate_and_score_completions([{"prompt": "", "decision_point_id": point.id} for point, _ in step])
    return now() - started


def time_row_by_row(steps: list[list[tuple[Any, str]]]) -> Seconds:
    """Seconds of the ToolRL scorer alone, with the group's mean and deviation in plain Python."""
    from statistics import fmean, stdev

    from models.rewards.toolrl import toolrl_correctness, toolrl_format, toolrl_notation

    started = now()
    for step in steps:
        rewards = []
        for point, text in step:
            written = toolrl_notation(text, thinking=True)
            calls = point.expected.tool_calls
            rewards.append(toolrl_format(written, call_is_due=bool(calls)) + toolrl_correctness(written, calls))
        for start in range(0, len(rewards), GROUP):
            group = rewards[start : start + GROUP]
            mean, spread = fmean(group), stdev(group)
            assert all(abs((reward - mean) / (spread + 1e-4)) < GROUP for reward in group)
    return now() - started


def main() -> None:
    """Time all sides on one core and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="simulated", help="where decision points come from, e.g. sgd")
    parser.add_argument("--path", type=Path, help="directory of the source's files")
    parser.add_argument("--conversations", type=int, default=400)
    parser.add_argument("--rollouts", type=int, default=20_000)
    parser.add_argument("--reward", default="graded", help="reward to replay under")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts, on all sides")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        os.environ["APPRENTICE_VAR"] = folder

        from data.ingest import ingest
        from data.reporting import Silent
        from data.settings import DataSettings, GRPOSettings

        data = DataSettings(source=chosen.source, path=chosen.path, conversations=chosen.conversations)
        version = ingest(data, Silent()).dataset_version
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

        import torch

        torch.set_num_threads(1)
        size = GROUP * GROUPS_A_STEP
        stage = GRPOSettings(num_generations=GROUP, batch_size=size, micro_batch_size=size)
        run_id, steps = store_run(version, chosen.rollouts, stage)
        time_ours(run_id, chosen.reward)  # imports and first-use tables are not what is measured
        ours = min(time_ours(run_id, chosen.reward) for _ in range(chosen.repeats))
        peers = {
            name: min(time_peer(steps, stage, chosen.reward, Path(folder), separate) for _ in range(chosen.repeats))
            for name, separate in (("one scorer", False), ("separate functions", True))
        }
        peer = min(peers.values())
        row_by_row = min(time_row_by_row(steps) for _ in range(chosen.repeats))
    rollouts = sum(map(len, steps))
    result = {
        "benchmark": "rewards",
        "source": chosen.source,
        "reward": chosen.reward,
        "ours": round(ours.wall, 2),
        "peer": round(peer.wall, 2),
        "ratio": round(peer.wall / ours.wall, 2),
        "ours_cpu": round(ours.cpu, 2),
        "peer_cpu": round(peer.cpu, 2),
        "peer_all_cpu": {name: round(seconds.cpu, 2) for name, seconds in peers.items()},
        "row_by_row_cpu": round(row_by_row.cpu, 2),
        "rollouts": rollouts,
        "per_minute": round(rollouts / ours.wall * 60),
        "per_minute_cpu": round(rollouts / ours.cpu * 60),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
