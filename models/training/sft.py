"""SFT without thinking on whole conversations: the paper's baseline, with TRL's ``SFTTrainer``.

We tokenise ourselves (ids and labels), so no Arrow struct unification can put a null argument of one tool into another
tool's calls. The loss is on what the assistant writes. A conversation longer than ``max_length`` ends with its last
whole assistant message within it: every label still has its own history before it. Dropping the long ones instead would
leave out the conversations over several services, two thirds of what people said to SGD's assistants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, TypeVar

from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from data.reporting import Reporter
from data.schema import Conversation
from data.settings import RejectionSettings, SFTSettings, TrainingSettings
from data.snapshot import read_conversations
from models.compute import tell_what_is_slow, uses_cuda
from models.engine.blocks import BLOCKS
from models.engine.flex import FLEX
from models.engine.recomputing import bound_activations
from models.interruption import interruption
from models.policy import load_model, load_tokenizer, lora_config
from models.speech.template import conversation_tokens
from models.training import ranks
from models.training.averaging import Shown, averaged
from models.training.coverage import covering_order, lessons
from models.training.early_stopping import chosen_by_validation
from models.training.job import TrainingJob, TrainingOutcome
from models.training.loop import (
    BudgetCallback,
    ReportCallback,
    common_arguments,
    finished_before,
    run_trainer,
)
from models.training.seams import fold_in_caches, score_labelled_positions_only
from models.training.tree_sft import InOrderSFTTrainer, TreeSFTTrainer

IGNORED = -100
Epochal = TypeVar("Epochal", SFTSettings, RejectionSettings)
Watch = Callable[[BudgetCallback, Shown], TrainerCallback]


class EmptySplit(Exception):
    """There is nothing to train on; the message says why and what to do."""


def train_sft(job: TrainingJob, reporter: Reporter) -> TrainingOutcome:
    """Train the SFT baseline on the train split of a dataset version.

    Raises:
        EmptySplit: No conversation of the train split fits into ``max_length``.
    """
    return train_on_conversations(job, reporter, "sft", job.settings.sft)


def train_on_conversations(job: TrainingJob, reporter: Reporter, name: str, stage: SFTSettings) -> TrainingOutcome:
    """SFT as ``stage`` says, under its name; shared with SFT that goes on.

    Raises:
        EmptySplit: No conversation of the train split fits into ``max_length``.
    """
    if outcome := finished_before(job):
        return outcome
    tokenizer = load_tokenizer(job.start_model)
    conversations = read_conversations(job.dataset_version, splits=["train"])
    reporter.phase("tokenising conversations", total=len(conversations), unit="conversations")
    used: list[Conversation] = []
    rows, counts = labelled_rows(tokenizer, conversations, stage.max_length, reporter, used)
    trainer = SFTTrainer
    if stage.order == "coverage":
        rows, trainer = _covering(rows, used, job.settings.seed), InOrderSFTTrainer
    stage = bounded_by_epochs(stage, len(rows))
    reporter.say(
        f"{counts['used']} conversations, {counts['cut']} of them cut at a turn's end to {stage.max_length} tokens, "
        f"{counts['too_long']} without a turn within them dropped{_not_taught(counts)}"
    )
    watch = chosen_by_validation(job, stage, tokenizer, reporter)
    return fit(job, reporter, name, stage, tokenizer, rows, counts, trainer, watch)


def _covering(
    rows: list[dict[str, list[int]]], conversations: list[Conversation], seed: int
) -> list[dict[str, list[int]]]:
    taught = [
        lessons(conversation, _turns(row["labels"])) for row, conversation in zip(rows, conversations, strict=True)
    ]
    order = covering_order(taught, [len(row["input_ids"]) for row in rows], seed)
    return [rows[place] for place in order]


def _turns(labels: list[int]) -> int:
    """How many messages of the assistant a row holds: runs of labels, between which a role header always stands."""
    return sum(now != IGNORED and before == IGNORED for before, now in pairwise([IGNORED, *labels]))


def _not_taught(counts: dict[str, int]) -> str:
    """What the cuts leave untaught, which the number of cut conversations does not tell; empty where it is nothing."""
    if not counts["turns_left_out"]:
        return ""
    left_out, turns = counts["turns_left_out"], counts["turns"]
    told = f"; {left_out:,} of {turns:,} turns ({left_out / turns:.0%}) are not taught for it"
    return told if left_out * 50 <= turns else f"{told}, at max_length={counts['long_enough']} it would be one in fifty"


def labelled_rows(
    tokenizer: Any,
    conversations: Iterable[Conversation],
    max_length: int,
    reporter: Reporter | None = None,
    used: list[Conversation] | None = None,
) -> tuple[list[dict[str, list[int]]], dict[str, int]]:
    """Rows of ``input_ids`` and ``labels`` (``IGNORED`` where the assistant does not write), and how many were used,
    of these ``cut`` at the end of an assistant message, and ``too_long`` for a single one. Of all assistant messages,
    ``turns``, those ``turns_left_out`` end beyond ``max_length``; ``long_enough`` tokens would leave out one in fifty.
    ``used`` gets the conversation of each row.

    Raises:
        EmptySplit: Nothing is left.
    """
    rows: list[dict[str, list[int]]] = []
    counts = {"used": 0, "cut": 0, "too_long": 0, "tokens": 0, "labelled_tokens": 0}
    ends: list[int] = []
    for number, conversation in enumerate(conversations):
        if reporter:
            reporter.update(number)
        ids, mask = conversation_tokens(tokenizer, conversation)
        whole = len(ids)
        ends += (place + 1 for place, (now, then) in enumerate(pairwise([*mask, 0])) if now and not then)
        ids, mask = _within(ids, mask, max_length)
        if not ids:
            counts["too_long"] += 1
            continue
        counts["cut"] += len(ids) < whole
        rows.append({"input_ids": ids, "labels": [i if m else IGNORED for i, m in zip(ids, mask, strict=True)]})
        if used is not None:
            used.append(conversation)
        counts["used"] += 1
        counts["tokens"] += len(ids)
        counts["labelled_tokens"] += sum(mask)
    if not rows:
        raise EmptySplit(
            f"no conversation of the train split fits into {max_length} tokens ({counts['too_long']} are longer); "
            "ingest more conversations or raise the stage's max_length"
        )
    ends.sort()
    counts["turns"], counts["turns_left_out"] = len(ends), sum(end > max_length for end in ends)
    counts["long_enough"] = ends[-1 - len(ends) // 50]
    return rows, counts


def _within(ids: list[int], mask: list[int], longest: int) -> tuple[list[int], list[int]]:
    """The conversation, or its beginning up to the last assistant message that ends within ``longest`` tokens."""
    if len(ids) <= longest:
        return ids, mask
    ends = (place for place in range(longest, 0, -1) if mask[place - 1] and not mask[place])
    end = next(ends, 0)
    return ids[:end], mask[:end]


def bounded_by_epochs(stage: Epochal, rows: int) -> Epochal:
    """The stage with ``max_steps`` lowered to what its epochs over ``rows`` need; each ends with a step of what is left
    (transformers' ``Trainer``)."""
    steps = max(1, round(stage.epochs * math.ceil(rows / stage.batch_size)))
    return stage.model_copy(update={"max_steps": min(stage.max_steps, steps)})


def fit(
    job: TrainingJob,
    reporter: Reporter,
    name: str,
    stage: TrainingSettings,
    tokenizer: Any,
    rows: list[dict[str, list[int]]],
    counts: dict[str, int],
    trainer_class: type[SFTTrainer] = SFTTrainer,
    watch: Watch | None = None,
) -> TrainingOutcome:
    """Run TRL's ``SFTTrainer`` over tokenised rows within the stage's budget; shared by SFT and priming.

    ``watch`` makes what looks at the weights that the stage would leave now.
    """
    if stage.engine == "tree":
        tell_what_is_slow(job.settings, reporter)
        score_labelled_positions_only()
        fold_in_caches()
    arguments = SFTConfig(**common_arguments(job, stage), max_length=None, packing=False, shuffle_dataset=False)
    model = load_model(job.start_model)
    if stage.engine == "tree":
        _attend(model, trees=issubclass(trainer_class, TreeSFTTrainer), cuda=uses_cuda(job.settings))
        if not uses_cuda(job.settings):
            bound_activations(model, reporter.say, sharers=ranks.count())
    with interruption() as asked:
        budget = BudgetCallback(stage, asked)
        averaging, shown = averaged(stage.averaging)
        watching = [watch(budget, shown)] if watch and ranks.leads() else []
        budget.begin()
        trainer = trainer_class(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora_config(stage.lora_rank),
            callbacks=[*watching, budget, *averaging, ReportCallback(reporter, name, stage, budget)],
        )
        return run_trainer(trainer, job, budget, counts, shown=shown)


def _attend(model: Any, *, trees: bool, cuda: bool) -> None:
    """Set the attention that the rows need, before the model is moved to its device: packed trees have one on either,
    causal rows one on CPUs (a GPU's own are as good there)."""
    if not cuda:
        model.set_attn_implementation(BLOCKS)
    elif trees:
        model.set_attn_implementation(FLEX)
