"""One whole GRPO step (rollouts, rewards, loss, backward, optimizer): ours against TRL's trainer at its best setting.

    .venv/bin/python benchmarks/grpo_step.py --workload short
    .venv/bin/python benchmarks/grpo_step.py --workload conversation --source sgd --path ../shared/data/sgd --tokens 64

``short`` is 8 prompts of 350 tokens from different conversations, ``conversation`` all decision points of a few
conversations; each is completed 8 times with exactly ``--tokens`` tokens, so both sides do the same work, in the same
process, precision and thread count, in turn. The peer is ``GRPOTrainer`` as it comes, with ``generate``, once per
micro-batch size and with and without gradient checkpointing; its best counts and all are printed. The last line is
JSON: seconds of ours and the peer, and how many times longer the peer takes (``ratio``).
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from workload import arguments, decision_points_of, fetch, our_seams, prompt_texts, tell

GROUP = 8


def clock() -> Any:
    """A callback that times the optimizer steps, rollouts included."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *unused: Any, **more: Any) -> None:
            self._started = time.perf_counter()

        def on_step_end(self, *unused: Any, **more: Any) -> None:
            self.seconds.append(time.perf_counter() - self._started)

    return Clock()


def job_of(directory: Path, folder: Path, rows: int, micro_batch: int, tokens: int) -> Any:
    """A training job of one step over ``rows`` completions."""
    from data.profiles import resolve
    from models.training.job import TrainingJob

    grpo = {
        "thinking": False,
        "batch_size": rows,
        "micro_batch_size": micro_batch,
        "num_generations": GROUP,
        "max_completion_length": tokens,
        "max_steps": 1,
        "warmup_steps": 0,
    }
    return TrainingJob("benchmark", "none", directory, folder, resolve("laptop", {"device": "cpu", "grpo": grpo}))


def time_ours(directory: Path, points: list[Any], texts: list[str], tokens: int, rows: int) -> float:
    """Seconds of our step in micro-batches of ``rows``, activations held to the memory there is, as in a training."""
    import models.training.decision_trainer as ours
    from data.reporting import Silent
    from models.compute import decode_dtype
    from models.engine.recomputing import bound_activations
    from models.engine.rollout import decoder, generate
    from models.policy import load_model, load_tokenizer
    from models.training.scoring import BatchScorer

    def endless(*given: Any, **named: Any) -> Any:
        return generate(*given, **{**named, "end_token": -1})

    with our_seams(), tempfile.TemporaryDirectory() as folder, mock.patch.object(ours, "generate", endless):
        job = job_of(directory, Path(folder), len(texts) * GROUP, rows, tokens)
        model = load_model(directory)
        bound_activations(model, print)
        trainer = ours.DecisionPointTrainer(
            job=job,
            reporter=Silent(),
            scorer=BatchScorer({point.id: point for point in points}, job.settings.grpo, "none"),
            twin=decoder(load_model(directory), decode_dtype(job.settings)),
            model=model,
            **trainer_arguments(job, points, texts, load_tokenizer(directory)),
        )
        trainer._kl_to_start = lambda output: 0.0  # every tenth step measures it; the peer never does
        return timed(trainer)


def time_peer(
    directory: Path, points: list[Any], texts: list[str], tokens: int, micro_batch: int, checkpointing: bool
) -> float:
    """Seconds of TRL's step as it comes."""
    from trl import GRPOTrainer

    from models.policy import load_model, load_tokenizer
    from models.training.scoring import BatchScorer

    with tempfile.TemporaryDirectory() as folder:
        job = job_of(directory, Path(folder), len(texts) * GROUP, micro_batch, tokens)
        wanted = trainer_arguments(job, points, texts, load_tokenizer(directory))
        wanted["args"].generation_kwargs = {"min_new_tokens": tokens}
        wanted["args"].gradient_checkpointing = checkpointing
        scorer = BatchScorer({point.id: point for point in points}, job.settings.grpo, "none")
        return timed(GRPOTrainer(model=load_model(directory), reward_funcs=scorer.functions(), **wanted))


def trainer_arguments(job: Any, points: list[Any], texts: list[str], tokenizer: Any) -> dict[str, Any]:
    """What both trainers are given alike."""
    from datasets import Dataset

    from models.training.grpo import grpo_arguments

    rows = [{"prompt": text, "decision_point_id": point.id} for point, text in zip(points, texts, strict=True)]
    return {"args": grpo_arguments(job), "train_dataset": Dataset.from_list(rows), "processing_class": tokenizer}


def timed(trainer: Any) -> float:
    """Seconds of the trainer's one step."""
    from transformers import PrinterCallback

    watch = clock()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    trainer.train()
    return watch.seconds[0]


def main() -> None:
    """Time both sides and print the result."""
    parser = arguments(__doc__)
    parser.add_argument("--workload", choices=["short", "conversation"], default="short")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of each completion")
    parser.add_argument("--passes", type=int, default=1, help="micro-batches that our side makes of a step's rows")
    parser.add_argument("--micro-batches", type=int, nargs="+", default=[8], help="of the peer")
    parser.add_argument("--checkpointing", choices=["off", "on", "both"], default="off", help="of the peer")
    parser.add_argument("--ours-only", action="store_true", help="leave the peer out; then peer is 0")
    chosen = parser.parse_args()

    from models.policy import load_tokenizer

    directory = fetch(chosen.model)
    os.environ["APPRENTICE_VAR"] = tempfile.mkdtemp()  # rollouts are stored as in a real run, but not among those
    points = decision_points_of(chosen.source, chosen.path, chosen.workload, chosen.conversations)
    texts = prompt_texts(load_tokenizer(directory), points, chosen.workload)
    # Imports, thread pools, and memory touched for the first time: a training pays for these once, in its first step.
    # The peer's is touched by its first micro-batch.
    rows = len(texts) * GROUP // chosen.passes
    time_ours(directory, points, texts, chosen.tokens, rows)
    ours = time_ours(directory, points, texts, chosen.tokens, rows)
    print(f"ours: {ours:.1f} s", flush=True)
    peers: dict[str, float] = {"none": 0.0} if chosen.ours_only else {}
    for micro_batch in () if chosen.ours_only else chosen.micro_batches:
        for checkpointing in {"off": [False], "on": [True], "both": [False, True]}[chosen.checkpointing]:
            name = f"micro-batch {micro_batch}{', checkpointing' if checkpointing else ''}"
            peers[name] = time_peer(directory, points, texts, chosen.tokens, micro_batch, checkpointing)
            print(f"TRL, {name}: {peers[name]:.1f} s", flush=True)
    tell(
        "grpo_step",
        ours,
        peers,
        workload=chosen.workload,
        rows=len(texts) * GROUP,
        completion_tokens=chosen.tokens,
        passes=chosen.passes,
        decision_points=len(points),
    )


if __name__ == "__main__":
    main()
