"""SFT over whole conversations: our use of TRL's ``SFTTrainer`` against the trainer as it comes, at its best setting.

    .venv/bin/python benchmarks/sft_step.py --source sgd --path ../shared/data/sgd --conversations 8

Both make one optimizer step over the same tokenised conversations, in the same precision. Ours scores labelled
positions only and attends block by block; the peer is tried with several micro-batch sizes (its rows sorted by length,
so that little is padded), and with gradient checkpointing. The last line is JSON: seconds of ours and the peer, and
how many times longer the peer takes (``ratio``); ``loss`` shows that both did the same work.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from workload import arguments, conversations, fetch, our_seams, tell


def time_step(
    directory: Path, rows: list[dict[str, list[int]]], micro_batch: int, *, ours: bool, checkpointing: bool = False
) -> tuple[float, float]:
    """Seconds of one step over all rows, and its loss."""
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    from data.profiles import resolve
    from models.engine.blocks import BLOCKS
    from models.policy import load_model, load_tokenizer
    from models.training.job import TrainingJob
    from models.training.loop import common_arguments

    class Clock(TrainerCallback):
        seconds = 0.0

        def on_step_begin(self, *unused: Any, **more: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *unused: Any, **more: Any) -> None:
            self.seconds = time.perf_counter() - self.started

    sft = {"batch_size": len(rows), "micro_batch_size": micro_batch, "max_steps": 1, "warmup_steps": 0}
    model = load_model(directory)
    if ours:
        model.set_attn_implementation(BLOCKS)
    with our_seams() if ours else nullcontext(), tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(
            "benchmark", "none", directory, Path(folder), resolve("laptop", {"device": "cpu", "sft": sft})
        )
        wanted = {**common_arguments(job, job.settings.sft), "gradient_checkpointing": checkpointing}
        watch = Clock()
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**wanted, max_length=None, packing=False, shuffle_dataset=False),
            train_dataset=Dataset.from_list(sorted(rows, key=lambda row: len(row["input_ids"]))),
            processing_class=load_tokenizer(directory),
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        trainer._get_train_sampler = lambda *unused: None  # in the order given: by length
        loss = trainer.train().training_loss
    return watch.seconds, float(loss)


def main() -> None:
    """Time both sides and print the result."""
    parser = arguments(__doc__)
    parser.set_defaults(conversations=8)
    parser.add_argument("--micro-batches", type=int, nargs="+", default=[1, 2, 4], help="of the peer")
    parser.add_argument("--most-tokens", type=int, default=2048, help="longer conversations are left out")
    chosen = parser.parse_args()

    from models.policy import load_tokenizer
    from models.training.sft import labelled_rows

    directory = fetch(chosen.model)
    found = conversations(chosen.source, chosen.path, 4 * chosen.conversations)
    rows = labelled_rows(load_tokenizer(directory), found, chosen.most_tokens)[0][: chosen.conversations]
    time_step(directory, rows[:1], 1, ours=True)
    ours, loss = time_step(directory, rows, 1, ours=True)
    print(f"ours: {ours:.1f} s, loss {loss:.4f}", flush=True)
    peers, losses = {}, {"ours": round(loss, 4)}
    tried = [(size, False) for size in chosen.micro_batches if len(rows) % size == 0] + [(1, True)]
    for size, checkpointing in tried:
        name = f"micro-batch {size}{', checkpointing' if checkpointing else ''}"
        peers[name], told = time_step(directory, rows, size, ours=False, checkpointing=checkpointing)
        losses[name] = round(told, 4)
        print(f"TRL, {name}: {peers[name]:.1f} s, loss {told:.4f}", flush=True)
    lengths = [len(row["input_ids"]) for row in rows]
    tell("sft_step", ours, peers, conversations=len(rows), tokens=sum(lengths), longest=max(lengths), loss=losses)


if __name__ == "__main__":
    main()
